"""Pictures of floats: TIFF and PFM in and out, and what becomes of them elsewhere."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from ccsr import image
from ccsr.image import Metadata, Picture, tiff_floats, tiff_writing

SIZE = (37, 53)


def noise(channels: int, dtype: Any = np.float32, size: tuple[int, int] = SIZE) -> np.ndarray:
    """From -3 to 40, and alpha in [0, 1]."""
    values = np.random.default_rng(0).uniform(-3, 40, (*size, channels))
    if channels in (2, 4):
        values[..., -1] = values[..., -1].clip(0, 1)
    return values.astype(dtype)


def read(path: Path) -> np.ndarray:
    (frame,) = image.read(path).frames
    return frame


def kind(channels: int) -> dict[str, Any]:
    return {
        "photometric": "rgb" if channels > 2 else "minisblack",
        "extrasamples": ["unassalpha"] if channels in (2, 4) else None,
    }


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">", "compression": "zlib"},
        {"tile": (16, 32)},
        {"planarconfig": "separate", "rowsperstrip": 5},
    ],
    ids=str,
)
def test_tiff_as_others_write_it(
    tmp_path: Path, channels: int, dtype: Any, options: dict[str, Any]
) -> None:
    values = noise(channels, dtype)
    if channels == 1:
        options = {key: value for key, value in options.items() if key != "planarconfig"}
    stored = np.moveaxis(values, 2, 0) if "planarconfig" in options else values
    tifffile.imwrite(tmp_path / "a.tif", stored.squeeze(), **kind(channels), **options)
    got = read(tmp_path / "a.tif")
    assert got.dtype == np.float32
    assert np.array_equal(got, values.astype(np.float32))
    assert image.probe(tmp_path / "a.tif").size == SIZE


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("strip", [1, 5000, 1 << 20])
@pytest.mark.parametrize("big", [False, True])
def test_tiff_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int, strip: int, big: bool
) -> None:
    monkeypatch.setattr(tiff_writing, "_STRIP", strip)
    monkeypatch.setattr(tiff_writing, "LARGEST", 0 if big else 1 << 30)
    values = noise(channels)
    other = np.full((3, 4, 3), 200, np.uint8)
    dropped = image.write(Picture((values, other)), tmp_path / "a.tif")
    got = image.read(tmp_path / "a.tif")
    assert np.array_equal(got.frames[0], values)
    assert np.array_equal(got.frames[1], other)
    assert dropped == got.dropped == ()
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].dtype == np.float32
        assert file.pages[0].sampleformat == 3
    if channels == 1:  # libtiff undoes the predictor
        with Image.open(tmp_path / "a.tif") as opened:
            assert np.array_equal(np.asarray(opened), values[..., 0])


@pytest.mark.parametrize("channels", [1, 3])
def test_the_predictor_is_that_of_the_technical_note(channels: int) -> None:
    """Written out: planes of bytes, the highest first; each less the one a pixel to the left."""
    values = noise(channels, size=(2, 5))
    for row, got in zip(values, tiff_floats.predicted(values), strict=True):
        samples = [struct.pack(">f", value) for value in row.ravel()]
        plain = [sample[byte] for byte in range(4) for sample in samples]
        expected = [
            (byte - (plain[i - channels] if i >= channels else 0)) % 256
            for i, byte in enumerate(plain)
        ]
        assert got.tolist() == expected
    data = tiff_floats.predicted(values).tobytes()
    assert np.array_equal(tiff_floats.restored(data, 5, channels, 4), values)


def with_predictor(path: Path, values: np.ndarray, **options: Any) -> None:
    """A file whose pixels are replaced by those with the predictor, uncompressed ones excepted."""
    import zlib

    planar = options.get("planarconfig") == "separate"
    tile = options.get("tile")
    planes = [values[..., i : i + 1] for i in range(values.shape[2])] if planar else [values]
    down, across = tile or (7, values.shape[1])

    def segments() -> Any:
        for plane in planes:
            for top in range(0, plane.shape[0], down):
                for left in range(0, plane.shape[1], across):
                    part = plane[top : top + down, left : left + across]
                    if tile:
                        rest = [(0, down - part.shape[0]), (0, across - part.shape[1]), (0, 0)]
                        part = np.pad(part, rest)
                    yield zlib.compress(tiff_floats.predicted(part).tobytes())

    stored = np.moveaxis(values, 2, 0) if planar else values
    with tifffile.TiffWriter(path) as file:
        file.write(
            segments(), shape=stored.shape, dtype=values.dtype, compression="zlib",
            metadata=None, software="?" * 8, rowsperstrip=None if tile else 7,
            **kind(values.shape[2]), **options,
        )  # fmt: skip
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        place = file.pages[0].tags["Software"].offset
    struct.pack_into("<HHIHH", content, place, 317, 3, 1, 3, 0)  # takes the place of the text
    path.write_bytes(content)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 32)}, {"planarconfig": "separate"}], ids=str)
def test_tiff_with_that_predictor(
    tmp_path: Path, channels: int, dtype: Any, options: dict[str, Any]
) -> None:
    values = noise(channels, dtype)
    with_predictor(tmp_path / "a.tif", values, **options)
    assert np.array_equal(read(tmp_path / "a.tif"), values.astype(np.float32))


def test_truncated_floats(tmp_path: Path) -> None:
    image.write(Picture((noise(3),)), tmp_path / "a.tif")
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[:-500])
    with pytest.raises(OSError, match=r"cannot read .*a\.tif"):
        image.read(tmp_path / "a.tif")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("channels", [1, 3])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, bad: float, channels: int) -> None:
    values = noise(channels, np.float64)
    values[3, 4, 0] = bad
    tifffile.imwrite(tmp_path / "a.tif", values.squeeze(), **kind(channels))
    with pytest.raises(OSError, match=r"cannot read .*: 1 of its values are not finite .* replace"):
        image.read(tmp_path / "a.tif")


def test_alpha_is_brought_into_its_range(tmp_path: Path) -> None:
    values = noise(4)
    values[0, :3, 3] = (-1, 0.5, 7)
    tifffile.imwrite(tmp_path / "a.tif", values, **kind(4))
    assert read(tmp_path / "a.tif")[0, :3, 3].tolist() == [0, 0.5, 1]


def test_colours_that_were_multiplied_by_alpha(tmp_path: Path) -> None:
    values = noise(4)
    values[..., 3] = np.linspace(0, 1, values.shape[1])
    stored = values.copy()
    stored[..., :3] *= values[..., 3:]
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    got = read(tmp_path / "a.tif")
    assert got[:, 1:] == pytest.approx(values[:, 1:], rel=1e-6)
    assert (got[:, 0] == stored[:, 0]).all()


@pytest.mark.parametrize(("suffix", "bits"), [(".png", 16), (".jpg", 8), (".webp", 8)])
def test_other_formats_get_what_they_hold(tmp_path: Path, suffix: str, bits: int) -> None:
    values = np.array([[[-1, 0, 0.25], [0.5, 1, 3]]], np.float32).repeat(8, 0).repeat(8, 1)
    options = image.Output(lossless=suffix == ".webp")
    dropped = image.write(Picture((values,)), tmp_path / f"a{suffix}", options)
    precision = f"precision (32-bit floats became {bits} bits)"
    assert dropped == (precision, "values beyond black and white")
    got = read(tmp_path / f"a{suffix}") / (65535 if bits == 16 else 255)
    tolerance = 0.05 if suffix == ".jpg" else 0.003
    assert got == pytest.approx(values.clip(0, 1), abs=tolerance)
    assert image.write(Picture((values.clip(0, 1),)), tmp_path / f"a{suffix}")[0] == precision


def test_a_background_behind_floats(tmp_path: Path) -> None:
    values = np.array([[[2.0, 0.5], [8.0, 0.0]]], np.float32)
    white = image.Output(background=(255, 255, 255))
    image.write(Picture((values,)), tmp_path / "a.pfm", white)
    assert read(tmp_path / "a.pfm").tolist() == [[[1.5], [1.0]]]


def test_pillows_floats_stay_floats() -> None:
    values = noise(1)
    picture = Picture.of(Image.fromarray(values[..., 0]))
    assert np.array_equal(picture.frames[0], values)
    assert picture.to_pil().mode == "F"
    assert np.array_equal(np.asarray(picture.to_pil()), values[..., 0])


@pytest.mark.parametrize("channels", [1, 3])
def test_pfm(tmp_path: Path, channels: int) -> None:
    values = noise(channels)
    exif = Image.Exif()
    exif[271] = "Maker"
    described = Metadata(exif=exif.tobytes(), dpi=(300, 300))
    dropped = image.write(Picture((values,), described), tmp_path / "a.pfm")
    assert dropped == ("EXIF", "resolution")
    assert np.array_equal(read(tmp_path / "a.pfm"), values)
    assert image.probe(tmp_path / "a.pfm")[:3] == (SIZE, 1, False)
    assert image.named_as_image("a.pfm")
    if channels == 1:
        with Image.open(tmp_path / "a.pfm") as opened:
            assert np.array_equal(np.asarray(opened), values[..., 0])


@pytest.mark.parametrize(("scale", "order"), [(b"-1.0", "<"), (b"2.5e0", ">")])
def test_pfm_as_others_write_it(tmp_path: Path, scale: bytes, order: str) -> None:
    values = noise(3, size=(2, 3))
    stored = values[::-1].astype(f"{order}f4").tobytes()  # the lowest row first
    (tmp_path / "a.pfm").write_bytes(b"PF\n3 2\n" + scale + b"\n" + stored)
    assert np.array_equal(read(tmp_path / "a.pfm"), values)
    (tmp_path / "a.pfm").write_bytes(b"PF\n3 2\n" + scale + b"\n" + stored[:-1])
    with pytest.raises(OSError, match=r"a\.pfm: image file is truncated"):
        image.read(tmp_path / "a.pfm")
    (tmp_path / "a.pfm").write_bytes(b"PF 3 x")
    with pytest.raises(OSError, match=r"a\.pfm: not an image of a known kind, or damaged"):
        image.read(tmp_path / "a.pfm")


def test_pfm_of_whole_numbers_and_what_it_cannot_hold(tmp_path: Path) -> None:
    values = np.array([[[0], [51], [255]]], np.uint8)
    image.write(Picture((values,)), tmp_path / "a.pfm")
    assert read(tmp_path / "a.pfm")[0, :, 0] == pytest.approx([0, 0.2, 1])
    with pytest.raises(ValueError, match="PFM does not hold the 2 pages"):
        image.check(tmp_path / "a.pfm", Picture((values, values)))
    with pytest.raises(ValueError, match="PFM has no transparency"):
        image.check(tmp_path / "a.pfm", Picture((noise(4),)))
