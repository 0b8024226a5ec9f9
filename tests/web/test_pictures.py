"""Pictures that come to the server, by the command line or from a browser."""

import io
import os
import socket
import struct
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from ccsr.web.entry import Limits, plain_name
from ccsr.web.shelf import Shelf
from picture_parts import chunk


def send(client, content, name="cat.png"):
    return client.post("/api/pictures", content=content, headers={"X-Name": quote(name)})


def huge_png():
    """A PNG whose header says 60,000 by 60,000 pixels."""

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")


def test_a_picture_is_put_on_the_shelf(client, served, cat):
    told = send(client, cat.read_bytes(), "meine Katze ü.png").json()
    assert told == {
        "id": told["id"], "name": "meine Katze ü.png", "width": 200, "height": 150, "frames": 1,
        "of": 0, "frame": 0, "about": "200 × 150", "error": "",
    }  # fmt: skip
    assert client.get("/api/state").json()["pictures"] == [told]
    assert [path.read_bytes() for path in served.folder.iterdir()] == [cat.read_bytes()]
    assert client.delete(f"/api/pictures/{told['id']}").status_code == 204
    assert client.get("/api/state").json()["pictures"] == []
    assert list(served.folder.iterdir()) == []


@pytest.mark.parametrize("name", ["../../evil.png", "/etc/passwd", "C:\\evil.png", "\0", ".", ""])
def test_a_name_is_never_a_path(client, served, cat, name):
    told = send(client, cat.read_bytes(), name).json()
    assert not {"/", "\\", "\0"} & set(told["name"])
    assert told["name"]
    stored = [path for path in served.folder.parent.rglob("*") if path.is_file()]
    assert {path.parent for path in stored} == {served.folder, served.folder.parent}
    assert {path.name for path in stored if path.parent == served.folder.parent} == {"cat.png"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"no picture", "not an image of a known kind, or damaged"),
        (huge_png(), "million pixels, which may be a decompression bomb"),
    ],
    ids=["empty", "text", "huge"],
)
def test_a_bad_picture_is_named_with_its_reason(client, served, content, reason):
    told = send(client, content, "bad.png").json()
    assert told["error"].startswith("cannot read bad.png: ")
    assert reason in told["error"]
    assert str(served.folder) not in told["error"]
    assert client.get("/api/state").json()["pictures"] == [told]


@pytest.mark.parametrize("limits", [Limits(pictures=2)])
def test_more_pictures_than_the_limit_are_refused(client, served, cat, limits):
    answers = [send(client, cat.read_bytes()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 413]
    assert "2 pictures already, which is the most" in answers[2].json()["error"]
    assert len(list(served.folder.iterdir())) == 2


@pytest.mark.parametrize("limits", [Limits(sent=50_000)])
def test_more_bytes_than_the_limit_are_refused(client, served, limits):
    answers = [send(client, bytes(30_000)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 413]
    assert "would take 0.00 GB, at most 0.00 GB" in answers[1].json()["error"]
    assert len(list(served.folder.iterdir())) == 1


def test_a_body_without_its_length_is_refused(client, served):
    answer = client.post("/api/pictures", content=iter([b"a" * 1000, b"b" * 1000]))
    assert answer.status_code == 411
    assert "Content-Length" in answer.json()["error"]
    assert list(served.folder.iterdir()) == []


def test_a_body_in_chunks_is_not_taken_for_its_length(client, served):
    """A length beside chunks says nothing, so that the limit of bytes would not hold."""
    content = b"POST /api/pictures HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n"
    content += f"Host: 127.0.0.1:{served.port}\r\n".encode()
    content += f"X-Token: {client.headers['X-Token']}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", served.port)) as line:
        line.settimeout(10)
        line.sendall(content + b"3e8\r\n" + bytes(1000) + b"\r\n0\r\n\r\n")
        assert line.recv(1000).startswith(b"HTTP/1.1 411 ")
    assert list(served.folder.iterdir()) == []


def test_a_picture_that_is_half_sent_is_forgotten(client, served, caplog):
    with socket.create_connection(("127.0.0.1", served.port)) as line:
        head = f"POST /api/pictures HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
        head += f"X-Token: {client.headers['X-Token']}\r\nContent-Length: 1000000\r\n\r\n"
        line.sendall(head.encode() + bytes(1000))
        until = time.monotonic() + 10
        while not list(served.folder.iterdir()):
            assert time.monotonic() < until
    while list(served.folder.iterdir()):
        assert time.monotonic() < until
    assert client.get("/api/state").json()["pictures"] == []
    assert caplog.records == []


def test_files_and_folders_of_the_command_line(tmp_path, cat):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b10.png", "b2.png", ".hidden.png"):
        (folder / name).write_bytes(cat.read_bytes())
    (folder / "text.txt").write_text("no picture")
    (folder / "bad.jpg").write_bytes(b"bad")
    shelf = Shelf(tmp_path / "session")
    shelf.take([cat, folder, cat])
    listed = shelf.listed()
    assert [entry.name for entry in listed] == ["cat.png", "b2.png", "b10.png", "bad.jpg"]
    assert listed[3].error == "cannot read bad.jpg: not an image of a known kind, or damaged"
    for entry in listed:
        shelf.remove(entry.number)
    assert cat.exists()
    assert (folder / "bad.jpg").exists()


def test_what_the_command_line_names_must_exist(tmp_path):
    shelf = Shelf(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no picture or folder at .*nothing"):
        shelf.take([tmp_path / "nothing"])
    with pytest.raises(ValueError, match="no images in the folder"):
        shelf.take([tmp_path])
    with pytest.raises(ValueError, match="there is no picture 7 any more"):
        shelf.find(7)


def test_a_damaged_picture_is_named_when_it_is_decoded(tmp_path):
    encoded = io.BytesIO()
    Image.radial_gradient("L").save(encoded, "PNG")
    (tmp_path / "half.png").write_bytes(encoded.getvalue()[: len(encoded.getvalue()) // 2])
    shelf = Shelf(tmp_path / "session")
    shelf.take([tmp_path / "half.png"])
    (entry,) = shelf.listed()
    assert not entry.error
    with pytest.raises(OSError, match=r"^cannot read half.png: .*image file is truncated"):
        shelf.opened(entry.number)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a b.png", "a b.png"),
        ("a/b\\c.png", "c.png"),
        ('<a>:"b"|?*.png', "ab.png"),
        ("..", "picture"),
        ("\x1b[31m.png", "[31m.png"),
        ("a\nb\r\t.png", "ab.png"),
        ("latin\udce9.png", "latin.png"),
        ("\u202egnp.exe", "gnp.exe"),
        ("1.23\u202fPM \u3000.png", "1.23\u202fPM \u3000.png"),
        ("\U0001f468\u200d\U0001f469.png", "\U0001f468\u200d\U0001f469.png"),
        ("\u732b" * 200 + ".png", "\u732b" * 65 + ".png"),
        ("x" * 300 + ".png", "x" * 146 + ".png"),
    ],
)
def test_plain_names(given, kept):
    assert plain_name(given) == kept
    assert Path(kept).name == kept


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text here")
@pytest.mark.parametrize("name", [b"latin\xe9.png", b"a\nb.png", b"..\\..\\a.png", b"q\"'.png"])
def test_names_of_the_command_line_are_plain_too(client, served, cat, tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(cat.read_bytes())
    served.app.shelf.take([path])
    (picture,) = client.get("/api/state").json()["pictures"]
    assert picture["name"] == plain_name(path.name)
    path.unlink()
    with pytest.raises(OSError, match="cannot read") as failure:
        served.app.shelf.opened(1)
    assert str(failure.value) == f"cannot read {picture['name']}: No such file or directory"


def test_a_folder_with_a_link_to_nowhere_is_taken(tmp_path, cat):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").symlink_to(tmp_path / "nowhere")
    (folder / "b.png").symlink_to(cat)
    os.mkfifo(folder / "c.png")
    shelf = Shelf(tmp_path / "session")
    shelf.take([folder])
    first, second, third = shelf.listed()
    assert first.error == "cannot read a.png: No such file or directory"
    assert second.size == (150, 200)
    assert third.error == "cannot read c.png: it is no file"


@pytest.mark.parametrize("before", [False, True])
def test_a_picture_that_changes_on_disk_is_not_shown_as_if_it_had_not(tmp_path, booklet, before):
    shelf = Shelf(tmp_path / "session")
    shelf.folder.mkdir()
    shelf.take([booklet])
    if before:
        shelf.opened(1)
        shelf.frame(1, 2)
    Image.new("RGB", (400, 300)).save(booklet)
    sentence = "booklet.tif has changed since it was opened: remove it from the list and add it"
    with pytest.raises(ValueError, match=sentence):
        shelf.opened(1)
    with pytest.raises(ValueError, match=sentence):
        shelf.frame(1, 2)
    shelf.remove(1)
    shelf.take([booklet])
    assert shelf.opened(2 + before).source.size == (300, 400)


def test_a_picture_that_is_removed_while_it_comes_does_not_come_back(tmp_path, booklet):
    shelf = Shelf(tmp_path)
    entry = shelf.reserve(3, "a.png")
    shelf.remove(entry.number)
    with pytest.raises(ValueError, match="there is no picture 1 any more"):
        shelf.put(entry)
    assert shelf.listed() == []


def test_a_number_that_no_picture_has_removes_none(client, served, booklet, cat):
    served.app.shelf.take([booklet, cat])
    for number in (0, 9):
        assert client.delete(f"/api/pictures/{number}").status_code == 204
    assert len(client.get("/api/state").json()["pictures"]) == 2


def test_a_request_that_is_no_json_is_refused(client, served):
    for content in (b"", b"{", b"\xff", b"[" * 100_000, b"[1]", b"3"):
        answer = client.post("/api/size", content=content)
        assert answer.status_code == 400
        assert "an object of JSON, got" in answer.json()["error"]


def test_a_folder_with_more_than_the_page_takes_is_named(served, tmp_path):
    for number in range(3):
        Image.new("L", (2, 2)).save(tmp_path / f"{number}.png")
    served.app.shelf.limits = replace(served.app.shelf.limits, pictures=2)
    with pytest.raises(ValueError, match="holds 3 pictures, and the page takes at most 2"):
        served.app.shelf.take([tmp_path])
