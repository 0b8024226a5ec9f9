"""Files made of boxes (ISO/IEC 14496-12): what HEIC, AVIF and JPEG 2000 say beside the pixels."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

_FULL = {b"meta": 4, b"iref": 4}  # bytes of version and flags before the boxes inside
_EXIF_ID, _XMP_ID = b"JpgTiffExif->JP2", bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_CREDENTIALS = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # signed, of C2PA
_ENTRY = 78  # bytes of a visual sample entry before the boxes inside


class Box(NamedTuple):
    """Four letters, and where the content lies in the file."""

    kind: bytes
    start: int
    end: int


@dataclass
class Facts:
    """What the boxes say of the main picture, as far as they do.

    Attributes:
        nclx: code points of primaries and transfer.
        profile: ICC bytes.
        bits: per channel.
        turned: whether its pixels are turned or flipped to be shown.
        others: other pictures and streams in the file, by what they are for.
        exif: starting with the word Exif; of JPEG 2000 only.
        xmp: likewise.
    """

    nclx: tuple[int, int] | None = None
    profile: bytes | None = None
    bits: int | None = None
    turned: bool = False
    others: list[str] = field(default_factory=list)
    exif: bytes | None = None
    xmp: bytes | None = None


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes of a part of a file one after the other, as far as they are whole."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, start)
        inside = start + 8
        if length == 1 and start + 16 <= end:
            (length,) = struct.unpack_from(">Q", data, inside)
            inside += 8
        stop = start + length if length else end
        if stop < inside or stop > end:
            return
        yield Box(kind, inside, stop)
        start = stop


def find(data: bytes, *path: bytes, within: Box | None = None) -> Iterator[Box]:
    """All boxes at a path of kinds."""
    start, end = (within.start + _FULL.get(within.kind, 0), within.end) if within else (0, None)
    for box in boxes(data, start, end):
        if box.kind == path[0]:
            if len(path) == 1:
                yield box
            else:
                yield from find(data, *path[1:], within=box)


def heif_facts(data: bytes) -> Facts:
    """What the boxes of a HEIC or AVIF file say of its main picture."""
    facts = Facts()
    for meta in find(data, b"meta"):
        _of_items(data, meta, facts)
    for entries in find(data, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        for entry in boxes(data, entries.start + 8, entries.end):
            for box in boxes(data, entry.start + _ENTRY, entry.end):
                _learn(data, box, facts)
        break
    if any(data[box.start : box.start + 16] == _CREDENTIALS for box in find(data, b"uuid")):
        facts.others.append("content credentials")
    if any(find(data, b"mpvd")):
        facts.others.append("motion video")
    return facts


def jpeg2000_facts(data: bytes) -> Facts:
    """What a JPEG 2000 file or codestream says of its picture."""
    facts = Facts()
    for box in find(data, b"jp2h", b"colr"):
        if data[box.start] in (2, 3) and facts.profile is None:
            facts.profile = data[box.start + 3 : box.end]
    for box in find(data, b"uuid"):
        name, content = data[box.start : box.start + 16], data[box.start + 16 : box.end]
        if name == _XMP_ID:
            facts.xmp = content
        elif name == _CREDENTIALS:
            facts.others.append("content credentials")
        elif name == _EXIF_ID:
            facts.exif = b"Exif\0\0" + content.removeprefix(b"Exif\0\0")
    facts.others += ["text"] if any(find(data, b"xml ")) else []
    start = data.find(b"\xff\x4f\xff\x51")
    if 0 <= start < len(data) - 42:
        facts.bits = (data[start + 42] & 127) + 1
    return facts


def repetitions(data: bytes) -> int:
    """How often an animation is shown; 0 for ever, as readers take it where it does not say.

    An edit list says whether it begins again, and the time that it takes with all repetitions.
    """
    for track in find(data, b"moov", b"trak"):
        for box in find(data, b"edts", b"elst", within=track):
            if not data[box.start + 3] & 1:
                return 1
            head = next(find(data, b"tkhd", within=track), None)
            wide = 8 if data[box.start] == 1 else 4
            once = _number(data, box, 8, wide)
            if head is None or not once:
                return 0
            version = data[head.start]
            whole = _number(data, head, 28 if version == 1 else 20, 8 if version == 1 else 4)
            endless = whole >= (1 << (64 if version == 1 else 32)) - 1
            return 0 if endless else max(1, -(-whole // once))
    return 0


def without_times(data: bytes) -> bytes:
    """The same file with the moments of its making at zero."""
    changed = bytearray(data)
    paths = (b"moov", b"mvhd"), (b"moov", b"trak", b"tkhd"), (b"moov", b"trak", b"mdia", b"mdhd")
    for path in paths:
        for box in find(data, *path):
            length = 16 if data[box.start] == 1 else 8  # two numbers, behind version and flags
            changed[box.start + 4 : box.start + 4 + length] = bytes(length)
    return bytes(changed)


def with_nclx(data: bytes, code: tuple[int, int]) -> bytes:
    """The same file with other primaries and transfer wherever code points are."""
    changed = bytearray(data)
    for box in _all_colr(data):
        if data[box.start : box.start + 4] == b"nclx":
            changed[box.start + 4 : box.start + 8] = struct.pack(">HH", *code)
    return bytes(changed)


def _all_colr(data: bytes) -> Iterator[Box]:
    yield from find(data, b"meta", b"iprp", b"ipco", b"colr")
    for entries in find(data, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        for entry in boxes(data, entries.start + 8, entries.end):
            yield from (
                box for box in boxes(data, entry.start + _ENTRY, entry.end) if box.kind == b"colr"
            )


def _of_items(data: bytes, meta: Box, facts: Facts) -> None:
    primary = next((_number(data, box, 4) for box in find(data, b"pitm", within=meta)), 0)
    properties = [
        box for listed in find(data, b"iprp", b"ipco", within=meta)
        for box in boxes(data, listed.start, listed.end)
    ]  # fmt: skip
    items = {
        item: [properties[index] for index in indices if index < len(properties)]
        for box in find(data, b"iprp", b"ipma", within=meta)
        for item, indices in _associations(data, box)
    }
    tiles = [
        to for kind, start, to in _references(data, meta) if kind == b"dimg" and start == primary
    ]
    for item in (primary, *(tiles[0] if tiles else ())[:1]):
        for box in items.get(item, ()):
            _learn(data, box, facts)
    for item, own in items.items():
        for box in own:
            if item != primary and box.kind == b"auxC":
                use = _use(data[box.start + 4 : box.end].split(b"\0")[0])
                facts.others += [use] if use else []
    kinds = [kind for box in find(data, b"iinf", within=meta) for kind in _item_kinds(data, box)]
    if b"tmap" in kinds:
        facts.others.append("gain map")


def _learn(data: bytes, box: Box, facts: Facts) -> None:
    content = data[box.start : box.end]
    if box.kind == b"colr" and content[:4] == b"nclx" and len(content) >= 8 and not facts.nclx:
        first, second = struct.unpack_from(">HH", content, 4)
        facts.nclx = first, second
    elif box.kind == b"colr" and content[:4] in (b"prof", b"rICC"):
        facts.profile = facts.profile or content[4:]
    elif box.kind == b"imir" or (box.kind == b"irot" and content[:1] > b"\0"):
        facts.turned = True
    elif box.kind == b"pixi" and len(content) > 5:
        facts.bits = facts.bits or content[5]
    elif box.kind == b"av1C" and len(content) > 2 and content[2] & 64:
        facts.bits = facts.bits or (12 if content[2] & 32 else 10)
    elif box.kind == b"hvcC" and len(content) > 18:
        facts.bits = facts.bits or (content[17] & 7) + 8


def _use(urn: bytes) -> str:
    """What an auxiliary picture is for; empty for transparency, which is read."""
    name = urn.decode("ascii", "replace").lower()
    uses = {
        "alpha": "", "auxid:1": "", "gainmap": "gain map", "depth": "depth map",
        "auxid:2": "depth map", "disparity": "depth map", "matte": "matte",
    }  # fmt: skip
    return next((use for part, use in uses.items() if part in name), "auxiliary picture")


def _associations(data: bytes, box: Box) -> Iterator[tuple[int, list[int]]]:
    """Items with the indices, from 0, of their properties."""
    version, wide = data[box.start], data[box.start + 3] & 1
    position = box.start + 8
    for _ in range(_number(data, box, 4, 4)):
        length = 4 if version else 2
        if position + length >= box.end:
            return
        item = int.from_bytes(data[position : position + length], "big")
        count = data[position + length]
        position += length + 1
        step = 2 if wide else 1
        raw = [data[position + i * step : position + (i + 1) * step] for i in range(count)]
        position += count * step
        mask = 0x7FFF if wide else 0x7F
        yield item, [(int.from_bytes(index, "big") & mask) - 1 for index in raw if any(index)]


def _references(data: bytes, meta: Box) -> Iterator[tuple[bytes, int, list[int]]]:
    """Kind, from which item, to which items."""
    for listed in find(data, b"iref", within=meta):
        length = 4 if data[listed.start] else 2
        for box in boxes(data, listed.start + 4, listed.end):
            ids = [
                int.from_bytes(data[at : at + length], "big")
                for at in (box.start, *range(box.start + length + 2, box.end, length))
            ]
            yield box.kind, ids[0], ids[1:]


def _item_kinds(data: bytes, box: Box) -> Iterator[bytes]:
    start = box.start + (8 if data[box.start] else 6)
    for entry in boxes(data, start, box.end):
        if data[entry.start] >= 2:
            at = entry.start + 4 + (4 if data[entry.start] == 3 else 2) + 2
            yield data[at : at + 4]


def _number(data: bytes, box: Box, at: int, length: int = 0) -> int:
    """The number at an offset in a box: of 2 bytes in version 0, else of 4, if not given."""
    length = length or (4 if data[box.start] else 2)
    return int.from_bytes(data[box.start + at : box.start + at + length], "big")
