import csv
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import pytest
from PIL import Image

from ccsr.cli.main import main
from ccsr.datasets import archives, open_tiles
from wicked import Wicked

HEADER = "name repo commit path sha256 bytes licence stated_in credit factor left top right bottom"


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


@pytest.fixture
def wicked():
    server = Wicked()
    yield server
    server.close()


@pytest.fixture
def listed(tmp_path, wicked, monkeypatch):
    """A list of two tiles of two pictures, `a` and `b`; returns the folder of the list."""
    folder = tmp_path / "lists"
    folder.mkdir()
    rows = []
    for name, colour in (("a", 10), ("b", 20)):
        stream = io.BytesIO()
        Image.new("RGB", (9, 9), (colour, 0, 0)).save(stream, "PNG")
        body = stream.getvalue()
        wicked.put(f"/o/n/c/{name}.png", body)
        digest = hashlib.sha256(body).hexdigest()
        rows.append([name, "o/n", "c", f"{name}.png", digest, len(body), "CC0", "L", "", 1])
        rows[-1] += [0, 0, 8, 8]
    with (folder / "tiles.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([HEADER.split(), *rows])
    (folder / "validation.csv").write_text("name,kind\n", encoding="utf-8")
    monkeypatch.setattr(open_tiles, "resource_dir", lambda _: folder)
    return folder


def test_more_tiles_than_there_are(listed, tmp_path, capsys):
    assert main(["data", "open", str(tmp_path / "o"), "--tiles", "3"]) == 1
    assert "--tiles: the list has 2 to train on, got 3" in capsys.readouterr().err


def test_few_tiles_to_train_on_come_with_all_to_validate_by(listed, tmp_path, wicked, capsys):
    (listed / "validation.csv").write_text("name,kind\nb,text\n", encoding="utf-8")
    words = ["data", "open", str(tmp_path / "o"), "--server", wicked.url, "--tiles"]
    assert main([*words, "2"]) == 1
    assert "the list has 1 to train on" in capsys.readouterr().err
    assert main([*words, "1"]) == 0
    built = {path.relative_to(tmp_path / "o").as_posix() for path in tmp_path.glob("o/*/**/*.webp")}
    assert built == {"train/a.webp", "val/text/b.webp"}


def test_whoever_was_to_be_credited_still_is(listed, tmp_path, wicked, capsys):
    words = ["data", "open", str(tmp_path / "o"), "--server", wicked.url]
    assert main(words) == 0
    assert main([*words, "--tiles", "1"]) == 0
    text = (tmp_path / "o/ATTRIBUTION.csv").read_text(encoding="utf-8")
    assert text.count("train/") == 2


def test_a_file_in_the_place_of_the_folder(tmp_path, capsys):
    (tmp_path / "f").touch()
    for place, said in (
        ("f", "expected a folder, or the name of a new one"),
        ("f/x", "write"),
    ):
        assert main(["data", "open", str(tmp_path / place), "--tiles", "1"]) == 1
        assert said in capsys.readouterr().err


def test_a_disk_without_room_is_said_before_anything_is_fetched(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: _Free())
    assert main(["data", "div2k", str(tmp_path / "new/d"), "--accept"]) == 1
    said = capsys.readouterr().err
    assert "has not 7,959 MB free" in said  # both archives, and as much again unpacked
    assert "got 5 MB" in said
    mirrored = ["--accept", "--mirror", str(tmp_path)]
    assert main(["data", "div2k", str(tmp_path / "new/d"), *mirrored]) == 1
    assert "has not 3,980 MB free" in capsys.readouterr().err  # archives are read where they lie
    assert not (tmp_path / "new").exists()


class _Free:
    free = 5_000_000


def test_programs_are_told_what_came_of_it_when_it_ends_early(listed, tmp_path, wicked, capsys):
    (tmp_path / "o").mkdir()
    (tmp_path / "o/train").write_text("a file in the place of a folder")
    words = ["data", "open", str(tmp_path / "o"), "--server", wicked.url, "--json"]
    assert main(words) == 1
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["done"] == 0
    assert told["failed"][0].startswith(f"cannot write {tmp_path / 'o/train'}")
    assert "goes on from here when that is mended" in json.loads(said.err.splitlines()[-1])["error"]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.long
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_what_a_silent_server_holds_is_given_up_at_once(listed, tmp_path, wicked, sign):
    wicked.ways["/o/n/c/b.png"] = ("silent",)
    code = (
        "import pathlib, signal, sys; from ccsr.datasets import open_tiles;"
        "from ccsr.cli import main;"
        f"open_tiles.resource_dir = lambda _: pathlib.Path({str(listed)!r});"
        "signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(main.main())"
    )
    words = ["data", "open", str(tmp_path / "o"), "--server", wicked.url, "--json"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        until = time.monotonic() + 60
        while not (wicked.asked["/o/n/c/b.png"] and (tmp_path / "o/train/a.webp").exists()):
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(0.2)
        since = time.monotonic()
        run.send_signal(sign)
        out, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert time.monotonic() - since < 10  # and not the minute that the server may be silent
    assert json.loads(out)["done"] == 1
    assert json.loads(err)["error"] == "interrupted: the same command goes on from here"
    assert "train/a.webp" in (tmp_path / "o/ATTRIBUTION.csv").read_text(encoding="utf-8")
    wicked.ways["/o/n/c/b.png"] = ("well",)
    assert main(words) == 0
    assert wicked.asked["/o/n/c/a.png"] == 1
