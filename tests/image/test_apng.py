"""Animated PNG as its specification (PNG, third edition, 11.3.6 and 12.9) has it shown."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ccsr import image
from ccsr.image import Picture
from picture_formats import ALPHA, END, GREY, apng, chunk, deep, joined, rows

RED, BLUE = (255, 0, 0), (0, 0, 255)


def control(number: int, left: int, top: int, width: int, height: int, *, disposal: int = 0,
            blend: int = 0, delay: tuple[int, int] = (5, 100)) -> bytes:  # fmt: skip
    place = struct.pack(">IIIII", number, width, height, left, top)
    return chunk(b"fcTL", place + struct.pack(">HHBB", *delay, disposal, blend))


def file(size: tuple[int, int], kind: int, bits: int, *parts: bytes, plays: int = 2) -> bytes:
    head = struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, 0)
    frames = sum(part[4:8] == b"fcTL" for part in parts)
    start = chunk(b"IHDR", head), chunk(b"acTL", struct.pack(">II", frames, plays))
    return b"\x89PNG\r\n\x1a\n" + b"".join((*start, *parts, END))


def flat(colour: tuple[int, ...], width: int, height: int, bits: int = 8) -> bytes:
    values = np.zeros((height, width, len(colour)), np.uint16) + np.array(colour, np.uint16)
    return zlib.compress(rows(values, bits))


def first(colour: tuple[int, ...], width: int, height: int, bits: int = 8) -> bytes:
    return chunk(b"IDAT", flat(colour, width, height, bits))


def later(number: int, colour: tuple[int, ...], width: int, height: int, bits: int = 8) -> bytes:
    return chunk(b"fdAT", struct.pack(">I", number) + flat(colour, width, height, bits))


def read(tmp_path: Path, data: bytes) -> Picture:
    (tmp_path / "a.png").write_bytes(data)
    return image.read(tmp_path / "a.png")


@pytest.mark.parametrize("disposal", [0, 1, 2])
def test_what_becomes_of_a_frame(tmp_path: Path, disposal: int) -> None:
    """The second of three, in a file of opaque pixels: cleared is transparent all the same."""
    data = file(
        (4, 1), 2, 8, control(0, 0, 0, 4, 1), first(RED, 4, 1),
        control(1, 1, 0, 2, 1, disposal=disposal), later(2, BLUE, 2, 1),
        control(3, 3, 0, 1, 1), later(4, BLUE, 1, 1),
    )  # fmt: skip
    picture = read(tmp_path, data)
    third = picture.frames[2][0]
    middle = {0: (*BLUE, 255), 1: (0, 0, 0, 0), 2: (*RED, 255)}[disposal]
    assert third.shape[1] == (4 if disposal == 1 else 3)
    assert tuple(third[1]) == middle[: third.shape[1]]
    assert tuple(third[0])[:3] == RED
    assert tuple(third[3])[:3] == BLUE
    assert picture.durations == (50, 50, 50)
    assert picture.loop == 2


def test_a_first_frame_to_be_restored_is_cleared(tmp_path: Path) -> None:
    data = file(
        (2, 1), 6, 8, control(0, 0, 0, 2, 1, disposal=2), first((*RED, 255), 2, 1),
        control(1, 0, 0, 1, 1), later(2, (*BLUE, 255), 1, 1),
    )  # fmt: skip
    assert read(tmp_path, data).frames[1].tolist() == [[[*BLUE, 255], [0, 0, 0, 0]]]


@pytest.mark.parametrize("bits", [8, 16])
def test_one_frame_over_another(tmp_path: Path, bits: int) -> None:
    """Half of blue over half of red is three quarters opaque, two thirds of it blue."""
    most = 2**bits - 1
    half = most // 2 + 1
    data = file(
        (3, 1), 6, bits, control(0, 0, 0, 3, 1), first((most, 0, 0, half), 3, 1, bits),
        control(1, 0, 0, 1, 1, blend=1), later(2, (0, 0, most, half), 1, 1, bits),
        control(3, 1, 0, 1, 1, blend=1), later(4, (9, 9, 9, 0), 1, 1, bits),
        control(5, 2, 0, 1, 1, blend=0), later(6, (9, 9, 9, 0), 1, 1, bits),
    )  # fmt: skip
    frames = read(tmp_path, data).frames
    assert frames[0].dtype == (np.uint8 if bits == 8 else np.uint16)
    expected = np.array([1 / 3, 0, 2 / 3, 3 / 4]) * most
    assert np.abs(frames[1][0, 0] - expected).max() <= most / 200
    assert tuple(frames[2][0, 1]) == (most, 0, 0, half)  # nothing over it
    assert tuple(frames[3][0, 2]) == (9, 9, 9, 0)  # put there


@pytest.mark.parametrize("bits", [2, 8, 16])
def test_a_hidden_level_in_frames(tmp_path: Path, bits: int) -> None:
    key = chunk(b"tRNS", struct.pack(">H", 1))
    data = file(
        (2, 1), 0, bits, key, control(0, 0, 0, 2, 1), first((2,), 2, 1, bits),
        control(1, 0, 0, 1, 1), later(2, (1,), 1, 1, bits),
    )  # fmt: skip
    frames = read(tmp_path, data).frames
    step = {2: 85, 8: 1, 16: 1}[bits]
    opaque = 65535 if bits == 16 else 255
    assert frames[0][0].tolist() == [[2 * step, opaque]] * 2
    assert frames[1][0].tolist() == [[step, 0], [2 * step, opaque]]


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_with_alpha_stays_grey(tmp_path: Path, bits: int) -> None:
    values = joined(GREY, ALPHA) if bits == 8 else deep(joined(GREY, ALPHA))
    picture = read(tmp_path, apng([values, values[::-1]], 4, bits))
    assert np.array_equal(picture.frames[1], values[::-1])


def test_palettes_are_common_to_frames(tmp_path: Path) -> None:
    palette = chunk(b"PLTE", bytes((*RED, *BLUE)))
    data = file(
        (2, 1), 3, 8, palette, control(0, 0, 0, 2, 1), first((0,), 2, 1),
        control(1, 1, 0, 1, 1), later(2, (1,), 1, 1),
    )  # fmt: skip
    assert read(tmp_path, data).frames[1].tolist() == [[list(RED), list(BLUE)]]


def test_a_picture_for_other_viewers_is_no_frame_and_said(tmp_path: Path) -> None:
    data = file(
        (2, 1), 2, 8, first(RED, 2, 1), control(0, 0, 0, 2, 1, delay=(1, 0)), later(1, BLUE, 2, 1),
        control(2, 0, 0, 1, 1, delay=(1, 8)), later(3, RED, 1, 1),
    )  # fmt: skip
    picture = read(tmp_path, data)
    assert [frame[0].tolist() for frame in picture.frames] == [
        [list(BLUE)] * 2, [list(RED), list(BLUE)]
    ]  # fmt: skip
    assert picture.durations == (10, 125)  # of a hundredth, where no unit is told
    assert picture.dropped == ("default picture",)


def test_damaged_animations_are_refused(tmp_path: Path) -> None:
    whole = file(
        (2, 1), 2, 8, control(0, 0, 0, 2, 1), first(RED, 2, 1), control(1, 0, 0, 1, 1),
        later(2, BLUE, 1, 1),
    )  # fmt: skip
    assert len(read(tmp_path, whole).frames) == 2
    outside = file(
        (2, 1), 2, 8, control(0, 0, 0, 2, 1), first(RED, 2, 1), control(1, 1, 0, 2, 1),
        later(2, BLUE, 2, 1),
    )  # fmt: skip
    flipped = bytearray(whole)
    flipped[whole.index(b"fdAT") + 10] ^= 1
    for data in (outside, bytes(flipped), whole[:-20], whole[: whole.index(b"fdAT") - 40]):
        with pytest.raises(OSError, match=r"cannot read .*a\.png: .{10,}"):
            read(tmp_path, data)


@pytest.mark.parametrize("orientation", [1, 6])
def test_animations_turn_as_a_whole(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    frames = [Image.new("RGB", (3, 2), colour) for colour in (RED, BLUE)]
    frames[1].putpixel((0, 0), RED)
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], exif=exif)
    picture = image.read(tmp_path / "a.png")
    assert picture.size == ((2, 3) if orientation == 1 else (3, 2))
    place = (0, 0) if orientation == 1 else (0, 1)
    assert tuple(picture.frames[1][place]) == RED
