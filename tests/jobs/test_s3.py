"""A real S3 server gives what a folder gives."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ccsr.cli.main import main
from ccsr.jobs import remote
from ccsr.model import checkpoint
from networks import tiny
from s3_server import environment, program, serving

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(program() is None, reason="no moto_server: .ci/run says how to make one"),
]
NAMES = ("in/a.png", "in/B10.png", "in/b9.png", "in/deep/er/c.png", "in/.hidden/d.png")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("s3fs")
    with serving(tmp_path_factory.mktemp("s3") / "server.log") as address:
        yield address


@pytest.fixture
def bucket(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import s3fs

    for name, value in environment(address).items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    remote._connect.cache_clear()
    files = s3fs.S3FileSystem(use_listings_cache=False)
    files.mkdir("bucket")
    yield files
    files.rm("bucket", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()
    remote._connect.cache_clear()


@pytest.fixture
def model(tmp_path: Path) -> str:
    checkpoint.save(tmp_path / "tiny.safetensors", tiny(None), {"licence": "MIT"})
    return str(tmp_path / "tiny.safetensors")


def test_a_bucket_and_a_folder_give_the_same(
    tmp_path: Path, bucket: Any, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(NAMES):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8 + number, 6), (number, 99, 7)).save(path)
        bucket.put_file(str(path), f"bucket/{name}")
    bucket.pipe_file("bucket/in/broken.png", b"no picture")
    options = ["--scale", "2", "--model", model, "--recursive", "--device", "cpu"]
    (tmp_path / "in/broken.png").write_bytes(b"no picture")
    here, there = str(tmp_path), "s3://bucket"
    for top in (here, there):
        report = ["--report", f"{top}/run.jsonl"]
        assert main(["upscale", f"{top}/in/", "-o", f"{top}/out/", *options, *report]) == 1
    made = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "out").rglob("*.png")}
    keys = {key.removeprefix("bucket/") for key in bucket.find("bucket/out")}
    assert made == keys
    assert len(made) == 4
    for name in made:
        assert bucket.cat_file(f"bucket/{name}") == (tmp_path / name).read_bytes()
    lines = [json.loads(line) for line in bucket.cat_file("bucket/run.jsonl").splitlines()]
    statuses = sorted(line["status"] for line in lines)
    assert statuses == ["done"] * 4 + ["failed"]
    capsys.readouterr()
    again = ["upscale", f"{there}/in/", "-o", f"{there}/out/", *options]
    assert main(again) == 1
    assert "exists already (4 of 5 outputs do)" in capsys.readouterr().err
    bucket.rm_file("bucket/out/a_2x.png")
    assert main([*again, "--exists", "skip"]) == 1
    text = capsys.readouterr().err
    assert "skipping 3 pictures" in text
    assert "cannot read s3://bucket/in/broken.png: not an image" in text
    assert bucket.cat_file("bucket/out/a_2x.png") == (tmp_path / "out/a_2x.png").read_bytes()
    assert main(["report", f"{there}/run.jsonl"]) == 1
    assert "5 pictures: 4 done, 1 failed" in capsys.readouterr().out


def test_what_is_wrong_with_a_bucket_is_said(
    tmp_path: Path, bucket: Any, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    options = ["--scale", "2", "--model", model]
    cases = (
        (["s3://none/in/"], "into s3://none: there is no such bucket"),
        (["s3://none/a.png"], "into s3://none: there is no such bucket"),
        (["s3://bucket/in/"], "cannot read s3://bucket/in: there is no such file or folder"),
        (["s3://bucket/a.png"], "cannot read s3://bucket/a.png: there is no such file"),
        (
            ["s3://none/a.png", "-o", f"{tmp_path}/"],
            "s3://none/a.png: there is no such bucket",
        ),
        ([f"{tmp_path}/a.png", "-o", "s3://none/"], "s3://none: there is no such bucket"),
    )
    for words, sentence in cases:
        assert main(["upscale", *words, *options]) == 1
        assert sentence in capsys.readouterr().err


def test_a_large_tiff_is_written_strip_by_strip(tmp_path: Path, bucket: Any, model: str) -> None:
    Image.effect_noise((700, 500), 50).convert("RGB").save(tmp_path / "a.png")
    options = ["--scale", "6", "--model", model, "--memory", "34MB", "--precision", "fp32"]
    for output in (str(tmp_path / "a.tif"), "s3://bucket/a.tif"):
        words = ["upscale", str(tmp_path / "a.png"), "-o", output, *options]
        run = [sys.executable, "-m", "ccsr", *words]
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        assert "in strips" in done.stderr
    assert bucket.cat_file("bucket/a.tif") == (tmp_path / "a.tif").read_bytes()
