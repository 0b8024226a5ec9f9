import csv
import io
import re
import threading
import zipfile

import pytest

from ccsr.bundled import resource_dir
from ccsr.datasets import archives
from ccsr.datasets.gather import gather
from ccsr.datasets.remote import Web
from ccsr.evaluation.testsets import find, low_resolution


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


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"no archive", "cannot be unpacked"),
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
