"""XMP that stays true of an enlargement: each field is judged by what it describes.

What describes bytes of the file, or other pictures and streams in it, goes, since those go. What
counts pixels is scaled. All else is kept as it is written.
"""

import re
from collections.abc import Container, Iterator
from contextlib import suppress
from typing import NamedTuple, TypeAlias
from xml.dom.expatbuilder import parseString
from xml.dom.minidom import Document, Element, Node, Text
from xml.parsers.expat import ExpatError

Size: TypeAlias = tuple[int, int]

_RDF, _XMP = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://ns.adobe.com/xap/1.0/"
_SPACES = {  # the usual prefix of a namespace, which a file may name otherwise
    _RDF: "rdf",
    _XMP: "xmp",
    _XMP + "g/img/": "xmpGImg",
    _XMP + "sType/Dimensions#": "stDim",
    "http://ns.adobe.com/xmp/sType/Area#": "stArea",
    "http://ns.adobe.com/xmp/note/": "xmpNote",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/hdr-gain-map/1.0/": "hdrgm",
    "http://ns.apple.com/HDRGainMap/1.0/": "HDRGainMap",
    "http://ns.apple.com/pixeldatainfo/1.0/": "apdi",
    "http://ns.google.com/photos/1.0/container/": "Container",
    "http://ns.google.com/photos/1.0/container/item/": "Item",
    "http://ns.google.com/photos/1.0/camera/": "GCamera",
    "http://ns.google.com/photos/1.0/panorama/": "GPano",
    "http://ns.google.com/photos/1.0/depthmap/": "GDepth",
    "http://ns.google.com/photos/1.0/image/": "GImage",
    "http://ns.google.com/photos/1.0/audio/": "GAudio",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/xmp/1.0/DynamicMedia/": "xmpDM",
    "http://prismstandard.org/namespaces/basic/2.0/": "prism",
    "http://www.dji.com/drone-dji/1.0/": "drone-dji",
}
# Of other pictures and streams, as a whole.
_OTHERS = {
    "hdrgm", "HDRGainMap", "apdi", "Container", "GContainer", "Item", "GContainerItem", "GDepth",
    "GImage", "GAudio", "xmpGImg",
}  # fmt: skip
_OTHERS_AT = re.compile(r"ns\.google\.com/photos/dd/|gain-?map|/container/", re.IGNORECASE)
# Of streams, places and sums of bytes, whoever writes it: makers have such fields of their own.
_STREAM = re.compile(
    r"Motion_?Photo|Micro_?Video|(?:Video|Audio|Depth|Item|Data)_?(?:Offset|Length|Size)$"
    r"|Gain_?Map|Thumbnails?$|ExtendedXMP$|Digest$|DewarpData|^provenance$"
)
# Each file says it itself, and another one differs; the picture is upright.
_FILE_SAYS = {
    "tiff:Orientation", "dc:format", "tiff:BitsPerSample", "tiff:Compression",
    "tiff:PhotometricInterpretation", "tiff:PlanarConfiguration", "tiff:SamplesPerPixel",
    "tiff:YCbCrSubSampling", "tiff:YCbCrPositioning", "exif:CompressedBitsPerPixel",
}  # fmt: skip
_WIDTHS = {"tiff:ImageWidth", "exif:PixelXDimension", "exif:ExifImageWidth"}
_HEIGHTS = {"tiff:ImageLength", "tiff:ImageHeight", "exif:PixelYDimension", "exif:ExifImageHeight"}
_ACROSS = re.compile(
    r"(?:Width|Left|X)_?(?:In)?Pixels$|^LargestValidInteriorRect(?:Left|Width)$"
    r"|^FocalPlaneXResolution$|^CalibratedOpticalCenterX$|^CalibratedFocalLength$"
)
_DOWN = re.compile(
    r"(?:Height|Top|Y)_?(?:In)?Pixels$|^LargestValidInteriorRect(?:Top|Height)$"
    r"|^FocalPlaneYResolution$|^CalibratedOpticalCenterY$"
)
_POINTS = {"exif:SubjectArea", "exif:SubjectLocation"}  # x, y and more, in a sequence
# Boxes that may be given in pixels: what tells the unit, and what goes across and down.
_BOXES = {
    "stDim:unit": (("stDim:w",), ("stDim:h",)),
    "stArea:unit": (("stArea:x", "stArea:w", "stArea:d"), ("stArea:y", "stArea:h")),
    "Iptc4xmpExt:rbUnit": (
        ("Iptc4xmpExt:rbX", "Iptc4xmpExt:rbW", "Iptc4xmpExt:rbRx"),
        ("Iptc4xmpExt:rbY", "Iptc4xmpExt:rbH"),
    ),
}  # fmt: skip
_DEEPEST = 100  # elements in one another
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
_RESOLUTION = {"tiff:XResolution", "tiff:YResolution", "tiff:ResolutionUnit"}
_PLACE = re.compile(r"^GPS")
_POSITIONS = re.compile(r"wgs84_pos|georss|schemas/kml", re.IGNORECASE)  # spaces of nothing else
_PERHAPS_A_PLACE = re.compile(
    rb"gps|latitude|longt?itude|coordinates|geo(?:rss|tag|location)|wgs84"
    rb"|\bgeo:|:(?:lat|lon|long|lng)\b",
    re.IGNORECASE,
)
_PLACE_IN_WORDS = {
    "photoshop:City", "photoshop:State", "photoshop:Country", "Iptc4xmpCore:Location",
    "Iptc4xmpCore:CountryCode", "dc:coverage", "xmpDM:shotLocation", "prism:location",
    "Iptc4xmpExt:LocationCreated", "Iptc4xmpExt:LocationShown",
}  # fmt: skip


class _Field(NamedTuple):
    """A property: an attribute of `element`, or `element` itself, where `attribute` is empty."""

    name: str
    space: str
    element: Element
    attribute: str

    @property
    def values(self) -> list[str]:
        """Its text, or the texts of its items."""
        if self.attribute:
            return [self.element.getAttribute(self.attribute)]
        return [node.data for node in _texts(self.element)]

    def stands_in(self, tree: Document) -> bool:
        node: Node | None = self.element
        while node is not None and node is not tree:
            node = node.parentNode
        return node is tree

    @property
    def owner(self) -> "_Field":
        """The element that has this property."""
        parent = self.element if self.attribute else self.element.parentNode
        element = parent if isinstance(parent, Element) else self.element
        return _Field(element.tagName, "", element, "")

    def set(self, values: list[str]) -> None:
        if self.attribute:
            self.element.setAttribute(self.attribute, values[0])
            return
        for node, value in zip(_texts(self.element), values, strict=True):
            node.data = value

    def remove(self) -> None:
        if self.attribute:
            _remove(self.element, self.attribute)
        elif self.element.parentNode is not None:
            self.element.parentNode.removeChild(self.element)


def true_of_pixels(xmp: bytes, turn: int = 1) -> tuple[bytes | None, tuple[str, ...]]:
    """What is true of the pixels alone, upright, and the names of what is not.

    Args:
        xmp: of a file.
        turn: the EXIF orientation that the pixels were stored with. Places in a picture that was
            turned go too; its resolutions change places.

    Returns:
        None for XMP that is damaged or says nothing.
    """
    tree = _parsed(xmp)
    if tree is None:
        return None, ("damaged XMP",)
    gone: list[str] = []
    changed = False
    for found in list(_fields(tree)):
        if not found.stands_in(tree):  # it went with what it was in
            continue
        prefix, _, local = found.name.partition(":")
        others = prefix in _OTHERS or bool(_OTHERS_AT.search(found.space))
        stale = others or _STREAM.search(local) or found.name in _FILE_SAYS
        measured = _ACROSS.search(local) or _DOWN.search(local) or found.name in _POINTS
        if turn != 1 and found.name in _BOXES:
            found, measured = found.owner, True
        if stale or (turn != 1 and measured):
            if found.name not in _FILE_SAYS:
                gone.append(f"XMP {prefix}" if others else f"XMP {found.name}")
            found.remove()
            changed = True
    if turn >= 5:
        changed |= _exchange(tree, "tiff:XResolution", "tiff:YResolution")
    return _written(tree) if changed else xmp, tuple(dict.fromkeys(gone))


def scaled(xmp: bytes, before: Size, after: Size) -> bytes:
    """XMP of a picture of `before` (h, w) pixels for one of `after` (H, W)."""
    tree = _parsed(xmp)
    if tree is None or before == after:
        return xmp
    down, across = after[0] / before[0], after[1] / before[1]
    fields = list(_fields(tree))
    boxes: dict[tuple[int, str], _Field] = {}  # the unit of each, by the element that holds it
    for found in fields:
        local = found.name.partition(":")[2]
        if found.name in _WIDTHS:
            found.set([str(after[1])] * len(found.values))
        elif found.name in _HEIGHTS:
            found.set([str(after[0])] * len(found.values))
        elif found.name in _POINTS:
            found.set(_points(found.values, across, down))
        elif _ACROSS.search(local):
            found.set([_times(value, across) for value in found.values])
        elif _DOWN.search(local):
            found.set([_times(value, down) for value in found.values])
        elif found.name in _BOXES and found.values[:1] and "pixel" in found.values[0].lower():
            boxes.setdefault((id(found.owner.element), found.name), found)
    _scale_boxes(boxes, fields, across, down)
    return _written(tree)


def without_resolution(xmp: bytes) -> bytes:
    """XMP that leaves it to the file to tell its resolution."""
    tree = _parsed(xmp)
    found = [field for field in _fields(tree) if field.name in _RESOLUTION] if tree else []
    for field in found:
        field.remove()
    return _written(tree) if tree and found else xmp


def without_place(xmp: bytes) -> bytes | None:
    """XMP without GPS, and the place in words that IPTC defines.

    None where a place may be under a name of its own, as drones write it.
    """
    tree = _parsed(xmp)
    if tree is None:
        return None
    own = [
        found
        for found in _fields(tree)
        if found.name in _PLACE_IN_WORDS
        or _POSITIONS.search(found.space)
        or (found.name.startswith("exif:") and _PLACE.match(found.name.partition(":")[2]))
    ]
    for found in own:
        found.remove()
    rest = _written(tree) if own else xmp
    return None if _PERHAPS_A_PLACE.search(rest) else rest


def _parsed(xmp: bytes) -> Document | None:
    """The tree; None if there is none, or it defines entities or is deep, as XMP never does."""
    xmp = xmp.strip(b"\0 \r\n\t")
    if b"<!DOCTYPE" in xmp:
        return None
    try:
        # prefixes are resolved here: not all files declare all of theirs
        tree = parseString(xmp, namespaces=False)
    except (ExpatError, ValueError, LookupError):
        return None
    return tree if _depth(tree) <= _DEEPEST else None


def _depth(tree: Document) -> int:
    """Of elements in elements."""
    depth, level = 0, [each for each in tree.childNodes if isinstance(each, Element)]
    while level := [c for each in level for c in each.childNodes if isinstance(c, Element)]:
        depth += 1
        if depth > _DEEPEST:
            break
    return depth


def _written(tree: Document) -> bytes:
    """Without the declarations of prefixes that nothing has any more."""
    root = tree.documentElement
    elements = [root, *root.getElementsByTagName("*")] if root else []
    names = [name for each in elements for name in (each.tagName, *each.attributes.keys())]
    used = {name.partition(":")[0] for name in names if not name.startswith("xmlns")}
    for element in elements:
        for name in list(element.attributes.keys()):
            if name.startswith("xmlns:") and name[6:] not in used:
                _remove(element, name)
    return "".join(node.toxml() for node in tree.childNodes).encode()


def _fields(tree: Document) -> Iterator[_Field]:
    """All properties, also those inside of others."""
    yield from _inside(tree.documentElement, {})


def _inside(element: Element | None, spaces: dict[str, str]) -> Iterator[_Field]:
    if element is None:
        return
    attributes = dict(element.attributes.items())
    spaces = spaces | {n[6:]: uri for n, uri in attributes.items() if n.startswith("xmlns:")}
    for name in attributes:
        if not name.startswith(("xmlns", "xml:")):
            yield _Field(*_resolved(name, spaces), element, name)
    for child in list(element.childNodes):
        if isinstance(child, Element):
            yield _Field(*_resolved(child.tagName, spaces), child, "")
            yield from _inside(child, spaces)


def _resolved(name: str, spaces: dict[str, str]) -> tuple[str, str]:
    prefix, _, local = name.rpartition(":")
    space = spaces.get(prefix, "")
    return f"{_SPACES.get(space, prefix)}:{local}", space


def _remove(element: Element, name: str) -> None:
    """Take an attribute away."""
    with suppress(KeyError):  # from one of two like GDepth:Data and GImage:Data, which is gone then
        element.removeAttribute(name)


def _texts(element: Element) -> list[Text]:
    """Text nodes that say something, of the element and those inside."""
    found: list[Text] = []
    for child in element.childNodes:
        if isinstance(child, Text) and child.data.strip():
            found.append(child)
        elif isinstance(child, Element):
            found += _texts(child)
    return found


def _exchange(tree: Document, first: str, second: str) -> bool:
    found = {field.name: field for field in _fields(tree) if field.name in (first, second)}
    if len(found) < 2 or len(found[first].values) != len(found[second].values):
        return False
    values = found[first].values
    found[first].set(found[second].values)
    found[second].set(values)
    return True


def _scale_boxes(
    units: Container[tuple[int, str]], fields: list[_Field], across: float, down: float
) -> None:
    """Scale the properties beside a unit of pixels."""
    factors = {
        name: (unit, factor)
        for unit, sides in _BOXES.items()
        for names, factor in zip(sides, (across, down), strict=True)
        for name in names
    }
    for found in fields:
        unit, factor = factors.get(found.name, ("", 1.0))
        if unit and (id(found.owner.element), unit) in units:
            found.set([_times(value, factor) for value in found.values])


def _points(values: list[str], across: float, down: float) -> list[str]:
    """Of x and y, then a diameter, or a width and a height; also in one text."""
    parts = [part for value in values for part in value.replace(",", " ").split()]
    factors = [across, down, (across * down) ** 0.5 if len(parts) == 3 else across, down]
    times = [_times(part, factor) for part, factor in zip(parts, factors, strict=False)]
    times += parts[len(times) :]
    return times if len(values) == len(times) else [" ".join(times)] + [""] * (len(values) - 1)


def _times(value: str, factor: float) -> str:
    """A whole, decimal or rational number (its numerator) times a factor; others stay."""
    match = _NUMBER.match(value.strip())
    if match is None:
        return value
    number, rest = match[0], value.strip()[match.end() :]
    product = float(number) * factor
    return (f"{product:.10g}" if "." in number else str(round(product))) + rest
