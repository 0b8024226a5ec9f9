"""JPEG that nobody decodes, or not in a time that its size lets expect; profiles in parts."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ccsr import image
from ccsr.image import jpeg, profiles
from picture_parts import left


def saved(**options: object) -> bytes:
    data = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(noise).save(data, "JPEG", **options)  # type: ignore[arg-type]
    return data.getvalue()


def frame(data: bytes) -> int:
    """Where the frame's marker is."""
    return data.index(b"\xff\xc0")


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (1, 0xC3, "a JPEG without losses"),
        (1, 0xC5, "a JPEG in parts of several sizes"),
        (4, 12, "a JPEG of 12 bits per channel"),
        (9, 2, "a JPEG of 2 channels"),
    ],
)
def test_frames_that_are_not_read_are_named(
    tmp_path: Path, place: int, value: int, named: str
) -> None:
    data = bytearray(saved())
    data[frame(data) + place] = value
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(OSError, match=rf"a\.jpg: it is {named}, which is not read: save it as"):
        image.read(tmp_path / "a.jpg")


@pytest.mark.parametrize("length", [0, 3, 7])
def test_a_file_that_ends_in_its_frame_is_damaged(tmp_path: Path, length: int) -> None:
    data = saved()
    (tmp_path / "a.jpg").write_bytes(data[: frame(data) + 2 + length])
    with pytest.raises(OSError, match=r"cannot read .*a\.jpg: it is (a )?damaged"):
        image.read(tmp_path / "a.jpg")


def test_a_height_behind_the_pixels_is_named(tmp_path: Path) -> None:
    data = bytearray(saved())
    data[frame(data) + 5 : frame(data) + 7] = bytes(2)
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(OSError, match="it is a JPEG that tells its height behind the pixels"):
        image.read(tmp_path / "a.jpg")


@pytest.mark.parametrize("commented", [False, True])
def test_scans_without_end_are_refused_before_they_are_decoded(
    tmp_path: Path, commented: bool
) -> None:
    """Whatever stands between them: a comment may hold the bytes of an end."""
    data = saved(progressive=True)
    (tmp_path / "a.jpg").write_bytes(data)
    assert image.read(tmp_path / "a.jpg").size == (24, 32)
    scan = data[data.rindex(b"\xff\xda") : -2]
    between = b"\xff\xfe\0\4\xff\xd9" if commented else b""
    (tmp_path / "b.jpg").write_bytes(data[:-2] + (between + scan) * 200 + data[-2:])
    with pytest.raises(OSError, match=r"b\.jpg: it has 2\d\d scans, more than 100"):
        image.read(tmp_path / "b.jpg")


def test_what_is_behind_a_picture() -> None:
    for data in (saved(), saved(progressive=True), saved(comment=b"\xff\xd9" * 9)):
        assert jpeg.behind(data + b"more") == b"more"
        assert jpeg.behind(data[:-2]) == b""


def test_a_profile_that_lacks_a_part_or_is_cut_is_damaged(tmp_path: Path) -> None:
    whole = profiles.adobe().profile(3)
    data = saved(icc_profile=whole + bytes(70_000))  # of two segments
    second = data.rindex(b"\xff\xe2", 0, frame(data))
    length = int.from_bytes(data[second + 2 : second + 4], "big")
    parts = data[:second] + data[second + 2 + length :]
    assert left(tmp_path, "a.jpg", parts) == ("colour profile (damaged)",)
    for bad in (whole[:200], bytes(300)):
        assert left(tmp_path, "b.jpg", saved(icc_profile=bad)) == ("colour profile (damaged)",)
        assert image.read(tmp_path / "b.jpg").metadata.profile is None
    assert left(tmp_path, "c.jpg", saved(icc_profile=whole)) == ()
    grey = profiles.adobe().profile(1)
    expected = ("colour profile (of another kind of pixels)",)
    assert left(tmp_path, "d.jpg", saved(icc_profile=grey)) == expected
