import pytest

from ccsr.cli.main import main
from ccsr.datasets import archives


def test_dry_run_says_what_and_how_much_and_fetches_nothing(tmp_path, capsys):
    folder = tmp_path / "open"
    assert main(["data", "open", str(folder), "--tiles", "100", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "files to fetch" in said
    assert "MB" in said
    assert "CC BY 4.0" in said
    assert not folder.exists()


def test_terms_are_asked_for(tmp_path, capsys):
    assert main(["data", "div2k", str(tmp_path / "d")]) == 1
    said = capsys.readouterr()
    assert "academic research only" in said.out
    assert "give --accept" in said.err
    assert not (tmp_path / "d").exists()


def test_free_sets_ask_nothing_and_what_fails_is_listed(tmp_path, capsys):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    words = ["data", "benchmarks", str(tmp_path / "b"), "--sets", "Kodak24"]
    assert main([*words, "--mirror", str(mirror)]) == 1
    said = capsys.readouterr().err
    assert "0 of 24 files done" in said
    assert "no clone of imazen/codec-corpus" in said
    assert "and 4 more" in said


def test_archives_from_a_folder(tmp_path, monkeypatch):
    import hashlib
    import zipfile

    path = tmp_path / "DIV2K_valid_HR.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("DIV2K_valid_HR/0801.png", "picture")
    body = path.read_bytes()
    facts = {"DIV2K_valid_HR": (len(body), hashlib.sha256(body).hexdigest())}
    monkeypatch.setattr(archives, "DIV2K", facts)
    words = ["data", "div2k", str(tmp_path / "d"), "--mirror", str(tmp_path), "--accept"]
    assert main(words) == 0
    assert (tmp_path / "d/DIV2K_valid_HR/0801.png").read_text() == "picture"
    assert path.read_bytes() == body  # the mirror keeps what it had
    assert main(words) == 0  # nothing is left to do


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mirror", "DIR", "--server", "http://127.0.0.1:1"], "give one of them"),
        (["--mirror", "DIR/nowhere"], "expected a folder"),
        (["--server", "example.org"], "expected a server such as"),
    ],
)
def test_places_that_are_none(tmp_path, capsys, words, said):
    words = [word.replace("DIR", str(tmp_path)) for word in words]
    assert main(["data", "open", str(tmp_path / "o"), "--tiles", "1", *words]) == 1
    assert said in capsys.readouterr().err
