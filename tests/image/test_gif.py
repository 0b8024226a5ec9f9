"""GIF as browsers show it, against Pillow and libvips where these agree with them."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from ccsr import image
from ccsr.image import Metadata, Picture, gif

RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 128, 0)


def block(left: int, top: int, width: int, height: int, index: int, *, hidden: int | None = None,
          disposal: int = 0, delay: int = 5, interlaced: bool = False,
          indices: np.ndarray | None = None) -> bytes:  # fmt: skip
    """A frame by hand, its pixels packed by Pillow."""
    flat = np.full((height, width), index, np.uint8) if indices is None else indices
    picture = Image.fromarray(flat).convert("P")
    packed = io.BytesIO()
    picture.putpalette(bytes(768))
    picture.save(packed, "GIF", optimize=False, interlace=interlaced)
    data = packed.getvalue()
    size = 6 << (data[10] & 7)
    rest = data[13 + size :]
    pixels = rest[rest.index(b",") + 10 : -1]
    flags = disposal << 2 | (hidden is not None)
    control = b"!\xf9\x04" + struct.pack("<BHB", flags, delay, hidden or 0) + b"\0"
    place = struct.pack("<HHHHB", left, top, width, height, 64 if interlaced and height > 15 else 0)
    return control + b"," + place + pixels


def file(width: int, height: int, *parts: bytes) -> bytes:
    """Colours: 0 red, 1 blue, 2 green; the background colour is red."""
    colours = bytes((*RED, *BLUE, *GREEN, 9, 9, 9))
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80 | 1, 0, 0)
    return head + colours + b"".join(parts) + b";"


def read(tmp_path: Path, data: bytes) -> Picture:
    (tmp_path / "a.gif").write_bytes(data)
    return image.read(tmp_path / "a.gif")


def test_what_a_first_frame_leaves_open_is_transparent(tmp_path: Path) -> None:
    for parts in ([block(2, 1, 3, 2, 1)], [block(2, 1, 3, 2, 1), block(0, 0, 1, 1, 2)]):
        picture = read(tmp_path, file(6, 4, *parts))
        alpha = np.zeros((4, 6), np.uint8)
        alpha[1:3, 2:5] = 255
        assert np.array_equal(picture.frames[0][..., 3], alpha)
        assert picture.frames[0][1, 2].tolist() == [*BLUE, 255]
        if len(parts) == 2:
            alpha[0, 0] = 255
            assert np.array_equal(picture.frames[1][..., 3], alpha)


@pytest.mark.parametrize("hidden", [None, 3])
@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_what_becomes_of_a_frame(tmp_path: Path, disposal: int, hidden: int | None) -> None:
    """The second of three is left, cleared, or taken back to the first: GIF89a, 23."""
    data = file(
        4, 1, block(0, 0, 4, 1, 0, disposal=1),
        block(1, 0, 2, 1, 1, disposal=disposal, hidden=hidden), block(3, 0, 1, 1, 2),
    )  # fmt: skip
    third = read(tmp_path, data).frames[2]
    middle = {2: [0, 0, 0, 0], 3: [*RED, 255]}.get(disposal, [*BLUE, 255])
    if third.shape[2] == 3:
        third = np.concatenate((third, np.full_like(third[..., :1], 255)), 2)
    assert third[0, 0].tolist() == [*RED, 255]
    assert third[0, 1].tolist()[-1] == middle[-1]
    assert third[0, 1].tolist() == middle or middle[-1] == 0
    assert third[0, 3].tolist() == [*GREEN, 255]


def test_interlaced_and_padded_files_with_extensions(tmp_path: Path) -> None:
    indices = np.random.default_rng(0).integers(0, 3, (20, 9)).astype(np.uint8)
    text = b"!\x01\x0c" + bytes(12) + b"\x02hi\0"
    data = file(9, 20, text, b"\0", block(0, 0, 9, 20, 0, indices=indices, interlaced=True))
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(opened.convert("RGB"))
    assert np.array_equal(read(tmp_path, data).frames[0], expected)


def test_what_else_a_gif_holds(tmp_path: Path) -> None:
    profile = Image.new("RGB", (1, 1))
    profile.save(tmp_path / "a.png")
    from ccsr.image import profiles

    adobe = profiles.adobe().profile(3)
    blocks = b"".join(
        bytes([len(adobe[i : i + 255])]) + adobe[i : i + 255] for i in range(0, len(adobe), 255)
    )
    trailer = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    data = file(
        2, 2, b"!\xff\x0bICCRGBG1012" + blocks + b"\0", b"!\xff\x0bXMP DataXMP" + xmp + trailer,
        b"!\xfe\x02hi\0", block(0, 0, 2, 2, 1),
    )  # fmt: skip
    picture = read(tmp_path, data)
    assert picture.metadata.profile == adobe
    assert picture.metadata.xmp == xmp
    assert picture.dropped == ("comment",)


@pytest.mark.parametrize("cut", [10, 20, 40])
def test_a_truncated_gif_is_refused(tmp_path: Path, cut: int) -> None:
    data = file(6, 4, block(0, 0, 6, 4, 1), block(0, 0, 6, 4, 2))
    with pytest.raises(OSError, match=r"cannot read .*a\.gif"):
        read(tmp_path, data[: len(data) - cut])


def test_a_frame_larger_than_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the canvas is small: the second frame is."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data = file(2, 2, block(0, 0, 2, 2, 1), block(0, 0, 11, 10, 1))
    with pytest.raises(OSError, match=r"a\.gif: it has more than .* million pixels"):
        read(tmp_path, data)


def animation(kind: str) -> tuple[np.ndarray, ...]:
    """Opaque, then with a hole, opaque again, then another hole; the last shows nothing."""
    rng = np.random.default_rng(1)
    frames = []
    for _ in range(5):
        values = np.empty((14, 18, 4), np.uint8)
        values[..., :3] = rng.choice([30, 120, 250], 3)
        values[..., 3] = 255
        frames.append(values)
    frames[1][3:9, :, 3] = 0
    frames[3][:, 10:, 3] = 0
    frames[4][..., 3] = 0
    channels = {"colour": [0, 1, 2, 3], "grey": [0, 3]}[kind]
    return tuple(frame[..., channels] for frame in frames)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".avif"])
@pytest.mark.parametrize("kind", ["colour", "grey"])
def test_every_reader_sees_what_is_transparent(tmp_path: Path, kind: str, suffix: str) -> None:
    """Ours, Pillow and libvips."""
    frames = animation(kind)
    path = tmp_path / f"a{suffix}"
    image.write(Picture(frames, durations=(50.0,) * 5, loop=0), path)
    ours = image.read(path)
    near = 30 if suffix == ".avif" else 0
    assert len(ours.frames) == 5
    with Image.open(path) as opened:
        for number, frame in enumerate(frames):
            opened.seek(number)
            views = [np.asarray(opened.convert("RGBA")), ours.frames[number]]
            if suffix in (".gif", ".webp"):  # of APNG and AVIF libvips reads the first frame
                views.append(vips(path, number))
            for view in views:
                assert view.shape[2] in (2, 4)
                assert np.abs(view[..., -1].astype(int) - frame[..., -1]).max() <= near
    if suffix == ".gif":
        for got, frame in zip(ours.frames, frames, strict=True):
            seen = frame[..., -1] > 0
            assert np.array_equal(got[seen][..., 0], frame[seen][..., 0])


def vips(path: Path, number: int) -> np.ndarray:
    pyvips = pytest.importorskip("pyvips")
    return np.asarray(pyvips.Image.new_from_file(str(path), page=number).numpy())


@pytest.mark.parametrize("several", [False, True])
def test_lossy_webp_whose_visible_parts_are_rectangles(tmp_path: Path, several: bool) -> None:
    """Each frame is opaque within its box, so that libwebp sees no alpha (RFC 9649, 2.7.1.1)."""
    frames = []
    for number in range(3 if several else 1):
        values = np.zeros((40, 40, 4), np.uint8)
        values[8:24, 4 + 4 * number : 20 + 4 * number] = (200, 90, 30, 255)
        frames.append(values)
    durations = (50.0,) * 3 if several else ()
    image.write(Picture(tuple(frames), durations=durations), tmp_path / "a.webp")
    content = (tmp_path / "a.webp").read_bytes()
    assert content[12:16] == b"VP8X"
    assert content[20] & 16
    for number, frame in enumerate(frames):
        assert np.array_equal(image.read(tmp_path / "a.webp").frames[number][..., 3], frame[..., 3])
        assert np.array_equal(vips(tmp_path / "a.webp", number)[..., 3], frame[..., 3])


def test_opaque_frames_need_no_alpha_and_equal_ones_stay(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    moved = values.copy()
    moved[4:6, 7:9] = 255 - moved[4:6, 7:9]
    frames = (values, values, moved, moved)
    picture = Picture(frames, durations=(34.0, 33.0, 33.0, 1000.0), loop=3)
    dropped = image.write(picture, tmp_path / "a.gif")
    assert dropped == ("timing (hundredths of a second)",)
    again = image.read(tmp_path / "a.gif")
    assert again.durations == (30, 40, 30, 1000)  # ends at 34, 67, 100: 3, 7, 10 hundredths
    assert again.loop == 3
    for got, frame in zip(again.frames, frames, strict=True):
        assert np.array_equal(got, frame)
    parsed = gif.parse((tmp_path / "a.gif").read_bytes())
    assert [frame.box for frame in parsed.frames] == [
        (0, 0, 16, 16), (0, 0, 1, 1), (7, 4, 2, 2), (0, 0, 1, 1)
    ]  # fmt: skip


def test_what_a_gif_cannot_hold_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (30, 30, 4), np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Me"
    described = Metadata(exif=exif.tobytes(), xmp=b"<a/>", dpi=(72, 72))
    dropped = image.write(Picture((values,), described), tmp_path / "a.gif")
    assert dropped == (
        "resolution", "EXIF", "XMP", "partial transparency", "colours (256 a frame)"
    )  # fmt: skip
    few = values[..., :3] // 128 * 128
    assert image.write(Picture((few,)), tmp_path / "a.gif") == ()
    assert np.array_equal(image.read(tmp_path / "a.gif").frames[0], few)


def test_padding_costs_nothing(tmp_path: Path) -> None:
    """Byte by byte it would take minutes."""
    whole = file(2, 2, block(0, 0, 2, 2, 1))
    end = whole.rindex(b";")
    picture = read(tmp_path, whole[:end] + bytes(20 << 20) + whole[end:])
    assert picture.size == (2, 2)
    assert picture.dropped == ()
