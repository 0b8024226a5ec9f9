from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from ccsr import Upscaler, image
from ccsr.bundled import resource_dir
from ccsr.image import Metadata, Picture
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


def photo(channels: int, kind: type[np.unsignedinteger]) -> np.ndarray:
    with Image.open(resource_dir("samples") / "chelsea.png") as opened:
        picture = opened.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]).resize((131, 93))
    values = np.asarray(picture).reshape(93, 131, channels).astype(kind)
    if channels in (2, 4):
        values[:30, :40, -1] = 0
    return values * (257 if kind is np.uint16 else 1)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(280, 530), (93, 131)])
def test_the_file_holds_what_the_whole_would_be(
    tmp_path: Path,
    upscaler: Upscaler,
    monkeypatch: pytest.MonkeyPatch,
    channels: int,
    kind: type[np.unsignedinteger],
    size: tuple[int, int],
) -> None:
    monkeypatch.setattr(large_tiff, "STRIP", 256)
    values = photo(channels, kind)
    shares: list[float] = []
    large_tiff.enlarge(upscaler, values, tmp_path / "a.tif", size=size, progress=shares.append)
    expected = upscaler.levels(values, size=size)
    written = tifffile.imread(tmp_path / "a.tif").reshape(expected.shape)
    assert written.dtype == kind
    assert np.abs(written.astype(int) - expected).max() <= 1
    assert shares[-1] == 1
    if kind is np.uint8:
        with Image.open(tmp_path / "a.tif") as opened:
            assert np.array_equal(np.asarray(opened).reshape(expected.shape), written)


def test_it_is_tiled_compressed_and_keeps_the_profile(tmp_path: Path, upscaler: Upscaler) -> None:
    profile = bytes(16) + b"RGB " + bytes(108)
    values = photo(3, np.uint8)
    large_tiff.enlarge(upscaler, values, tmp_path / "a.tiff", scale=4.5, metadata=Metadata(profile))
    with tifffile.TiffFile(tmp_path / "a.tiff") as file:
        page = file.pages.first
        assert (page.tilelength, page.tilewidth) == (256, 256)
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert page.iccprofile == profile
        assert not file.is_bigtiff
    assert [path.name for path in tmp_path.iterdir()] == ["a.tiff"]


def test_large_files_are_bigtiff(
    tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_tiff, "LARGEST_CLASSIC", 1000)
    large_tiff.enlarge(upscaler, photo(3, np.uint8), tmp_path / "a.tif", scale=1.5)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff


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


def test_descriptions_are_kept(tmp_path: Path, upscaler: Upscaler) -> None:
    exif = Image.Exif()
    exif[306], exif[305] = "2026:01:02 03:04:05", "Jörgs Kamera".encode()
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    described = Metadata(exif=exif.tobytes(), xmp=xmp, dpi=(300, 300))
    large_tiff.enlarge(
        upscaler, photo(3, np.uint8), tmp_path / "a.tif", scale=1.5, metadata=described
    )
    written = image.read(tmp_path / "a.tif").metadata
    assert (written.dpi, written.xmp) == ((300, 300), xmp)
    kept = Image.Exif()
    kept.load(written.exif)
    assert kept[306] == "2026:01:02 03:04:05"
    assert kept[305].encode("latin-1").decode() == "Jörgs Kamera"
    large_tiff.enlarge(upscaler, photo(3, np.uint8), tmp_path / "b.tif", scale=1.5)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert not {"Software", "XMP", "ImageDescription"} & {
            tag.name for tag in file.pages[0].tags
        }


@pytest.mark.parametrize(("width", "rows"), [(20_000, 512), (60_000, 256)])
def test_strips_keep_to_the_memory(
    tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch, width: int, rows: int
) -> None:
    heights: list[int] = []

    def strips(values: np.ndarray, height: int, **options: object) -> Iterator[np.ndarray]:
        heights.append(height)
        yield np.zeros((300, width, 3), np.uint8)

    monkeypatch.setattr(upscaler, "strips", strips)
    large_tiff.enlarge(upscaler, photo(3, np.uint8), tmp_path / "a.tif", size=(300, width))
    assert heights == [rows]
