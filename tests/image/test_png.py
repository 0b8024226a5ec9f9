"""PNG as it is written here, read as the specification says and by Pillow."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ccsr import image
from ccsr.bundled import resource_dir
from ccsr.image import Metadata, Picture, png


def smooth(shape: tuple[int, int, int], dtype: type) -> np.ndarray:
    """Waves and some noise: every branch of the prediction occurs, and bytes wrap around."""
    rng = np.random.default_rng(0)
    y, x, c = np.ogrid[: shape[0], : shape[1], : shape[2]]
    waves = 0.5 + 0.45 * np.sin(x / 5 + c) * np.cos(y / 7) + 0.1 * rng.standard_normal(shape)
    highest = np.iinfo(dtype).max
    return (waves * highest).clip(0, highest).astype(dtype)


def by_specification(path: Path, channels: int, dtype: np.dtype) -> np.ndarray:
    """Levels of a PNG whose rows all have Paeth's filter; zlib compares the checksum."""
    content = path.read_bytes()
    width, height, bits = struct.unpack(">IIB", content[16:25])
    assert bits == 8 * dtype.itemsize
    packed, position = b"", 8
    while position < len(content):
        length, kind = struct.unpack(">I4s", content[position : position + 8])
        packed += content[position + 8 : position + 8 + length] if kind == b"IDAT" else b""
        position += 12 + length
    step = channels * dtype.itemsize
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * step)
    assert (rows[:, 0] == 4).all()
    known = np.zeros((height + 1, step + width * step), int)
    for y, x in np.ndindex(height, width * step):
        a, b, c = known[y + 1, x], known[y, x + step], known[y, x]
        p = a + b - c
        nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        known[y + 1, x + step] = (rows[y, 1 + x] + nearest) % 256
    levels = known[1:, step:].astype(np.uint8).tobytes()
    return np.frombuffer(levels, dtype.newbyteorder(">")).reshape(height, width, channels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (23, 1), (23, 17)])
@pytest.mark.parametrize("portion", [1, 300, 1 << 18])
def test_other_readers_give_back_every_level(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dtype: type,
    channels: int,
    size: tuple[int, int],
    portion: int,
) -> None:
    monkeypatch.setattr(png, "_PORTION", portion)  # strips of one row, of some rows, one strip
    values = smooth((*size, channels), dtype)
    png.write(tmp_path / "a.png", values, Metadata())
    assert np.array_equal(by_specification(tmp_path / "a.png", channels, values.dtype), values)
    (frame,) = image.read(tmp_path / "a.png").frames
    assert np.array_equal(frame, values)


@pytest.mark.parametrize("step", [1, -1])
def test_rows_that_are_no_copy_in_memory(tmp_path: Path, step: int) -> None:
    values = smooth((9, 11, 4), np.uint8)[::step, ::step, :3]
    png.write(tmp_path / "a.png", values, Metadata())
    with Image.open(tmp_path / "a.png") as opened:
        assert np.array_equal(np.asarray(opened), values)


def test_photos_need_fewer_bytes_than_in_the_usual_way(tmp_path: Path) -> None:
    with Image.open(resource_dir("samples") / "chelsea.png") as photo:
        part = photo.crop((100, 50, 220, 130))
    enlarged = part.resize((480, 320), Image.Resampling.BICUBIC)
    image.write(Picture.of(enlarged), tmp_path / "ours.png")
    enlarged.save(tmp_path / "usual.png", compress_level=4)
    ours, usual = ((tmp_path / name).stat().st_size for name in ("ours.png", "usual.png"))
    assert ours < usual


def test_graphics_that_repeat_stay_small(tmp_path: Path) -> None:
    tile = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    values = np.tile(tile, (16, 16, 1))
    png.write(tmp_path / "a.png", values, Metadata())
    assert (tmp_path / "a.png").stat().st_size < values.nbytes / 10
