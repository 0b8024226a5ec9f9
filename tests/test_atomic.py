import os
import signal
import sys
from pathlib import Path

import pytest

from ccsr import atomic
from ccsr.atomic import locked, make_folder, replacing, sweep


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_is_told_of_the_file_itself(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match=r"^cannot write .*/a\.txt: No space left$"),
        replacing(tmp_path / "a.txt"),
    ):
        raise OSError(28, "No space left")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(OSError, match=r"^cannot write .*/a\.txt/b\.txt: "):
        make_folder(tmp_path / "a.txt" / "b.txt")


def test_sweeping_takes_only_what_was_abandoned(tmp_path: Path) -> None:
    names = [".ccsr-1.part", ".ccsr-2.part", ".ccsr-3", "a.part"]
    for name in names:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    os.utime(tmp_path / names[1])
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])
    sweep(tmp_path / "missing")


def test_a_file_that_is_being_written_is_not_swept(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("half")
        sweep(tmp_path)
        os.utime(temporary, (0, 0))  # the next part of it may take hours
        sweep(tmp_path)
        assert temporary.exists()
    temporary.touch()
    os.utime(temporary, (0, 0))
    sweep(tmp_path)
    assert not temporary.exists()


def test_sweeping_hurts_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".ccsr-1.part").touch()
    monkeypatch.setattr(atomic, "ABANDONED", -1)

    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    sweep(tmp_path)
    assert (tmp_path / ".ccsr-1.part").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no processes of that kind")
def test_a_folder_is_not_held_by_forks_that_outlive_their_parent(tmp_path: Path) -> None:
    began, begins = os.pipe()
    with locked(tmp_path, wait=False) as alone:
        assert alone
        with locked(tmp_path, wait=False) as again:
            assert not again
        if not (child := os.fork()):  # such as a process that reads a training's photos
            os.write(begins, b"1")
            signal.pause()
    try:
        os.read(began, 1)
        with locked(tmp_path, wait=False) as alone:
            assert alone
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_and_the_rights_of_a_file_stay(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "a.txt"
    target.write_text("old")
    target.chmod(0o640)
    link = tmp_path / "link.txt"
    link.symlink_to("there/a.txt")
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.rglob(".ccsr*")) == []
