import re
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.ExifTags import Base

from ccsr import image
from ccsr.choices import Exists, FileFormat, Policy, Precision
from ccsr.cli import upscale_options
from ccsr.cli.main import main
from ccsr.jobs import large_tiff
from ccsr.model import build, checkpoint
from ccsr.upscaling.upscaler import Upscaler

RDF = b"http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def upscale(photo: Path, model: str, *options: str) -> int:
    return main(["upscale", str(photo), "--model", model, *options])


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_file_options(photo: Path, model: str) -> None:
    with Image.open(photo) as opened:
        opened.save(photo, dpi=(300, 300))
    options = ("--scale", "2", "--quiet", "--exists", "overwrite", "--format")
    assert upscale(photo, model, *options, "jpg", "--quality", "30") == 0
    small = photo.with_name("photo_2x.jpg").stat().st_size
    assert image.read(photo.with_name("photo_2x.jpg")).metadata.dpi == (300, 300)
    assert upscale(photo, model, *options, "same", "--metadata", "strip") == 0
    assert photo.with_name("photo_2x.jpg").stat().st_size > small
    assert image.read(photo.with_name("photo_2x.jpg")).metadata.dpi is None
    assert upscale(photo, model, *options, "webp", "--lossless") == 0
    assert b"VP8L" in photo.with_name("photo_2x.webp").read_bytes()


def test_a_background_for_transparency(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGBA", (8, 6)).save(tmp_path / "a.png")
    options = ("--scale", "2", "-o", str(tmp_path / "a.jpg"))
    assert upscale(tmp_path / "a.png", model, *options) == 1
    assert "put a colour behind it by --background" in capsys.readouterr().err
    assert upscale(tmp_path / "a.png", model, *options, "--background", "#ff0000") == 0
    assert np.abs(image.read(tmp_path / "a.jpg").frames[0] - np.float32([255, 0, 0])).max() < 4


@pytest.mark.parametrize("choice", ["jpg", "same", "webp"])
def test_a_format_that_the_name_contradicts_is_refused(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str], choice: str
) -> None:
    options = ("--scale", "2", "--format", choice, "--dry-run", "-o")
    assert upscale(photo, model, *options, str(photo.with_name("large.png"))) == 1
    assert f"large.png says another format than --format {choice}" in capsys.readouterr().err
    fitting = "large.webp" if choice == "webp" else "large.JPEG"
    assert upscale(photo, model, *options, str(photo.with_name(fitting))) == 0


def test_the_largest_input(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    assert upscale(photo, model, "--scale", "2", "--max-pixels", "199") == 1
    assert "photo.jpg: it has more than 0.000199 million pixels" in capsys.readouterr().err
    assert upscale(photo, model, "--scale", "2", "--max-pixels", "200") == 0


def test_what_became_of_the_file_is_said(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("CMYK", (8, 6)).save(tmp_path / "ink.jpg")
    frames = tuple(np.full((6, 8, 3), level, np.uint8) for level in (0, 99))
    image.write(image.Picture(frames, durations=(50, 50)), tmp_path / "a.gif")
    assert main(["upscale", str(tmp_path), "--scale", "2", "--model", model]) == 0
    said = capsys.readouterr().err
    assert "a_2x.png (16x12, 2 frames)" in said
    assert "ink_2x.png (16x12, CMYK converted to RGB)" in said


@pytest.mark.parametrize(
    ("option", "words", "thing"),
    [
        ("--format", FileFormat, lambda word: image.Output(format=word).format),
        ("--metadata", Policy, lambda word: image.Output(metadata=word).metadata),
        ("--precision", Precision, lambda word: word),
        ("--exists", Exists, lambda word: word),
    ],
)
def test_the_words_are_those_of_what_they_choose(option: str, words, thing) -> None:
    for word in get_args(words):
        args = upscale_options.parser().parse_args(["a.png", "--scale", "2", option, word])
        assert getattr(args, option[2:]) == thing(word)
    with pytest.raises(SystemExit):
        upscale_options.parser().parse_args(["a.png", "--scale", "2", option, "other"])


@pytest.mark.parametrize(
    ("options", "name", "size"),
    [
        (["--scale", "2.37"], "photo_2.37x.png", (47, 24)),
        (["--scale", "2x1.5"], "photo_2x1.5x.png", (40, 15)),
        (["--scale", "0.5x2"], "photo_0.5x2x.png", (10, 20)),
        (["--size", "31x17"], "photo_31x17.png", (31, 17)),
        (["--width", "30"], "photo_30w.png", (30, 15)),
        (["--height", "30"], "photo_30h.png", (60, 30)),
        (["--width", "31", "--height", "17"], "photo_31x17.png", (31, 17)),
        (["--longest", "33"], "photo_33longest.png", (33, 17)),
        (["--shortest", "33"], "photo_33shortest.png", (66, 33)),
        (["--fit", "30x30"], "photo_30x30fit.png", (30, 15)),
        (["--cover", "30x30"], "photo_30x30cover.png", (60, 30)),
        (["--at-least", "30x5"], "photo_30x5atleast.png", (30, 15)),
        (["--at-least", "9x5"], "photo_9x5atleast.png", (20, 10)),
        (["--megapixels", "0.0008"], "photo_0.0008mp.png", (40, 20)),
        (["--print", "2.54x5cm@20"], "photo_2.54x5cm20dpi.png", (20, 10)),
        (["--scale", "2", "--tile", "16", "--precision", "bf16"], "photo_2x.png", (40, 20)),
    ],
)
def test_sizes_and_names(
    photo: Path, model: str, options: list[str], name: str, size: tuple[int, int]
) -> None:
    before = photo.read_bytes()
    assert upscale(photo, model, *options, "--quiet") == 0
    assert size_of(photo.parent / name) == size
    assert photo.read_bytes() == before
    assert sorted(p.name for p in photo.parent.iterdir()) == sorted(["photo.jpg", name])


def test_the_result_is_that_of_python(photo: Path, model: str) -> None:
    assert upscale(photo, model, "--scale", "2x1.5", "--precision", "fp32") == 0
    expected = Upscaler.load(model, precision="fp32")(image.read(photo), scale=(1.5, 2.0))
    (written,) = image.read(photo.parent / "photo_2x1.5x.png").frames
    assert np.array_equal(written, expected.frames[0])


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "avif", "bmp"])
@pytest.mark.parametrize("words", [["--print", "5x5cm@20"], ["--longest", "39", "--dpi", "20"]])
def test_the_resolution_that_is_asked_for_is_told_by_every_format(
    photo: Path, model: str, suffix: str, words: list[str]
) -> None:
    with Image.open(photo) as picture:
        exif = picture.getexif()
        exif[Base.XResolution] = exif[Base.YResolution] = 300
        exif[Base.Artist] = "A"
        xmp = (
            b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><r:RDF xmlns:r='"
            + RDF
            + b"""'><r:Description
            xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:XResolution='300/1' tiff:Make='M'/>
            </r:RDF></x:xmpmeta>"""
        )
        picture.save(photo, exif=exif, dpi=(300, 300), xmp=xmp)
    output = photo.with_name(f"out.{suffix}")
    assert upscale(photo, model, *words, "-o", str(output), "--quiet") == 0
    assert size_of(output) == (39, 20)
    with Image.open(output) as picture:
        told = picture.getexif()
        assert suffix == "bmp" or told[Base.Artist] == "A"
        assert told.get(Base.XResolution, 20) == told.get(Base.YResolution, 20) == 20
        assert picture.info.get("dpi", (20, 20)) == pytest.approx((20, 20), rel=0.01)
        assert "dpi" in picture.info or told[Base.ResolutionUnit] == 2
    assert b"300/1" not in output.read_bytes()
    assert suffix == "bmp" or b"tiff:Make" in output.read_bytes()


@pytest.mark.parametrize("suffix", ["gif", "pfm", "exr"])
def test_a_resolution_that_the_format_cannot_tell_is_refused(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    assert upscale(photo, model, "--scale", "2", "--dpi", "300", "-o", f"a.{suffix}") == 1
    assert f"{suffix.upper()} does not hold a resolution: use .png" in capsys.readouterr().err


def test_the_longest_side_is_that_of_the_picture_as_it_is_seen(photo: Path, model: str) -> None:
    with Image.open(photo) as picture:
        exif = picture.getexif()
        exif[Base.Orientation] = 6
        picture.save(photo, exif=exif)
    assert upscale(photo, model, "--width", "15", "--quiet") == 0
    assert size_of(photo.with_name("photo_15w.png")) == (15, 30)
    assert upscale(photo, model, "--cover", "15x15", "--quiet") == 0
    assert size_of(photo.with_name("photo_15x15cover.png")) == (15, 30)


def test_an_ensemble_is_that_of_python(photo: Path, model: str) -> None:
    options = ("--scale", "2", "--precision", "fp32", "--ensemble", "flips")
    assert upscale(photo, model, *options) == 0
    upscaler = Upscaler.load(model, precision="fp32", ensemble="flips")
    expected = upscaler(image.read(photo), scale=2.0)
    (written,) = image.read(photo.parent / "photo_2x.png").frames
    assert np.array_equal(written, expected.frames[0])


def test_an_effort_is_that_of_python(photo: Path, tmp_path: Path) -> None:
    field = {"name": "fourier", "kernel_size": 3, "basis": 4}
    encoder = {"name": "elastic", "channels": 6, "blocks": 1, "field": field}
    network = build(encoder, {"name": "friendly", "field": field}, {"name": "identity"})
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    model = str(tmp_path / "elastic.safetensors")
    checkpoint.save(model, network, {})
    assert upscale(photo, model, "--scale", "2", "--precision", "fp32", "--effort", "0.25") == 0
    expected = Upscaler.load(model, precision="fp32", effort=0.25)(image.read(photo), scale=2)
    (written,) = image.read(photo.parent / "photo_2x.png").frames
    assert np.array_equal(written, expected.frames[0])


def test_a_large_tiff_is_streamed(
    photo: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = photo.with_suffix(".tif")
    options = ["--scale", "2.37", "--precision", "fp32", "-o", str(output)]
    assert upscale(photo, model, *options) == 0
    whole = output.read_bytes()
    monkeypatch.setattr(large_tiff, "worthwhile", lambda *args: True)
    options += ["--exists", "overwrite", "--memory", "100MB"]
    assert upscale(photo, model, *options) == 0
    assert output.read_bytes() == whole
    assert "photo.tif (47x24, in strips) in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], r"give one of --scale, .* for example: ccsr upscale photo\.jpg --scale 2\.37"),
        (["--scale", "2", "--width", "9"], "give one of"),
        (["--scale", "-2"], "expected a positive factor such as 2.37.* got '-2'"),
        (["--scale", "nan"], "got 'nan'"),
        (["--scale", "1x2x3"], "got '1x2x3'"),
        (["--size", "100"], "expected WIDTHxHEIGHT such as 1920x1080, got '100'"),
        (["--size", "100x0"], "expected a whole number of at least 1, got '0'"),
        (["--width", "2.5"], "expected a whole number"),
        (["--longest", "0"], "--longest: expected a whole number of at least 1, got '0'"),
        (["--fit", "9"], "--fit: expected WIDTHxHEIGHT such as 1920x1080, got '9'"),
        (["--megapixels", "none"], "--megapixels: expected a number above 0, got 'none'"),
        (["--print", "30x20cm"], "such as 30x20cm@300, got '30x20cm'"),
        (["--print", "30x20ft@300"], "in cm, mm or in, .* got '30x20ft@300'"),
        (["--print", "30x20cm@300", "--dpi", "300"], "--print says the resolution already"),
        (["--longest", "9", "--fit", "9x9"], "give one of --scale, .*--print, or --width"),
        (["--scale", "2", "--dpi", "0"], "expected a number above 0, got '0'"),
        (["--scale", "2", "--dpi", "0.5"], "from 1 to 100000, got '0.5'"),
        (["--scale", "2", "--shard", "3/2"], "expected a shard such as 2/8.* got '3/2'"),
        (["--scale", "2", "--tile", "x"], "expected a whole number"),
        (["--scale", "2", "--memory", "x"], "expected an amount such as 500MB or 2GB, got 'x'"),
        (["--scale", "2", "--exists", "maybe"], "invalid choice: 'maybe'"),
    ],
)
def test_usage_errors(
    photo: Path, model: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        upscale(photo, model, *options)
    assert caught.value.code == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "out.xyz"], "ccsr: error: cannot write out.xyz: no known format"),
        (["--model", "lihgt"], "ccsr: error: no model called 'lihgt'"),
        (["--model", "/none.safetensors"], "ccsr: error: no model file at /none.safetensors"),
        (["--device", "gpu"], "ccsr: error: device must be"),
        (["--tile", "3"], "ccsr: error: tile must be auto, off or at least 16, got 3"),
        (["--ensemble", "scales:3"], "ccsr: error: ensemble must be flips, or empty for none"),
        (["--effort", "2"], "ccsr: error: effort must be 0.25 to 1, or auto:SECONDS"),
        (["--effort", "0.5"], "ccsr: error: this network always works at full effort"),
        (["--effort", "auto:9"], "ccsr: error: this network always works at full effort"),
    ],
)
def test_errors_are_one_line(
    photo: Path, model: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert upscale(photo, model, "--scale", "2", *options) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_debug_shows_the_traceback(photo: Path, model: str) -> None:
    with pytest.raises(ValueError, match="no known format"):
        upscale(photo, model, "--scale", "2", "-o", "out.xyz", "--debug")


def test_transparency_into_jpeg_is_refused(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGBA", (4, 4)).save(tmp_path / "logo.png")
    out = tmp_path / "logo.jpg"
    assert upscale(tmp_path / "logo.png", model, "--scale", "2", "-o", str(out)) == 1
    assert "JPEG has no transparency and the picture has: use .png" in capsys.readouterr().err
    assert not out.exists()


def test_quiet_is_silent(photo: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert upscale(photo, model, "--scale", "2", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_a_line_that_is_rewritten(
    photo: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    assert upscale(photo, model, "--scale", "4", "--tile", "40") == 0
    *updates, last = capsys.readouterr().err.split("\r\x1b[K")[1:]
    assert re.search(r"50 %, \d+:\d\d:\d\d left$", updates[1])
    assert all(len(update) < 60 for update in updates)
    assert last.endswith("s\n")


def test_an_interrupt_leaves_nothing_and_exits_130(
    photo: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    assert upscale(photo, model, "--scale", "2", "--quiet") == 130
    expected = (
        f"ccsr: interrupted: 0 of 1 pictures are finished, 1 remain, from {photo} on: "
        "the same command with --exists skip goes on"
    )
    assert expected in capsys.readouterr().err
    assert list(photo.parent.iterdir()) == [photo]
