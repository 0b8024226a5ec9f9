"""Files of kinds that are seldom met, put together byte by byte from their specifications."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from ccsr import image
from picture_parts import chunk, left, only


def psd(
    channels: np.ndarray, mode: int, layers: int = 0, packed: bool = False, *blocks: bytes
) -> bytes:
    """A whole Photoshop file without pixels of layers: (C, h, w), 8 bits."""
    count, height, width = channels.shape
    header = struct.pack(">4sH6xHIIHHI", b"8BPS", 1, count, height, width, 8, mode, 0)
    resources = b"".join(blocks)
    header += struct.pack(">I", len(resources)) + resources
    header += struct.pack(">IIhI", 10, 2, layers, 0) if layers else bytes(4)
    if not packed:
        return header + struct.pack(">H", 0) + channels.tobytes()
    # a row of packed bits is a count less one, and as many bytes: of at most 128
    row = b"".join(bytes([width - 1]) + line.tobytes() for line in channels.reshape(-1, width))
    return header + struct.pack(f">{1 + count * height}H", 1, *[width + 1] * count * height) + row


def block(number: int, content: bytes) -> bytes:
    """One of Photoshop's resources, without a name."""
    padded = content + bytes(len(content) % 2)
    return b"8BIM" + struct.pack(">HHI", number, 0, len(content)) + padded


@pytest.mark.parametrize(("mode", "count", "kind"), [(1, 1, 1), (3, 3, 3), (3, 4, 4)])
def test_photoshop_files(tmp_path: Path, mode: int, count: int, kind: int) -> None:
    values = np.random.default_rng(0).integers(0, 256, (count, 20, 32), np.uint8)
    (tmp_path / "a.psd").write_bytes(psd(values, mode))
    assert image.probe(tmp_path / "a.psd")[:3] == ((20, 32), 1, False)
    assert np.array_equal(only(tmp_path / "a.psd"), values.transpose(1, 2, 0)[..., :kind])
    assert image.named_as_image("a.psd")


@pytest.mark.parametrize(
    ("mode", "count", "further"),
    [(1, 2, 0), (1, 3, 2), (3, 4, 0), (3, 5, 2), (4, 4, 0), (4, 5, 0), (4, 6, 2), (7, 2, 1)],
)
def test_further_channels_of_photoshop_are_told(
    tmp_path: Path, mode: int, count: int, further: int
) -> None:
    values = np.random.default_rng(0).integers(0, 256, (count, 20, 32), np.uint8)
    (tmp_path / "a.psd").write_bytes(psd(values, mode))
    told = (f"further channels ({further})",) if further else ()
    assert image.read(tmp_path / "a.psd").dropped == told


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("mode", "colours"), [(1, 1), (3, 3)])
@pytest.mark.parametrize("extra", [1, 2])
@pytest.mark.parametrize(
    ("layers", "blocks", "transparent"),
    [
        (-2, [], True),
        (2, [], False),
        (2, [block(1053, bytes(4))], False),  # the number of layers comes first
        (0, [block(1053, bytes(8))], True),
        (0, [block(1053, b"\0\0\0\7" + bytes(4))], False),
        (0, [block(1006, b"\x0cTransparency\7Alpha 1")], True),
        (0, [block(1006, b"\7Alpha 1")], False),
    ],
)
def test_a_selection_in_photoshop_is_no_transparency(
    tmp_path: Path, mode: int, colours: int, extra: int, layers: int,
    blocks: list[bytes], transparent: bool, packed: bool,
) -> None:  # fmt: skip
    """The sign of the number of layers tells, else the channel's number or name (Adobe)."""
    values = np.random.default_rng(0).integers(0, 256, (colours + extra, 20, 32), np.uint8)
    (tmp_path / "a.psd").write_bytes(psd(values, mode, layers, packed, *blocks))
    picture = image.read(tmp_path / "a.psd")
    expected = values.transpose(1, 2, 0)[..., : colours + transparent]
    assert np.array_equal(picture.frames[0], expected)
    left = extra - transparent
    assert picture.dropped == ((f"further channels ({left})",) if left else ())


def test_white_behind_what_is_transparent_in_photoshop_goes(tmp_path: Path) -> None:
    """The merged picture lies on white there, which would be a fringe."""
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (3, 20, 32)).astype(np.float64)
    alpha = rng.choice([0, 60, 128, 255], (1, 20, 32)).astype(np.float64)
    shown = colour * alpha / 255 + 255 - alpha
    stored = np.concatenate((shown, alpha)).round().astype(np.uint8)
    (tmp_path / "a.psd").write_bytes(psd(stored, 3, layers=-1))
    got = only(tmp_path / "a.psd").transpose(2, 0, 1).astype(np.float64)
    assert np.array_equal(got[3:], alpha)
    difference = np.abs(got[:3] - colour)
    assert difference[:, alpha[0] == 255].max() == 0
    assert difference[:, alpha[0] == 60].max() <= 0.5 * 255 / 60 + 0.5


def grey_png(depth: int, rows: list[bytes], width: int, key: int) -> bytes:
    """A whole grey PNG of any depth in which the value `key` is transparent."""

    header = struct.pack(">IIBBBBB", width, len(rows), depth, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = (b"IHDR", header), (b"tRNS", struct.pack(">H", key)), (b"IDAT", pixels), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("depth", [2, 4, 8])
def test_bits_of_a_transparent_grey_above_its_depth_do_not_count(
    tmp_path: Path, depth: int
) -> None:
    """By the specification, 11.3.2.1: only the lowest bits are used."""
    (tmp_path / "a.png").write_bytes(grey_png(depth, [bytes(2 * depth)], 16, 0xFF << 8))
    (tmp_path / "b.png").write_bytes(grey_png(depth, [bytes(2 * depth)], 16, 1 << 8 | 1))
    assert not only(tmp_path / "a.png")[..., 1].any()
    assert only(tmp_path / "b.png")[..., 1].all()


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("which", ["lowest", "highest"])
def test_a_transparent_grey_of_any_depth(tmp_path: Path, depth: int, which: str) -> None:
    """By the specification of PNG, 11.3.2.1: samples of the value in tRNS are transparent."""
    highest = 2**depth - 1
    key = highest if which == "highest" else 0
    bits = "".join(f"{value:0{depth}b}" for value in [0, highest] * 8)
    row = int(bits, 2).to_bytes(2 * depth, "big")
    (tmp_path / "a.png").write_bytes(grey_png(depth, [row, row], 16, key))
    values = only(tmp_path / "a.png")
    most = 65535 if depth == 16 else 255
    assert values.shape == (2, 16, 2)
    assert values[..., 0].tolist() == [[0, most] * 8] * 2
    alpha = [most, 0] if key else [0, most]
    assert values[..., 1].tolist() == [alpha * 8] * 2


def test_a_frame_beyond_the_canvas_is_cut(tmp_path: Path) -> None:
    """By GIF89a, 20: what lies outside the logical screen is not shown."""
    blocks = []
    for colour, size in ((0, (10, 8)), (1, (14, 9))):
        frame = Image.new("P", size, colour)
        frame.putpalette([250, 0, 0, 0, 0, 250] + [0] * 762)
        frame.save(tmp_path / "one.gif", optimize=False)
        data = (tmp_path / "one.gif").read_bytes()
        start = 13 + 3 * 2 ** ((data[10] & 7) + 1)  # behind the header and its colours
        blocks.append((data[:start], data[start:-1]))
    control = b"\x21\xf9\x04\x04\x05\x00\x00\x00"
    (header, first), (_, second) = blocks
    pictures = [block[block.index(b"\x2c") :] for block in (first, second)]
    body = b"".join(control + picture for picture in pictures)
    (tmp_path / "a.gif").write_bytes(header + body + b"\x3b")
    frames = image.read(tmp_path / "a.gif").frames
    assert [frame.shape for frame in frames] == [(8, 10, 3)] * 2
    assert [frame[3, 3].tolist() for frame in frames] == [[250, 0, 0], [0, 0, 250]]


def test_signed_levels_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.array([[-1, 0, 1, 100]] * 4, np.int8))
    with pytest.raises(OSError, match="signed numbers of 8 bits: store them as levels from 0"):
        image.read(tmp_path / "a.tif")


def tga(bits: int, flags: int, pixels: bytes, kind: int | None = None) -> bytes:
    """A whole TGA of eight pixels, maybe with an extension area that says what alpha is."""
    content = struct.pack("<2xB9xHHBB", 3 if bits == 8 else 2, 8, 1, bits, flags | 0x20) + pixels
    if kind is None:
        return content
    area = struct.pack("<H", 495) + bytes(492) + bytes([kind])
    return content + area + struct.pack("<II", len(content), 0) + b"TRUEVISION-XFILE.\0"


@pytest.mark.parametrize(
    ("bits", "flags", "kind", "stored", "alpha"),
    [
        (32, 0, None, 0, None),  # the header counts no alpha
        (32, 8, None, 0, 0),
        (32, 0, None, 9, 9),  # but it is there
        (32, 8, 0, 9, None),
        (32, 8, 1, 9, None),
        (32, 8, 3, 9, 9),
        (32, 0, 3, 0, 0),
        (16, 0, None, 0, None),
        (16, 0, None, 1, None),
        (16, 1, None, 0, 255),
    ],
)
def test_a_fourth_channel_of_tga_is_what_the_file_says(
    tmp_path: Path, bits: int, flags: int, kind: int | None, stored: int, alpha: int | None
) -> None:
    pixel = bytes([1, 2, 3, stored]) if bits == 32 else struct.pack("<H", stored << 15 | 31)
    (tmp_path / "a.tga").write_bytes(tga(bits, flags, pixel * 8, kind))
    colour = [3, 2, 1] if bits == 32 else [0, 0, 255]
    assert only(tmp_path / "a.tga")[0, 5].tolist() == [*colour, *([] if alpha is None else [alpha])]


def test_a_tga_whose_colour_was_multiplied_by_alpha(tmp_path: Path) -> None:
    (tmp_path / "a.tga").write_bytes(tga(32, 8, bytes([10, 20, 30, 51]) * 8, 4))
    assert only(tmp_path / "a.tga")[0, 0].tolist() == [150, 100, 50, 51]


@pytest.mark.parametrize("alpha", [0, 7])
def test_alpha_of_bmp_that_is_0_everywhere_is_none(tmp_path: Path, alpha: int) -> None:
    """Programs that know no transparency leave the fourth byte empty."""
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = struct.pack("<IiiHHIIiiII", 108, 2, 1, 1, 32, 3, 8, 0, 0, 0, 0) + masks + bytes(52)
    pixels = bytes([1, 2, 3, 0, 4, 5, 6, alpha])
    start = struct.pack("<2sIHHI", b"BM", 14 + len(head) + 8, 0, 0, 14 + len(head))
    (tmp_path / "a.bmp").write_bytes(start + head + pixels)
    channels = 4 if alpha else 3
    stored = [[[3, 2, 1, 0][:channels], [6, 5, 4, alpha][:channels]]]
    assert only(tmp_path / "a.bmp").tolist() == stored


def test_an_index_of_photoshop_may_be_transparent(tmp_path: Path) -> None:
    index = np.arange(12, dtype=np.uint8).reshape(3, 4) % 5
    palette = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 1, 3, 4, 8, 2)
    head += struct.pack(">I", 768) + palette.T.tobytes()
    for hidden, expected in ((3, np.where(index == 3, 0, 255)), (0xFFFF, None)):
        told = block(1047, struct.pack(">H", hidden))
        data = head + struct.pack(">I", len(told)) + told + bytes(6) + index.tobytes()
        (tmp_path / "a.psd").write_bytes(data)
        values = only(tmp_path / "a.psd")
        assert np.array_equal(values[..., :3], palette[index])
        if expected is None:
            assert values.shape[2] == 3
        else:
            assert np.array_equal(values[..., 3], expected)


@pytest.mark.parametrize("size", [1, 2])
def test_a_tga_smaller_than_its_footer(tmp_path: Path, size: int) -> None:
    """Pillow looks for one behind every picture with transparency."""
    pixels = np.arange(4 * size, dtype=np.uint8)
    head = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, size, 1, 32, 0x28)
    (tmp_path / "a.tga").write_bytes(head + pixels.tobytes())
    expected = pixels.reshape(1, size, 4)[..., [2, 1, 0, 3]]
    assert np.array_equal(only(tmp_path / "a.tga"), expected)


@pytest.mark.parametrize(("mask", "said"), [(0x8000, ("transparency",)), (0, ())])
def test_transparency_of_a_bmp_of_16_bits_is_said(
    tmp_path: Path, mask: int, said: tuple[str, ...]
) -> None:
    pixels = np.array([[0x7FFF, 0xFFFF], [0x8000, 0x001F]], "<u2")
    head = struct.pack("<IiiHHIIiiII", 108, 2, 2, 1, 16, 3, 8, 0, 0, 0, 0)
    head += struct.pack("<IIII", 0x7C00, 0x3E0, 0x1F, mask) + b"BGRs" + bytes(48)
    start = struct.pack("<2sIII", b"BM", 14 + len(head) + 8, 0, 14 + len(head))
    assert left(tmp_path, "a.bmp", start + head + pixels.tobytes()) == said
    assert left(tmp_path, "b.bmp", start + head + (pixels | 0x8000).tobytes()) == ()


def test_a_palette_of_tiff_with_levels_of_8_bits(tmp_path: Path) -> None:
    """As writers of old times store it: none of its numbers is above 255."""
    index = np.arange(12, dtype=np.uint8).reshape(3, 4)
    palette = np.random.default_rng(0).integers(0, 256, (3, 256), np.uint16)
    for options in ({}, {"compression": "zlib"}):
        tifffile.imwrite(
            tmp_path / "a.tif", index, photometric="palette", colormap=palette, **options
        )
        assert np.array_equal(only(tmp_path / "a.tif"), palette.T[index])


@pytest.mark.parametrize("sampling", [None, (1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("narrow", [False, True])
def test_luminance_and_differences_without_compression(
    tmp_path: Path, sampling: tuple[int, int] | None, narrow: bool
) -> None:
    """TIFF 6.0, section 21: units of some luminances and two differences; 2 by 2 if untold."""
    across, down = sampling or (2, 2)
    small = np.random.default_rng(0).integers(60, 200, (3, 4, 3), np.uint8)
    rgb = np.asarray(Image.fromarray(small).resize((8, 6), Image.Resampling.BICUBIC))
    rgb = rgb.reshape(6 // down, down, 8 // across, across, 3).mean((1, 3), keepdims=True)
    rgb = np.broadcast_to(rgb, (6 // down, down, 8 // across, across, 3)).reshape(6, 8, 3)
    values = np.asarray(Image.fromarray(rgb.astype(np.uint8)).convert("YCbCr")).astype(float)
    reference = [0, 255, 128, 255, 128, 255]
    if narrow:
        values = np.concatenate((16 + values[..., :1] * 219 / 255,
                                 128 + (values[..., 1:] - 128) * 224 / 255), 2)  # fmt: skip
        reference = [16, 235, 128, 240, 128, 240]
    stored = (values + 0.5).astype(np.uint8)
    data = b"".join(
        stored[y : y + down, x : x + across, 0].tobytes() + stored[y, x, 1:].tobytes()
        for y in range(0, 6, down)
        for x in range(0, 8, across)
    )
    tags = {256: (3, [8]), 257: (3, [6]), 258: (3, [8, 8, 8]), 259: (3, [1]), 262: (3, [6]),
            277: (3, [3]), 278: (3, [6]), 532: (5, reference)}  # fmt: skip
    if sampling:
        tags[530] = 3, list(sampling)
    (tmp_path / "a.tif").write_bytes(one_strip(tags, data))
    picture = image.read(tmp_path / "a.tif")
    assert picture.dropped == ()
    np.testing.assert_allclose(picture.frames[0], rgb.astype(np.uint8), atol=5)


def one_strip(tags: dict[int, tuple[int, list[int]]], data: bytes) -> bytes:
    """A TIFF of numbers of 16 bits (3) and fractions (5)."""
    tags = tags | {273: (4, [8]), 279: (4, [len(data)])}
    more, entries = b"", b""
    for number, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if kind == 5:
            packed = struct.pack(f"<{2 * len(values)}I", *(n for v in values for n in (v, 1)))
        if len(packed) > 4:
            place = 8 + len(data) + 6 + 12 * len(tags) + len(more)
            more, packed = more + packed, struct.pack("<I", place)
        entries += struct.pack("<HHI", number, kind, len(values)) + packed.ljust(4, b"\0")
    start = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    return start + data + struct.pack("<H", len(tags)) + entries + bytes(4) + more


def test_channels_of_other_numbers_of_bits_are_refused(tmp_path: Path) -> None:
    tags = {256: (3, [4]), 257: (3, [2]), 258: (3, [5, 6, 5]), 262: (3, [2]), 277: (3, [3])}
    (tmp_path / "a.tif").write_bytes(one_strip(tags, bytes(16)))
    with pytest.raises(OSError, match=r"its channels have different numbers of bits \(5, 6, 5\)"):
        image.read(tmp_path / "a.tif")
