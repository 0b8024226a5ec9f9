"""GIF: its blocks, frames laid over each other as browsers do, and animations for any reader.

Pillow packs and unpacks the pixels. Of what lies around them it knows less than browsers: it fills
with a colour what a first frame leaves open, and what an opaque frame leaves behind.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image

from ccsr.image.limits import check_frames
from ccsr.image.modes import Levels

_KEEP, _CLEAR, _RESTORE = 1, 2, 3  # what becomes of a frame when its time is over
_MOST = 65535  # repetitions, and hundredths of a second
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_BLOCK = re.compile(b"[,!;]")  # the beginning of one
_XMP, _PROFILE = b"XMP DataXMP", b"ICCRGBG1012"
_XMP_END = 257  # bytes that lead any reader of blocks out of the XMP


@dataclass(frozen=True)
class Frame:
    """A frame as it is stored.

    Attributes:
        box: left, top, width and height on the canvas.
        colours: (256, 3).
        hidden: the index that shows what is behind.
        disposal: what becomes of it when its time is over.
        duration: milliseconds; None if it does not say.
        packed: the rest of its descriptor and its pixels.
    """

    box: tuple[int, int, int, int]
    colours: NDArray[np.uint8]
    hidden: int | None
    disposal: int
    duration: float | None
    packed: bytes


@dataclass
class Gif:
    """What a file holds.

    Attributes:
        size: (h, w) of the canvas.
        frames: in their order.
        repetitions: how often it starts again, 0 for ever; None for never.
        xmp: bytes.
        profile: ICC bytes.
        comment: whether it holds one.
        credentials: whether it holds signed statements of where it comes from.
        rest: what follows its end.
        aspect: pixels a length, across and down.
    """

    size: tuple[int, int]
    frames: list[Frame] = field(default_factory=list)
    repetitions: int | None = None
    xmp: bytes | None = None
    profile: bytes | None = None
    comment: bool = False
    credentials: bool = False
    rest: bytes = b""
    aspect: tuple[int, int] = (1, 1)


def parse(data: bytes) -> Gif:
    """Take a file apart without unpacking its pixels.

    Raises:
        OSError: if it is truncated, or has more frames than are allowed.
    """
    try:
        return _parsed(data)
    except (IndexError, struct.error) as error:
        raise OSError("image file is truncated") from error


def shown(gif: Gif) -> Iterator[Levels]:
    """What each frame shows, (h, w, 4): nothing where nothing was drawn.

    Raises:
        OSError: if it is damaged.
    """
    canvas = np.zeros((*gif.size, 4), np.uint8)
    for frame in gif.frames:
        left, top, width, height = frame.box
        part = canvas[top : top + height, left : left + width]
        before = part.copy() if frame.disposal == _RESTORE else None
        if part.size:
            indices = _unpacked(frame)[: part.shape[0], : part.shape[1]]
            drawn = indices != frame.hidden if frame.hidden is not None else np.full(1, True)
            inked = drawn | (part[..., 3] == 0)  # and under what stays transparent
            np.copyto(part[..., :3], frame.colours[indices], where=inked[..., None])
            np.copyto(part[..., 3], 255, where=drawn)
        yield canvas.copy()
        if frame.disposal == _CLEAR:
            part[:] = 0
        elif before is not None:
            part[:] = before


def encoded(frames: Sequence[Levels], durations: Sequence[float], loop: int) -> tuple[bytes, bool]:
    """A file of 8-bit frames, (h, w, 1 or 3), or (h, w, 2 or 4) with alpha of 0 or 255.

    Args:
        frames: of one shape.
        durations: milliseconds of each, rounded to hundredths of a second; empty for one frame.
        loop: how often it is shown; 0 for ever.

    Returns:
        That, and whether all its colours found a place in the frames' palettes.
    """
    height, width, channels = frames[0].shape
    ends = [round(end / 10) for end in accumulate(durations)]
    content = [b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0)]
    if len(frames) > 1 and loop != 1:
        content += [b"!\xff\x0b", _LOOPS[0], b"\x03\x01", struct.pack("<H", _again(loop)), b"\0"]
    previous: Levels | None = None
    whole = True
    for number, values in enumerate(frames):
        options: dict[str, int] = {}
        if durations:
            hundredths = ends[number] - (ends[number - 1] if number else 0)
            options["duration"] = 10 * min(hundredths, _MOST)
        box = (0, 0, width, height)
        # What is transparent must not show the frame before. All frames name a hidden index:
        # some readers clear to it, and to a colour where a frame has none.
        if len(frames) > 1:
            options["disposal"] = _CLEAR if channels in (2, 4) else _KEEP
        if channels in (1, 3):
            box = _changed(previous, values)
        left, top, right, bottom = box
        picture, hidden, exact = _indexed(values[top:bottom, left:right])
        whole &= exact
        if hidden is not None:
            options["transparency"] = hidden
        content += GifImagePlugin.getdata(picture, box[:2], include_color_table=True, **options)
        previous = values
    return b"".join((*content, b";")), whole


def _again(loop: int) -> int:
    """How often a file of that loop starts again; 0 for ever in both."""
    return min(max(loop - 1, 0), _MOST)


def _changed(previous: Levels | None, values: Levels) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what differs, at least a pixel."""
    if previous is None:
        return 0, 0, values.shape[1], values.shape[0]
    differs = (values != previous).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return 0, 0, 1, 1
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _indexed(values: Levels) -> tuple[Image.Image, int | None, bool]:
    """With a palette, its hidden index if there is alpha, and whether its colours are exact."""
    height, width, channels = values.shape
    if channels == 1:
        picture = Image.frombytes("P", (width, height), values.tobytes())
        picture.putpalette(np.arange(256, dtype=np.uint8).repeat(3).tobytes())
        return picture, None, True
    alpha = channels in (2, 4)
    colours = values[..., :-1] if alpha else values
    colours = colours.repeat(3, axis=2) if colours.shape[2] == 1 else colours
    seen = values[..., -1] > 127 if alpha else np.ones((height, width), bool)
    if not seen.all():  # what is hidden takes no colours of the palette
        colours = colours.copy()
        colours[~seen] = colours[seen][0] if seen.any() else 0
    picture = Image.frombytes("RGB", (width, height), colours.tobytes())
    picture = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=255 if alpha else 256)
    indices = np.asarray(picture)
    palette = bytes(picture.getpalette() or [])
    table = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    exact = bool((table[indices] == colours).all())
    if not alpha:
        return picture, None, exact
    hidden = int(indices.max()) + 1
    indices = np.where(seen, indices, np.uint8(hidden))
    picture = Image.frombytes("P", (width, height), indices.tobytes())
    picture.putpalette(palette[: 3 * hidden] + bytes(3))
    return picture, hidden, exact


def _parsed(data: bytes) -> Gif:
    width, height, flags, aspect = struct.unpack_from("<HHBxB", data, 6)
    gif = Gif((height, width), aspect=(64, aspect + 15) if aspect else (1, 1))
    position = 13
    common = b""
    if flags & 128:
        common = data[position : position + (6 << (flags & 7))]
        position += len(common)
    control = bytes(4)  # of the next frame
    said = False
    while position < len(data):
        kind = data[position]
        if kind == 0x2C:
            frame, position = _frame(data, position, common, control, said)
            gif.frames.append(frame)
            check_frames(len(gif.frames))
            control, said = bytes(4), False
        elif kind == 0x21:
            label, start = data[position + 1], position + 2
            blocks, position = _blocks(data, start)
            if label == 0xF9 and blocks and len(blocks[0]) >= 4:
                control, said = blocks[0], True
            _learn(gif, label, blocks, data[start:position])
        elif kind == 0x3B:
            gif.rest = data[position + 1 :]
            break
        else:  # padding, which other readers pass over
            found = _BLOCK.search(data, position)
            position = found.start() if found else len(data)
    else:
        if not gif.frames:
            raise IndexError
    if gif.frames:  # a first frame that exceeds the canvas widens it
        left, top, width, height = gif.frames[0].box
        gif.size = max(gif.size[0], top + height), max(gif.size[1], left + width)
    return gif


def _frame(
    data: bytes, position: int, common: bytes, control: bytes, said: bool
) -> tuple[Frame, int]:
    left, top, width, height, flags = struct.unpack_from("<HHHHB", data, position + 1)
    position += 10
    own = common
    if flags & 128:
        own = data[position : position + (6 << (flags & 7))]
        position += len(own)
    colours = np.zeros((256, 3), np.uint8)
    if own:
        table = np.frombuffer(own, np.uint8)[: len(own) // 3 * 3].reshape(-1, 3)
        colours[: len(table)] = table
    else:
        colours[:] = np.arange(256)[:, None]
    start = position
    _, position = _blocks(data, position + 1)
    delay = struct.unpack_from("<H", control, 1)[0] * 10
    return Frame(
        (left, top, width, height),
        colours,
        control[3] if control[0] & 1 else None,
        control[0] >> 2 & 7,
        float(delay) if said else None,
        bytes([flags & 64]) + data[start:position],
    ), position


def _unpacked(frame: Frame) -> NDArray[np.uint8]:
    """(h, w) indices: those of a file without colours, which Pillow takes for grey."""
    _, _, width, height = frame.box
    if Image.MAX_IMAGE_PIXELS and width * height > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0)
    single = screen + b"," + struct.pack("<HHHH", 0, 0, width, height) + frame.packed + b";"
    with Image.open(BytesIO(single), formats=["GIF"]) as image:
        return np.asarray(image)


def _blocks(data: bytes, position: int) -> tuple[list[bytes], int]:
    """Blocks up to an empty one, and the position behind it."""
    blocks = []
    while length := data[position]:
        blocks.append(data[position + 1 : position + 1 + length])
        position += 1 + length
    return blocks, position + 1


def _learn(gif: Gif, label: int, blocks: list[bytes], raw: bytes) -> None:
    if label == 0xFE:
        gif.comment = True
    if label != 0xFF or not blocks:
        return
    if blocks[0] in _LOOPS and len(blocks) > 1 and len(blocks[1]) >= 3 and blocks[1][0] == 1:
        gif.repetitions = struct.unpack_from("<H", blocks[1], 1)[0]
    elif blocks[0] == _XMP:
        gif.xmp = raw[12 : -_XMP_END - 1]
    elif blocks[0].startswith(b"C2PA"):
        gif.credentials = True
    elif blocks[0] == _PROFILE:
        gif.profile = b"".join(blocks[1:])
