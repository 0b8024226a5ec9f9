from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ccsr import image
from ccsr.image import Output, Picture


def picture(channels: int = 3, size: tuple[int, int] = (2, 2), alpha: int = 0) -> Picture:
    values = np.zeros((*size, channels), np.uint8)
    values[..., -1] = alpha
    return Picture((values,))


PAGES = Picture(picture().frames * 2)
ANIMATION = Picture(picture().frames * 2, durations=(50, 50))


@pytest.mark.parametrize(
    ("name", "size", "given", "message"),
    [
        ("out.xyz", None, picture(), r"no known format has the suffix '\.xyz', use one of \.png"),
        ("out", None, picture(), "suffix ''"),
        ("out.jpg", None, picture(4), r"JPEG has no transparency .* use \.png.* or .*--background"),
        ("out.bmp", None, picture(2), "BMP has no transparency"),
        ("out.jpg", (1, 65_501), picture(), "JPEG holds at most 65500 .* got 65501x1: use .png"),
        ("out.webp", (16_384, 1), picture(), "WEBP holds at most 16383"),
        ("out.gif", (65_536, 1), picture(), "GIF holds at most 65535"),
        ("out.avif", (32_769, 1), picture(), "AVIF holds at most 32768"),
        ("out.avif", (16_385, 16_384), picture(), "AVIF holds at most 268.4 million pixels, got"),
        ("out.bmp", (40_000, 40_000), picture(), "BMP holds at most 1400 million pixels, got"),
        ("out.png", None, PAGES, r"PNG does not hold the 2 pages of the picture: use \.tif"),
        ("out.tif", None, ANIMATION, "TIFF does not hold the 2 frames .* use .png, .webp or .gif"),
        ("out.jpg", None, ANIMATION, "JPEG does not hold the 2 frames"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    name: str, size: tuple[int, int] | None, given: Picture, message: str
) -> None:
    with pytest.raises(ValueError, match=f"cannot write out.*{message}"):
        image.check(name, given, size)


def test_what_it_can_is_not() -> None:
    image.check("out.jpg", picture(), (65_500, 1))
    image.check("out.webp", picture(), (16_383, 1))
    image.check("out.avif", picture(), (16_384, 16_384))
    image.check("out.jpg", picture(4, alpha=255))
    image.check("out.jpg", picture(4), output=Output(background=(255, 255, 255)))
    image.check("out.tif", PAGES)
    for name in ("out.png", "out.webp", "out.gif", "out.avif"):
        image.check(name, ANIMATION)


def test_the_largest_page_counts() -> None:
    pages = Picture((*picture().frames, *picture(size=(1, 4)).frames))
    assert pages.sizes((4, 6)) == ((4, 6), (2, 12))
    with pytest.raises(ValueError, match="does not hold the 2 pages"):
        image.check("out.webp", pages, (16, 16))
    with pytest.raises(ValueError, match="WEBP holds at most 16383 pixels a side, got 20000x5000"):
        image.check("out.webp", pages, (10_000, 10_000))


@pytest.mark.parametrize(
    ("name", "output", "message"),
    [
        (
            "out.png",
            {"background": (1, 2, 3)},
            "PNG holds transparency, .* use .jpg, .bmp or .pfm, or leave out --background",
        ),
        ("out.jpg", {"lossless": True}, "JPEG always loses something: .* leave out --lossless"),
        ("out.avif", {"lossless": True}, "AVIF always loses something"),
        ("out.gif", {"lossless": True}, "GIF always loses something"),
        ("out.png", {"quality": 80}, "PNG has no quality to choose: .* leave out --quality"),
        ("out.tif", {"quality": 80}, "TIFF has no quality to choose"),
    ],
)
def test_wishes_that_a_format_does_not_know_are_refused(
    name: str, output: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"cannot write {name}: {message}"):
        image.check_output(name, Output(**output))


def test_beside_others_of_a_folder_a_format_needs_no_quality_but_must_be_lossless() -> None:
    image.check_output("out.png", Output("same", quality=80, background=(1, 2, 3)))
    with pytest.raises(ValueError, match=r"cannot write out\.jpg: JPEG always loses something"):
        image.check_output("out.jpg", Output("same", lossless=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "bmp"}, "format must be one of same png jpg webp tiff avif, got 'bmp'"),
        ({"quality": 0}, "quality must be from 1 to 100, got 0"),
        ({"quality": 101}, "quality must be from 1 to 100, got 101"),
        ({"quality": 80, "lossless": True}, "leave out --quality or --lossless"),
        ({"quality": 80.5}, "quality must be from 1 to 100, got 80.5"),
        ({"quality": "80"}, "quality must be from 1 to 100, got '80'"),
        ({"dpi": "300"}, "dpi must be from 1 to 100000, got '300'"),
        ({"dpi": True}, "dpi must be from 1 to 100000, got True"),
        ({"dpi": (300, 300)}, "dpi must be from 1 to 100000, got .300, 300."),
        ({"background": (1, 2)}, r"background must be three levels .* got \(1, 2\)"),
        ({"background": (300, 0, 0)}, "background must be three levels from 0 to 255, got"),
        ({"background": "red"}, "background must be three levels from 0 to 255, got 'red'"),
        ({"metadata": "some"}, "metadata must be keep, no-gps, strip, got 'some'"),
    ],
)
def test_unknown_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Output(**options)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".avif"])
def test_numbers_of_other_libraries_are_those_of_python(tmp_path: Path, suffix: str) -> None:
    """What writes files takes no others, or takes them for something else."""
    given: list[dict[str, Any]] = [
        {"quality": np.int64(80), "dpi": np.float32(300)},
        {"quality": 80, "dpi": Fraction(300)},
        {"quality": 80, "dpi": torch.tensor(300)},
    ]
    written = set()
    for number, options in enumerate(given):
        if suffix == ".tif":
            del options["quality"]
        path = tmp_path / f"{number}{suffix}"
        image.write(picture(), path, output=Output(**options))
        written.add(path.read_bytes())
    assert len(written) == 1
    assert Output(background=np.array([1, 2, 3], np.uint8)) == Output(background=(1, 2, 3))


@pytest.mark.parametrize(
    ("choice", "source", "expected"),
    [
        ("png", ".JPG", ".png"),
        ("tiff", ".png", ".tif"),
        ("same", ".JPEG", ".jpeg"),
        ("same", ".jfif", ".jpg"),
        ("same", ".gif", ".gif"),
        ("same", ".heic", ".png"),
        ("same", ".ppm", ".png"),
        ("same", "", ".png"),
    ],
)
def test_suffixes(choice: Any, source: str, expected: str) -> None:
    assert image.suffix_for(choice, source) == expected
