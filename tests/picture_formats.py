"""Picture files of known pixels, format by format.

They are written by hand, or by other libraries than Pillow where Pillow cannot be the judge.
"""

import io
import math
import struct
import zlib
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from picture_parts import chunk

Array = np.ndarray[Any, Any]
Made = tuple[bytes, Array | list[Array] | None]  # the file, and what is to be read of it

HEIGHT, WIDTH = 12, 16
_DOWN, _ACROSS = np.mgrid[0:HEIGHT, 0:WIDTH]
GREY = (_DOWN * 9 + _ACROSS * 7).astype(np.uint8)[..., None]  # smooth: lossy formats keep it
COLOUR = np.concatenate((GREY, 255 - GREY, GREY // 2 + 60), axis=2)
FLOATS = COLOUR / np.float32(50) - 1  # from -1 to 4.1
CLEAR_FLOATS = np.concatenate((FLOATS, GREY / np.float32(255)), axis=2)
HALF_CLEAR = np.where(_ACROSS < 5, 0.25, np.where(_ACROSS < 11, 1, 0.5))[..., None]
HALF_CLEAR_FLOATS = np.concatenate((FLOATS, HALF_CLEAR), axis=2).astype(np.float32)
ALPHA = np.where(_ACROSS < 5, 0, np.where(_ACROSS < 11, 255, 128)).astype(np.uint8)[..., None]
FLAT_ALPHA = np.where(_ACROSS < 8, 0, 255).astype(np.uint8)[..., None]
FEW = (_DOWN // 3 + _ACROSS // 4).astype(np.uint8)  # 0 to 6, as indices
PALETTE = np.array(
    [[250, 10, 20], [0, 0, 0], [30, 90, 200], [255, 255, 255], [9, 99, 199], [70, 80, 90],
     [1, 250, 128], [60, 61, 62]], np.uint8
)  # fmt: skip
HIDDEN = 3


def deep(values: Array) -> Array:
    """16 bits that differ in their low bytes."""
    return values.astype(np.uint16) * 257 - values // 2


def joined(*parts: Array) -> Array:
    return np.concatenate(parts, axis=2)


def packed(values: Array, bits: int) -> bytes:
    """Rows of (h, w) levels of so many bits, each on whole bytes."""
    each = np.unpackbits(values.astype(np.uint8)[..., None], axis=2)[..., -bits:]
    return np.packbits(each.reshape(len(values), -1), axis=1).tobytes()


# --- PNG, by hand (PNG specification, third edition) ---


def png(values: Array, kind: int, bits: int = 8, *more: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, kind, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows(values, bits)))
    return b"\x89PNG\r\n\x1a\n" + b"".join((chunk(b"IHDR", head), *more, pixels, END))


def rows(values: Array, bits: int) -> bytes:
    flat = values.reshape(len(values), -1)
    whole = flat.astype(">u2" if bits == 16 else "u1").tobytes()
    lines = packed(flat, bits) if bits < 8 else whole
    length = len(lines) // len(values)
    return b"".join(b"\0" + lines[i * length : (i + 1) * length] for i in range(len(values)))


END = chunk(b"IEND", b"")
PLTE = chunk(b"PLTE", PALETTE.tobytes())


def apng(frames: list[Array], kind: int, bits: int = 8) -> bytes:
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, kind, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"acTL", struct.pack(">II", len(frames), 3))]
    number = 0
    for values in frames:
        place = struct.pack(">IIIIIHHBB", number, WIDTH, HEIGHT, 0, 0, 5, 100, 0, 0)
        data = zlib.compress(rows(values, bits))
        parts.append(chunk(b"fcTL", place))
        number += 1
        if number == 1:
            parts.append(chunk(b"IDAT", data))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + data))
            number += 1
    return b"\x89PNG\r\n\x1a\n" + b"".join((*parts, END))


def png_grey_few() -> Made:
    values = FEW[..., None] % 4 * 85
    return png(FEW % 4, 0, 2), values


def png_grey_hidden() -> Made:
    alpha = np.where(FEW == HIDDEN, 0, 255).astype(np.uint8)[..., None]
    key = chunk(b"tRNS", struct.pack(">H", HIDDEN))
    return png(FEW, 0, 4, key), joined(FEW[..., None] * 17, alpha)


def png_colour_hidden() -> Made:
    level = COLOUR[4, 5]
    alpha = np.where((level == COLOUR).all(axis=2), 0, 255).astype(np.uint8)[..., None]
    key = chunk(b"tRNS", struct.pack(">HHH", *map(int, level)))
    return png(COLOUR, 2, 8, key), joined(COLOUR, alpha)


def png_palette_hidden() -> Made:
    table = np.array([255, 200, 0, 255, 1, 255, 255, 255], np.uint8)
    key = chunk(b"tRNS", table.tobytes())
    return png(FEW, 3, 4, PLTE, key), joined(PALETTE[FEW], table[FEW][..., None])


# --- what Pillow, libvips, tifffile and pillow-heif write ---


def pillow(values: Array, kind: str, **options: Any) -> bytes:
    modes = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
    picture = Image.frombytes(modes[values.shape[2]], (WIDTH, HEIGHT), values.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def frames_of(kind: str, frames: list[Array], **options: Any) -> bytes:
    mode = "RGB" if frames[0].shape[2] == 3 else "RGBA"
    first, *rest = (Image.frombytes(mode, (WIDTH, HEIGHT), f.tobytes()) for f in frames)
    buffer = io.BytesIO()
    first.save(buffer, kind, save_all=True, append_images=rest, duration=50, **options)
    return buffer.getvalue()


def tif(values: Array, photometric: str = "minisblack", **options: Any) -> bytes:
    buffer = io.BytesIO()
    flat = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
    tifffile.imwrite(buffer, flat, photometric=photometric, metadata=None, **options)
    return buffer.getvalue()


def vips(values: Array, suffix: str, **options: Any) -> bytes:
    import pyvips

    picture = pyvips.Image.new_from_array(values)
    if values.dtype == np.uint16:
        picture = picture.copy(interpretation="rgb16" if values.shape[2] > 2 else "grey16")
    elif values.shape[2] < 3:
        picture = picture.copy(interpretation="b-w")
    return bytes(picture.write_to_buffer(suffix, **options))


def heic(values: Array, **options: Any) -> bytes:
    import pillow_heif

    mode = {1: "L", 3: "RGB", 4: "RGBA"}[values.shape[2]]
    mode += ";16" if values.dtype == np.uint16 else ""
    made = pillow_heif.from_bytes(mode, (WIDTH, HEIGHT), values.tobytes())
    buffer = io.BytesIO()
    made.save(buffer, quality=100, chroma=444, **options)
    return buffer.getvalue()


def heic_of_two() -> Made:
    import pillow_heif

    made = pillow_heif.from_bytes("RGB", (WIDTH, HEIGHT), COLOUR.tobytes())
    made.add_frombytes("RGB", (WIDTH, HEIGHT), (255 - COLOUR).tobytes())
    buffer = io.BytesIO()
    made.save(buffer, quality=100, chroma=444)
    return buffer.getvalue(), COLOUR


def jpeg_of_two() -> Made:
    one, two = (pillow(v, "JPEG", quality=100, subsampling=0) for v in (COLOUR, 255 - COLOUR))
    mark = b"\xff\xe2" + struct.pack(">H", 46) + b"MPF\0" + bytes(40)
    return one[:2] + mark + one[2:] + two, COLOUR


def cmyk() -> tuple[Array, Array]:
    """Inks, and their colours without a profile: each takes away its own share of the light."""
    inks = joined(255 - COLOUR, GREY // 4)
    light = (255.0 - inks[..., :3]) * (255.0 - inks[..., 3:]) / 255
    return inks, (light + 0.5).astype(np.uint8)


def jpeg_cmyk() -> Made:
    inks, colours = cmyk()
    picture = Image.frombytes("CMYK", (WIDTH, HEIGHT), inks.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=100, subsampling=0)
    return buffer.getvalue(), colours


# --- GIF, BMP, PPM, TGA and PSD, by hand ---


def gif(frames: list[tuple[Array, int | None, int]], palette: Array = PALETTE) -> bytes:
    """Frames of indices with a hidden index and a disposal."""
    depth = max(1, math.ceil(math.log2(len(palette))))
    table = np.zeros((1 << depth, 3), np.uint8)
    table[: len(palette)] = palette
    head = b"GIF89a" + struct.pack("<HHBBB", WIDTH, HEIGHT, 0x80 | (depth - 1), 0, 0)
    again = b"!\xff\x0bNETSCAPE2.0\x03\x01\x02\0\0"
    parts = [head, table.tobytes(), again]
    for indices, hidden, disposal in frames:
        flags = disposal << 2 | (hidden is not None)
        parts.append(b"!\xf9\x04" + struct.pack("<BHB", flags, 5, hidden or 0) + b"\0")
        parts.append(b"," + struct.pack("<HHHHB", 0, 0, WIDTH, HEIGHT, 0) + lzw(indices))
    return b"".join((*parts, b";"))


def lzw(indices: Array) -> bytes:
    """Indices as codes of 9 bits, with a reset before the codes grow (GIF89a, appendix F)."""
    codes = [256]
    for number, index in enumerate(indices.ravel()):
        codes += [256] if number and number % 200 == 0 else []
        codes.append(int(index))
    codes.append(257)
    bits = sum(code << 9 * place for place, code in enumerate(codes))
    data = bits.to_bytes((9 * len(codes) + 7) // 8, "little")
    blocks = (data[i : i + 255] for i in range(0, len(data), 255))
    return b"\x08" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def bmp(values: Array, bits: int, palette: Array | None = None) -> bytes:
    """From bottom to top, blue first, rows on 4 bytes; alpha by the masks of version 4."""
    table = b"" if palette is None else joined(palette[:, None, ::-1], palette[:, None, :1] * 0)
    table = table if isinstance(table, bytes) else table.tobytes()
    lines = values[::-1]
    if palette is not None:
        data = packed(lines, bits)
    else:
        order = [2, 1, 0, 3][: values.shape[2]]
        data = lines[..., order].tobytes()
    length = len(data) // HEIGHT
    padded = b"".join(
        data[i * length : (i + 1) * length] + bytes(-length % 4) for i in range(HEIGHT)
    )
    alpha = bits == 32
    head = struct.pack("<IiiHHIIiiII", 108 if alpha else 40, WIDTH, HEIGHT, 1, bits,
                       3 if alpha else 0, len(padded), 0, 0, len(palette) if palette is not None
                       else 0, 0)  # fmt: skip
    if alpha:
        head += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    start = 14 + len(head) + len(table)
    return struct.pack("<2sIII", b"BM", start + len(padded), 0, start) + head + table + padded


def ppm(magic: str, values: Array, highest: int = 255) -> bytes:
    line = f"{magic} {WIDTH} {HEIGHT}" + ("" if magic == "P4" else f" {highest}") + "\n"
    if magic == "P4":
        return line.encode() + packed(1 - values[..., 0], 1)
    return line.encode() + values.astype(">u2" if highest > 255 else "u1").tobytes()


def pfm(values: Array) -> bytes:
    kind = "PF" if values.shape[2] == 3 else "Pf"
    return f"{kind}\n{WIDTH} {HEIGHT}\n-1.0\n".encode() + values[::-1].astype("<f4").tobytes()


def exr(*parts: dict[str, Array]) -> bytes:
    """Scan lines of floats as they are, by the file layout of OpenEXR; several parts by its 2.0."""

    def attribute(name: str, kind: str, value: bytes) -> bytes:
        return f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value

    def head(number: int, planes: dict[str, Array]) -> bytes:
        height, width = next(iter(planes.values())).shape
        channels = b"".join(
            name.encode() + b"\0" + struct.pack("<iIii", 1 if p.dtype == "f2" else 2, 0, 1, 1)
            for name, p in sorted(planes.items())
        )
        box = struct.pack("<4i", 0, 0, width - 1, height - 1)
        more = b""
        if len(parts) > 1:
            more = attribute("name", "string", b"part %d" % number)
            more += attribute("type", "string", b"scanlineimage")
            more += attribute("chunkCount", "int", struct.pack("<i", height))
        return (
            attribute("channels", "chlist", channels + b"\0")
            + attribute("compression", "compression", b"\0")
            + attribute("dataWindow", "box2i", box) + attribute("displayWindow", "box2i", box)
            + attribute("lineOrder", "lineOrder", b"\0")
            + attribute("pixelAspectRatio", "float", struct.pack("<f", 1))
            + attribute("screenWindowCenter", "v2f", bytes(8))
            + attribute("screenWindowWidth", "float", struct.pack("<f", 1)) + more + b"\0"
        )  # fmt: skip

    several = len(parts) > 1
    start = struct.pack("<iI", 20000630, 2 | several << 12)
    start += b"".join(head(*each) for each in enumerate(parts)) + b"\0" * several
    lines = [
        [struct.pack("<i", number)] * several
        + [struct.pack("<ii", row, sum(p[row].nbytes for p in planes.values()))]
        + [planes[name][row].tobytes() for name in sorted(planes)]
        for number, planes in enumerate(parts)
        for row in range(len(next(iter(planes.values()))))
    ]
    chunks = [b"".join(line) for line in lines]
    places = np.cumsum([len(start) + 8 * len(chunks), *map(len, chunks)])[:-1]
    return start + places.astype("<u8").tobytes() + b"".join(chunks)


def planes_of(values: Array, names: str, kind: str = "<f4") -> dict[str, Array]:
    """The channels, the colour multiplied by alpha where there is one."""
    alpha = values[..., -1] if names[-1] == "A" else 1
    return {
        name: (values[..., i] * (1 if name == "A" else alpha)).astype(kind)
        for i, name in enumerate(names)
    }


def tga(kind: int, values: Array, bits: int, palette: bytes = b"", width: int = 0) -> bytes:
    entries = len(palette) * 8 // width if palette else 0
    alpha = 8 if bits in (16, 32) else 0
    head = struct.pack("<BBBHHBHHHHBB", 0, bool(palette), kind, 0, entries, width, 0, 0, WIDTH,
                       HEIGHT, bits, 0x20 | alpha)  # fmt: skip
    order = [2, 1, 0, 3][: values.shape[2]] if values.shape[2] > 2 else slice(None)
    return head + palette + values[..., order].tobytes()


def psd(
    mode: int, values: Array, bits: int = 8, palette: bytes = b"", layers: bytes = b""
) -> bytes:
    channels = values.shape[2]
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, channels, HEIGHT, WIDTH, bits, mode)
    blocks = struct.pack(">I", len(palette)) + palette + bytes(4)
    blocks += struct.pack(">I", len(layers)) + layers + bytes(2)
    planes = values.transpose(2, 0, 1)
    if bits == 1:
        return head + blocks + packed(1 - planes[0], 1)
    return head + blocks + planes.astype(">u2" if bits == 16 else "u1").tobytes()


def psd_with_layers() -> Made:
    layer = struct.pack(">iiiiH", 0, 0, 1, 1, 1) + struct.pack(">hI", 0, 3)
    layer += b"8BIMnorm" + bytes([255, 0, 0, 0]) + struct.pack(">III", 12, 0, 0) + b"\1A\0\0"
    info = struct.pack(">h", 1) + layer + struct.pack(">HB", 0, 9)
    info += bytes(len(info) % 2)
    return psd(3, COLOUR, layers=struct.pack(">I", len(info)) + info + bytes(4)), COLOUR


def joined_down(*parts: Array) -> Array:
    return np.concatenate(parts, axis=0)


def colormap() -> Array:
    table = np.zeros((3, 256), np.uint16)
    table[:, : len(PALETTE)] = PALETTE.T.astype(np.uint16) * 257
    return table


def jpeg2000_grey_16() -> Made:
    values = deep(GREY)
    picture = Image.frombytes("I;16", (WIDTH, HEIGHT), values.astype("<u2").tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG2000")
    return buffer.getvalue(), values


def jpeg2000_16() -> Made:
    """A header that promises 16 bits, of which pixels use the middle: Pillow writes no others."""
    data = bytearray(pillow(COLOUR, "JPEG2000"))
    start = data.index(b"\xff\x4f\xff\x51")
    for channel in range(3):
        data[start + 42 + 3 * channel] = 15
    return bytes(data), np.full_like(COLOUR, 128)
