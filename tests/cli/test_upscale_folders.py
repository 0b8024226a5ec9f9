import json
import re
from pathlib import Path

import pytest
from PIL import Image

from ccsr.cli.main import main
from ccsr.upscaling.upscaler import Upscaler


def upscale(photo: Path, model: str, *options: str) -> int:
    return main(["upscale", str(photo), "--model", model, *options])


def test_existing_outputs(photo: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = photo.parent / "big.png"
    out.write_text("precious")
    options = ["--scale", "2", "-o", str(out)]
    assert upscale(photo, model, *options) == 1
    assert "exists already" in capsys.readouterr().err
    assert upscale(photo, model, *options, "--exists", "skip") == 0
    assert "nothing to do" in capsys.readouterr().err
    assert upscale(photo, model, *options, "--exists", "skip", "--on", "ray://127.0.0.1:9") == 0
    assert out.read_text() == "precious"
    assert upscale(photo, model, *options, "--exists", "overwrite") == 0
    with Image.open(out) as picture:
        assert picture.size == (40, 20)


def test_a_bad_file_is_named_and_the_others_are_done(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photo.parent
    (folder / "a.png").write_text("not an image")
    (folder / "b.png").symlink_to("nowhere")
    Image.new("L", (3, 3)).save(folder / "z.png")
    out = folder / "out"
    assert upscale(folder, model, "--scale", "2", "-o", str(out)) == 1
    lines = capsys.readouterr().err.splitlines()
    assert f"cannot read {folder / 'a.png'}: not an image" in lines[0]
    assert f"cannot read {folder / 'b.png'}: No such file" in lines[1]
    assert re.fullmatch(r"\[3/4\] .*photo\.jpg -> .*\(40x20\) in [\d.]+ s", lines[2])
    assert lines[4] == "ccsr: error: 2 of 4 pictures failed:"
    assert lines[5:] == [f"  {line.removeprefix('ccsr: error: ')}" for line in lines[:2]]
    assert sorted(p.name for p in out.iterdir()) == ["photo_2x.png", "z_2x.png"]


def test_a_picture_that_fails_in_the_network_is_named(
    photo: Path,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(self: Upscaler, *args: object, **options: object) -> None:
        raise RuntimeError("the network is broken")

    monkeypatch.setattr(Upscaler, "__call__", fail)
    assert upscale(photo, model, "--scale", "2", "--quiet") == 1
    assert f"cannot enlarge {photo}: the network is broken" in capsys.readouterr().err
    assert upscale(photo, model, "--scale", "2", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.fixture
def tree(photo: Path) -> Path:
    """Two pictures, one of them in a subfolder, and one that is broken."""
    folder = photo.parent
    (folder / "sub").mkdir()
    Image.new("L", (3, 4)).save(folder / "sub" / "z.png")
    (folder / "sub" / "bad.png").write_bytes(b"")
    return folder


def test_a_tree_with_a_report_and_then_again(
    tree: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tree / "report.jsonl"
    options = ["--scale", "2", "-o", f"{tree / 'out'}/", "--recursive", "--report", str(report)]
    assert upscale(tree, model, *options) == 1
    out = tree / "out"
    assert {p.relative_to(out).as_posix() for p in out.rglob("*.*")} == {
        "photo_2x.png",
        "sub/z_2x.png",
    }
    statuses = [json.loads(line)["status"] for line in report.read_text().splitlines()]
    assert statuses == ["done", "failed", "done"]
    capsys.readouterr()
    assert upscale(tree, model, *options, "--exists", "skip") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "skipping 2 pictures whose outputs exist"
    assert re.match(r"ccsr: error: cannot read .*bad\.png: the file is empty", lines[1])
    statuses = [json.loads(line)["status"] for line in report.read_text().splitlines()]
    assert statuses == ["skipped", "skipped", "failed"]
    (tree / "sub" / "bad.png").unlink()
    assert upscale(tree, model, *options, "--exists", "skip") == 0
    assert capsys.readouterr().err == "nothing to do: all outputs exist\n"


def test_a_dry_run(tree: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--scale", "2", "-o", f"{tree / 'out'}/", "--recursive", "--dry-run"]
    before = sorted(tree.rglob("*"))
    assert upscale(tree, model, *options) == 1
    shown, errors = capsys.readouterr()
    assert shown == (
        f"{tree}/photo.jpg -> {tree}/out/photo_2x.png (40x20)\n"
        f"{tree}/sub/z.png -> {tree}/out/sub/z_2x.png (6x8)\n"
    )
    assert errors.startswith(f"ccsr: error: cannot read {tree}/sub/bad.png")
    assert sorted(tree.rglob("*")) == before
    (tree / "sub" / "bad.png").unlink()
    assert upscale(tree, model, *options) == 0
    capsys.readouterr()
    assert upscale(tree, "lihgt", *options) == 1
    assert upscale(tree, model, *options, "--effort", "0.5") == 1
    shown, errors = capsys.readouterr()
    assert not shown
    assert "no model called 'lihgt'" in errors
    assert "effort" in errors.splitlines()[1]


def test_a_report_must_not_be_a_picture(
    tree: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tree / "photo.jpg"
    before = photo.read_bytes()
    assert upscale(tree, model, "--scale", "2", "--report", str(photo)) == 1
    assert "expected a report that ends in .jsonl" in capsys.readouterr().err
    assert photo.read_bytes() == before


def test_a_dry_run_has_no_report(
    tree: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        upscale(tree, model, "--scale", "2", "--dry-run", "--report", "r.jsonl")
    assert "--dry-run writes nothing: leave out --report" in capsys.readouterr().err


def test_errors_show_hostile_names_as_text(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a\x1b[2J"
    folder.mkdir()
    assert upscale(folder, model, "--scale", "2") == 1
    assert r"no images in the folder" in (error := capsys.readouterr().err)
    assert r"a\x1b[2J" in error
    assert "\x1b" not in error
