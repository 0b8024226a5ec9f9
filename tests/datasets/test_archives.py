import csv
import hashlib
import io
import re
import threading
import time
import zipfile

import pytest

from ccsr.bundled import resource_dir
from ccsr.datasets import archives
from ccsr.datasets.gather import Task, gather
from ccsr.datasets.remote import RemoteFile, Web
from ccsr.evaluation.testsets import find, low_resolution
from small_disk import files_of_at_most


def zipped(**files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return stream.getvalue()


@pytest.fixture
def build(tmp_path, wicked, monkeypatch):
    """Builds DIV2K from the archives given by name; returns what failed."""

    def run(**bodies):
        facts = {}
        for name, body in bodies.items():
            file = wicked.file(f"cvl/DIV2K/{name}.zip", body)
            facts[name] = (file.size, file.sha256)
        monkeypatch.setattr(archives, "DIV2K", facts)
        work = archives.div2k_tasks(tmp_path / "div2k")
        source = Web(wicked.url, pauses=(0.0,))
        return gather(work, source, tmp_path / "div2k", 2, lambda task: None, threading.Event())

    return run


def test_div2k_is_unpacked_to_the_layout_of_its_configuration(build, tmp_path):
    failures = build(
        DIV2K_train_HR=zipped(**{"DIV2K_train_HR/0001.png": "one"}),
        DIV2K_valid_HR=zipped(**{"DIV2K_valid_HR/0801.png": "two"}),
    )
    assert not failures
    found = {str(p.relative_to(tmp_path / "div2k")) for p in (tmp_path / "div2k").rglob("*.png")}
    assert found == {"DIV2K_train_HR/0001.png", "DIV2K_valid_HR/0801.png"}
    assert not [p for p in (tmp_path / "div2k").iterdir() if p.name.startswith(".")]
    assert not archives.div2k_tasks(tmp_path / "div2k")  # nothing is left to do


def damaged(compression, place):
    """An archive with one bit of a member's content turned over."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("DIV2K_valid_HR/0801.png", bytes(range(256)) * 8)
    body = bytearray(stream.getvalue())
    body[place] ^= 16
    return bytes(body)


def marked(place, value):
    """An archive whose member says something else about itself, here and in the directory."""
    body = bytearray(zipped(**{"DIV2K_valid_HR/0801.png": "x"}))
    directory = body.index(b"PK\1\2")
    body[place], body[directory + place + 2] = value, value
    return bytes(body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"no archive", "cannot be unpacked"),
        (damaged(zipfile.ZIP_STORED, 100), "cannot be unpacked: Bad CRC-32"),
        (damaged(zipfile.ZIP_DEFLATED, 60), "cannot be unpacked: (Error -3|Bad CRC)"),
        (marked(6, 1), "cannot be unpacked: .* is encrypted"),
        (marked(8, 99), "cannot be unpacked: .*compression"),
        (zipped(**{"other/0001.png": "x"}), "holds no folder DIV2K_valid_HR"),
    ],
)
def test_archives_that_are_none(build, tmp_path, body, said):
    (failure,) = build(DIV2K_valid_HR=body)
    assert re.search(said, failure)
    assert not [p for p in (tmp_path / "div2k").iterdir() if "unpack" in p.name]


def test_an_archive_cannot_write_elsewhere(build, tmp_path):
    body = zipped(**{"DIV2K_valid_HR/0801.png": "x", "../../outside.png": "x"})
    build(DIV2K_valid_HR=body)
    assert not (tmp_path / "outside.png").exists()
    assert not (tmp_path.parent / "outside.png").exists()


@pytest.mark.parametrize("name", ["/DIV2K_valid_HR/absolute.png", "DIV2K_valid_HR/link"])
def test_absolute_names_and_links_stay_within(build, tmp_path, name):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("DIV2K_valid_HR/0801.png", "x")
        member = zipfile.ZipInfo(name)
        member.create_system, member.external_attr = 3, 0o120777 << 16  # a link, as Unix writes it
        archive.writestr(member, "/etc/passwd")
    assert not build(DIV2K_valid_HR=stream.getvalue())
    made = [p for p in (tmp_path / "div2k").rglob("*") if not p.is_dir()]
    assert not any(path.is_symlink() for path in made)
    assert len(made) == 2


def test_where_unpacking_finds_no_room_the_archive_stays(build, tmp_path, wicked):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("DIV2K_valid_HR/0801.png", bytes(100_000))
    with (
        files_of_at_most(50_000),
        pytest.raises(OSError, match=r"cannot write .*/DIV2K_valid_HR: F"),
    ):
        build(DIV2K_valid_HR=stream.getvalue())
    assert [p.name for p in (tmp_path / "div2k").iterdir()] == [".ccsr-download"]
    assert not build(DIV2K_valid_HR=stream.getvalue())
    assert wicked.asked == {"/cvl/DIV2K/DIV2K_valid_HR.zip": 1}
    assert [p.name for p in (tmp_path / "div2k").iterdir()] == ["DIV2K_valid_HR"]


def test_a_file_or_an_empty_folder_is_no_set(tmp_path):
    (tmp_path / "DIV2K_train_HR").mkdir()
    (tmp_path / "DIV2K_valid_HR").touch()
    assert len(archives.div2k_tasks(tmp_path)) == 2
    (tmp_path / "DIV2K_train_HR/0001.png").touch()
    assert len(archives.div2k_tasks(tmp_path)) == 1
    (tmp_path / "Kodak24/kodim01.png").mkdir(parents=True)
    assert len(archives.benchmark_tasks(["Kodak24"], tmp_path)) == 24


@pytest.mark.parametrize("name", ["../out.png", "/out.png", "Set5/../../out.png", ""])
def test_names_of_a_list_stay_within(tmp_path, monkeypatch, name):
    row = f"Set5,o/n,c,a.png,{'0' * 64},1,{name}"
    (tmp_path / "images.csv").write_text(f"set,repo,commit,path,sha256,bytes,file\n{row}\n")
    monkeypatch.setattr(archives, "resource_dir", lambda _: tmp_path)
    with pytest.raises(ValueError, match="within the folder that is built, got"):
        archives.benchmark_tasks(["Set5"], tmp_path / "built")


def test_files_of_one_content_are_fetched_one_after_the_other(tmp_path):
    """As in the list, where many low-resolution images are alike at two scales."""
    busy, body = threading.Lock(), b"the same"

    class Alone:
        def fetch(self, file, folder):
            assert busy.acquire(blocking=False)
            time.sleep(0.05)
            (folder / file.sha256).write_bytes(body)
            return folder / file.sha256

    def make(path):
        def keep(copy):
            path.write_bytes(copy.read_bytes())
            busy.release()

        return keep

    file = RemoteFile(hashlib.sha256(body).hexdigest(), len(body), "a")
    work = [Task(file, make(tmp_path / str(n))) for n in range(4)]
    assert not gather(work, Alone(), tmp_path, 4, lambda task: None, threading.Event())
    assert {(tmp_path / str(n)).read_bytes() for n in range(4)} == {body}


def test_the_official_addresses():
    files = [task.file.address() for task in archives.div2k_tasks(resource_dir("open"))]
    assert files == [f"{archives.DIV2K_URL}/{name}.zip" for name in archives.DIV2K]


def test_benchmarks_lie_as_the_evaluation_finds_them(tmp_path):
    """Empty files in the places of the list: the evaluation knows these layouts."""
    with (resource_dir("benchmarks") / "images.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        path = tmp_path / row["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    counts = {name: len(find(tmp_path / name).names()) for name in archives.BENCHMARKS}
    assert counts == {"Set5": 5, "Set14": 14, "B100": 100, "Urban100": 100, "Kodak24": 24}
    assert low_resolution(tmp_path, "Set5", "img_001", "3").name == "img_001_SRF_3_LR.png"


def test_only_the_sets_that_are_asked_for_and_not_there(tmp_path):
    assert len(archives.benchmark_tasks(["Kodak24"], tmp_path)) == 24
    (tmp_path / "Kodak24").mkdir()
    (tmp_path / "Kodak24/kodim01.png").touch()
    assert len(archives.benchmark_tasks(["Kodak24"], tmp_path)) == 23
