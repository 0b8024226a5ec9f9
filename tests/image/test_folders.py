import os
from pathlib import Path

import pytest

from ccsr.image.folders import images_in, natural


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(root: Path, **options: object) -> list[str]:
    return [path.relative_to(root).as_posix() for path in images_in(root, **options)]


def test_natural_order() -> None:
    assert natural("a2b10") < natural("a10b2") < natural("b")


def test_a_folder_and_its_tree(tmp_path: Path) -> None:
    touch(tmp_path, "p10.png", "P2.jpg", "notes.txt", ".hidden.png", "b10/a.png", "b9/c/x.webp")
    touch(tmp_path, ".cache/y.png", "b9/.z.png", "folder.png/in.png")
    assert names(tmp_path) == ["P2.jpg", "p10.png"]
    tree = ["P2.jpg", "p10.png", "b9/c/x.webp", "b10/a.png", "folder.png/in.png"]
    assert names(tmp_path, recursive=True) == tree
    without = names(tmp_path, recursive=True, leave_out=lambda folder: folder.name == "b9")
    assert without == [name for name in tree if not name.startswith("b9/")]
    assert names(tmp_path / ".cache") == ["y.png"]  # what is asked for is not left out


def test_links_are_followed_where_that_is_asked_and_once(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "elsewhere/b.png")
    for name, target in {"loop": "in", "one": "elsewhere", "two": "elsewhere"}.items():
        (tmp_path / "in" / name).symlink_to(tmp_path / target)
    assert names(tmp_path / "in", recursive=True) == ["a.png"]
    assert len(names(tmp_path / "in", recursive=True, through_links=True)) == 2


def test_folders_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.png", "locked/b.png", "open/c.png")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    told: dict[Path, str] = {}
    found = names(tmp_path, recursive=True, unlisted=told.__setitem__)
    assert found == ["a.png", "open/c.png"]
    sentence = f"cannot read the folder {tmp_path / 'locked'}: Permission denied"
    assert told == {tmp_path / "locked": sentence}
    with pytest.raises(OSError, match=sentence):
        names(tmp_path, recursive=True)
