"""The order of the house."""

import re

from floors import FACE, FLOORS, PACKAGE, arrows

LEVEL = {name: number for number, rooms in enumerate(FLOORS) for name in rooms}


def test_every_room_is_on_a_floor():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    files = {path.stem for path in PACKAGE.glob("*.py")} - FACE
    assert folders | files == set(LEVEL)


def test_imports_go_down_only():
    upward = {
        (here, there): files
        for (here, there), files in arrows().items()
        if here not in FACE and LEVEL[here] <= LEVEL[there]
    }
    assert not upward


def test_an_import_that_goes_up_is_seen(tmp_path):
    package = tmp_path / "ccsr"
    for name in ("image", "cli"):
        (package / name).mkdir(parents=True)
        (package / name / "__init__.py").touch()
    (package / "grid.py").write_text("def f():\n    from ccsr.cli.main import main\n")
    (package / "image" / "read.py").write_text("from ccsr import cli, grid\n")
    assert arrows(package) == {
        ("grid", "cli"): {"grid.py"},
        ("image", "cli"): {"image/read.py"},
        ("image", "grid"): {"image/read.py"},
    }


def test_the_document_shows_the_floors():
    text = (PACKAGE.parent / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", text, re.MULTILINE)
    shown = {int(number): set(re.findall(r"`(\w+)`", rooms)) for number, rooms in rows}
    assert shown == {number: set(rooms) for number, rooms in enumerate(FLOORS)}
