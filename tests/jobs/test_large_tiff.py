from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from ccsr import Upscaler, image
from ccsr.bundled import resource_dir
from ccsr.image import Metadata, Picture, profiles
from ccsr.jobs import large_tiff
from ccsr.model import build

FIELD = {"name": "fourier", "kernel_size": 3, "basis": 4}


@pytest.fixture
def upscaler() -> Upscaler:
    torch.manual_seed(0)
    model = build(
        {"name": "plain", "channels": 8, "blocks": 1},
        {"name": "friendly", "channels": 8, "field": FIELD},
        {"name": "identity"},
    )
    torch.nn.init.normal_(model.stack.layers[-1].weight, std=0.1)
    return Upscaler(model, precision="fp32", memory=32 << 20)


def photo(channels: int, kind: Any) -> np.ndarray:
    with Image.open(resource_dir("samples") / "chelsea.png") as opened:
        picture = opened.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]).resize((131, 93))
    values = np.asarray(picture).reshape(93, 131, channels).astype(kind)
    if channels in (2, 4):
        values[:30, :40, -1] = 0
    if kind is np.float32:
        values[..., :3] *= 5 if channels in (1, 3) else 1
        return values / np.float32(255)
    return values * (257 if kind is np.uint16 else 1)


@pytest.mark.thinned(2)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("size", [(280, 530), (93, 131)])
def test_the_file_holds_what_the_whole_would_be(
    tmp_path: Path,
    upscaler: Upscaler,
    monkeypatch: pytest.MonkeyPatch,
    channels: int,
    kind: Any,
    size: tuple[int, int],
) -> None:
    monkeypatch.setattr(large_tiff, "STRIP", 256)
    values = photo(channels, kind)
    shares: list[float] = []
    large_tiff.enlarge(upscaler, values, tmp_path / "a.tif", size=size, progress=shares.append)
    expected = upscaler.levels(values, size=size)
    (written,) = image.read(tmp_path / "a.tif").frames
    assert written.dtype == kind
    if kind is np.float32:
        np.testing.assert_allclose(written, expected, rtol=0, atol=1e-5)
    else:
        assert np.array_equal(tifffile.imread(tmp_path / "a.tif").reshape(written.shape), written)
        assert np.abs(written.astype(int) - expected).max() <= 1
    assert shares[-1] == 1
    if kind is np.uint8:
        with Image.open(tmp_path / "a.tif") as opened:
            assert np.array_equal(np.asarray(opened).reshape(expected.shape), written)


def test_nothing_is_left_of_a_file_that_fails(
    tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strips(*args: object, **options: object) -> Iterator[np.ndarray]:
        yield np.zeros((256, 131, 3), np.uint8)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(upscaler, "strips", strips)
    with pytest.raises(OSError, match=r"cannot write .*a\.tif: No space left on device"):
        large_tiff.enlarge(upscaler, photo(3, np.uint8), tmp_path / "a.tif", size=(512, 131))
    assert not list(tmp_path.iterdir())


def test_only_large_tiffs_are_streamed(upscaler: Upscaler) -> None:
    picture = Picture((photo(3, np.uint8),))
    deep, several = Picture((photo(3, np.uint16),)), Picture(picture.frames * 2)
    assert large_tiff.worthwhile(upscaler, picture, (4000, 4000), Path("a.TIF"))
    assert not large_tiff.worthwhile(upscaler, picture, (4000, 4000), Path("a.png"))
    assert not large_tiff.worthwhile(upscaler, picture, (3000, 3000), Path("a.tif"))
    assert large_tiff.worthwhile(upscaler, deep, (3000, 3000), Path("a.tif"))
    assert not large_tiff.worthwhile(upscaler, several, (4000, 4000), Path("a.tif"))


def test_what_the_host_cannot_hold_is_streamed(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = Picture((photo(3, np.uint8),))
    monkeypatch.setattr(large_tiff, "free_memory", lambda device: 4 * 3 * 1000 * 1000 - 1)
    assert large_tiff.worthwhile(upscaler, picture, (1000, 1000), Path("a.tif"))
    assert not large_tiff.worthwhile(upscaler, picture, (1000, 999), Path("a.tif"))


def test_a_streamed_file_is_the_same_as_a_whole_one(
    tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte by byte, with all that is said about the picture."""
    exif = Image.Exif()
    exif[306], exif[305] = "2026:01:02 03:04:05", "Jörgs Kamera".encode()
    exif.get_ifd(0x8769)[0x829A] = 0.005
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    described = Metadata(profiles.adobe().profile(3), exif.tobytes(), xmp, (300, 300))
    values = photo(3, np.uint8)
    monkeypatch.setattr(large_tiff, "STRIP", 100)
    size = (2000, 700)  # two strips of the file
    large_tiff.enlarge(upscaler, values, tmp_path / "a.tif", size=size, metadata=described)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        whole = file.asarray()
    image.write(Picture((whole,), described), tmp_path / "b.tif")
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    written = image.read(tmp_path / "a.tif").metadata
    assert (written.dpi, written.xmp, written.profile) == ((300, 300), xmp, described.profile)
    kept = Image.Exif()
    kept.load(written.exif)
    assert kept[306] == "2026:01:02 03:04:05"
    assert kept[305].encode("latin-1").decode() == "Jörgs Kamera"
    assert float(kept.get_ifd(0x8769)[0x829A]) == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("width", "rows"), [(5_000, 690), (20_000, 170), (60_000, 60), (2_000_000, 1)]
)
def test_strips_keep_to_the_memory(
    tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch, width: int, rows: int
) -> None:
    """Two pieces, and what is compressed of them, take at most 32 MiB: whole strips of the file."""
    heights: list[int] = []

    def strips(values: np.ndarray, height: int, **options: object) -> Iterator[np.ndarray]:
        heights.append(height)
        for top in range(0, 30, height):
            yield np.zeros((min(height, 30 - top), width, 3), np.uint8)

    monkeypatch.setattr(upscaler, "strips", strips)
    large_tiff.enlarge(upscaler, photo(3, np.uint8), tmp_path / "a.tif", size=(30, width))
    assert heights == [rows]
    assert 3 * rows * width * 3 <= 32 << 20


def test_a_row_that_is_too_long_is_refused(tmp_path: Path, upscaler: Upscaler) -> None:
    with pytest.raises(RuntimeError, match=r"a row of 9000000 pixels needs .* 32\.0 MiB may be"):
        large_tiff.enlarge(upscaler, photo(3, np.uint8), tmp_path / "a.tif", size=(9, 9_000_000))
    assert not list(tmp_path.iterdir())
