import os
import unicodedata
from pathlib import Path

import pytest

from ccsr.jobs.checks import Job, check
from ccsr.jobs.local import LOCAL


def jobs(folder: Path, *names: str) -> list[Job]:
    """One job for each name, whose inputs differ."""
    return [Job(folder / "in" / str(i), folder / name) for i, name in enumerate(names)]


def test_good_outputs_pass(tmp_path: Path) -> None:
    check(jobs(tmp_path, "a.png", "b.jpg", "sub/a.png", "new/deep/er/a.png", f"{'é' * 125}.png"))
    check([])


@pytest.mark.parametrize(
    "names", [("a.png", "A.png"), ("sub/a.png", "SUB/A.png"), ("straße.png", "STRASSE.png")]
)
def test_names_that_differ_in_case_only_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"in/0 and .*in/1 would both be written to .*: rename"):
        check(jobs(tmp_path, *names))


def test_names_that_differ_in_their_unicode_form_only_are_refused(tmp_path: Path) -> None:
    forms = [unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD")]
    assert forms[0] != forms[1]
    with pytest.raises(ValueError, match="would both be written"):
        check(jobs(tmp_path, *forms))


def test_two_ways_to_one_folder_are_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(ValueError, match="would both be written"):
        check(jobs(tmp_path, "real/a.png", "link/a.png"))


def test_an_input_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "hard.png").hardlink_to(tmp_path / "a.png")
    for name in ("a.png", "hard.png", f"../{tmp_path.name}/a.png"):
        with pytest.raises(ValueError, match="is an input and would be overwritten: choose"):
            check([Job(tmp_path / "a.png", tmp_path / name)])


def test_long_names_and_paths(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"its name has 258 bytes, at most 255 .*: rename the pic"):
        check(jobs(tmp_path, f"{'é' * 127}.png"))
    deep = "/".join(["d" * 200] * 25)
    with pytest.raises(ValueError, match=r"its path has \d+ bytes, fewer than 4096 .* -o"):
        check(jobs(tmp_path, f"{deep}/a.png"))


def test_limits_where_the_system_says_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pathconf")
    check(jobs(tmp_path, "a" * 251 + ".png"))
    with pytest.raises(ValueError, match="at most 255 are"):
        check(jobs(tmp_path, "a" * 252 + ".png"))


def test_folders_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ValueError, match=r"cannot write into .*file/sub: .*file is no folder"):
        check(jobs(tmp_path, "file/sub/a.png", "file/sub/b.png"))
    with pytest.raises(ValueError, match=r"cannot write .*folder\.png: a folder has that name"):
        check(jobs(tmp_path, "folder.png"))
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(ValueError, match=rf"cannot write into {tmp_path}: it is read-only, choose"):
        check(jobs(tmp_path, "new/a.png", "new/b.png"))


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing was done, since 2 outputs are refused") as few:
        check(jobs(tmp_path, "a.xyz", "b.png", "b.PNG"))
    assert "suffix '.xyz'" in str(few.value)
    assert "both be written" in str(few.value)
    with pytest.raises(ValueError, match=r"since 30 outputs are refused") as many:
        check(jobs(tmp_path, *(f"{i}.xyz" for i in range(30))))
    assert str(many.value).count("\n") == 21
    assert str(many.value).endswith("and 10 more")


def test_identity_of_what_is_not_there(tmp_path: Path) -> None:
    assert LOCAL.identity(tmp_path / "none") == tmp_path / "none"
    assert LOCAL.identity(tmp_path / ("x" * 300)) == tmp_path / ("x" * 300)
