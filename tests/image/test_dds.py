"""Textures of games: what Pillow does not tell of them."""

import struct
from pathlib import Path

import numpy as np
import pytest

from ccsr import image
from picture_parts import left, only

PIXELS = np.arange(64, dtype=np.uint8).reshape(4, 4, 4) + np.uint8([0, 0, 0, 128])


def dds(pixels: bytes, capabilities: int = 0, more: tuple[int, ...] = ()) -> bytes:
    code = b"DX10" if more else bytes(4)
    masks = (0xFF, 0xFF00, 0xFF0000, 0xFF000000)
    head = struct.pack("<4s7I44x", b"DDS ", 124, 0x1007, 4, 4, 0, 0, 1)
    head += struct.pack("<II4s5I", 32, 4 if more else 0x41, code, 32, *masks)
    return (
        head
        + struct.pack("<5I", 0x1000, capabilities, 0, 0, 0)
        + struct.pack(f"<{len(more)}I", *more)
        + pixels
    )


def test_a_texture_alone_is_whole(tmp_path: Path) -> None:
    assert left(tmp_path, "a.dds", dds(PIXELS.tobytes())) == ()
    assert np.array_equal(only(tmp_path / "a.dds"), PIXELS)


@pytest.mark.parametrize(
    ("capabilities", "more"),
    [(0xFE00, ()), (0x200000, (28, 4, 0, 1, 0)), (0, (28, 3, 0, 3, 0))],
    ids=["cube", "volume", "array"],
)
def test_other_pictures_in_it_are_said(
    tmp_path: Path, capabilities: int, more: tuple[int, ...]
) -> None:
    data = dds(PIXELS.tobytes() * 6, capabilities, more)
    assert left(tmp_path, "a.dds", data) == ("further pictures",)


def test_floats_are_said(tmp_path: Path) -> None:
    data = dds(bytes([3]) + b"\xff" * 15, 0, (95, 3, 0, 1, 0))
    assert left(tmp_path, "a.dds", data) == ("precision (16-bit floats read as 8 bits)",)


def test_a_colour_that_was_multiplied_is_divided(tmp_path: Path) -> None:
    (tmp_path / "a.dds").write_bytes(dds(PIXELS.tobytes(), 0, (28, 3, 0, 1, 2)))
    alpha = PIXELS[..., 3:].astype(float)
    expected = np.minimum(PIXELS[..., :3].astype(float) * 255 / alpha, 255)
    found = image.read(tmp_path / "a.dds").frames[0]
    np.testing.assert_allclose(found[..., :3], expected, atol=0.5)
    assert np.array_equal(found[..., 3], PIXELS[..., 3])
