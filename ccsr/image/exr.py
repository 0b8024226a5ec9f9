"""OpenEXR, by the library of its authors: floats of linear light, the colour multiplied by alpha.

A picture is what lies in the display window, grey (Y) or colour (R, G, B), maybe with A.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.ImageFile import ImageFile

from ccsr.distribution import remedy
from ccsr.image.hushed import hushed
from ccsr.image.limits import check_pixels
from ccsr.image.modes import Levels, covered, floats, unmultiplied

START = b"\x76\x2f\x31\x01"
_COLOUR, _GREY = ("R", "G", "B"), ("Y",)
_NAMED = 6  # channels in a message


class ExrFile(ImageFile):
    """A file as it is opened; `levels` decodes it.

    Attributes:
        pixel_bytes: of a decoded pixel.
        stored_bytes: of all that the library decodes for a pixel.
        stored_pixels: their number, in all parts the same or fewer.
        chromaticities: x, y of white, red, green and blue; None for those of sRGB.
        left: what is not read, by names for a person.
        unheld: likewise, of pixels that are decoded.
    """

    format = "EXR"
    unheld: Sequence[str] = ()

    def _open(self) -> None:
        parts = _library(str(self.filename), header_only=True)
        shallow = [part for part in parts if "deep" not in str(part.header.get("type", ""))]
        if not shallow:
            raise ValueError("its pixels are deep, with several depths each: flatten it first")
        found = [(part, _chosen(part)) for part in shallow]
        chosen = next((each for each in found if each[1]), None)
        if chosen is None:
            raise ValueError(f"expected channels R, G and B, or Y, got {_listed(_names(shallow))}")
        part, self.names = chosen
        self._part = part.part_index
        header: Mapping[str, Any] = part.header
        self._display, self._data = _window(header["displayWindow"]), _window(header["dataWindow"])
        (top, bottom), (left, right) = self._display
        self._size = right - left, bottom - top
        self._mode = "RGB" if len(self.names) > 2 else "F"
        self.pixel_bytes = 4 * len(self.names)
        self.stored_pixels = max(map(_pixels, parts))
        check_pixels(self.stored_pixels)
        self.stored_bytes = 4 * sum(len(each.header["channels"]) for each in parts)
        self.chromaticities = _chromaticities(header.get("chromaticities"))
        self.left = tuple(self._left(parts, part, header))

    def _left(self, parts: list[Any], part: Any, header: Mapping[str, Any]) -> Iterator[str]:
        others = [name for name in _names([part]) if name not in self.names]
        if others:
            yield f"channels ({_listed(others)})"
        yield from (name for name in ("comments", "owner") if header.get(name))
        if len(parts) > 1:
            yield "further parts"
        if abs(header.get("pixelAspectRatio", 1.0) - 1) > 1e-3:
            yield "shape of the pixels"
        pairs = zip(self._data, self._display, strict=True)
        if any(data[0] < seen[0] or data[1] > seen[1] for data, seen in pairs):
            yield "pixels outside the display window"

    def levels(self, path: Path) -> Levels:
        """Floats (h, w, 1 to 4) of the display window, not multiplied; `unheld` says what is lost.

        Raises:
            ValueError: if it is damaged, or a value is not finite.
        """
        parts = _library(str(path))
        channels = parts[self._part].channels if self._part < len(parts) else {}
        planes = [channels[name].pixels for name in self.names if name in channels]
        data = tuple(stop - start for start, stop in self._data)
        if len(planes) < len(self.names) or any(plane.shape != data for plane in planes):
            raise ValueError("it is damaged, or a channel has fewer pixels than the picture")
        if any(plane.dtype.kind != "f" for plane in planes):
            raise ValueError("its channels are whole numbers: expected floats")
        values = np.zeros((self.height, self.width, len(planes)), np.float32)
        target, source = zip(*map(_overlap, self._display, self._data), strict=True)
        for number, plane in enumerate(planes):
            values[(*target, number)] = plane[source]
        values = np.asarray(floats(values))
        if len(planes) in (1, 3):
            return values
        values[..., -1], beyond = covered(values[..., -1])
        hidden = values[..., -1] <= 0
        glows = bool((values[hidden][:, :-1] != 0).any())
        values[hidden] = 0
        self.unheld = [*["light of transparent pixels"] * glows, *beyond]
        return floats(unmultiplied(values).astype(np.float32, copy=False))


def open_file(path: Path) -> ExrFile:
    """The file, once its header is read.

    Raises:
        OSError: if the library is not installed.
        ValueError: if it is damaged, or holds what is not read here.
    """
    if not installed():
        raise OSError(needed())
    try:
        return ExrFile(path)
    except SyntaxError as error:
        raise ValueError("it is damaged: its window has no pixels") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is damaged: a name in it is no text") from error


def installed() -> bool:
    """Whether the library is there."""
    return find_spec("OpenEXR") is not None


def needed() -> str:
    """What to do where it is not."""
    how = remedy("exr")
    return f"OpenEXR pictures need the package OpenEXR, which is not installed: run {how}"


def write(path: Path, values: Levels) -> None:
    """Write linear floats (h, w, 1 to 4) of sRGB's primaries, the colour not yet multiplied."""
    alpha = values.shape[2] in (2, 4)
    linear = values.astype(np.float32)
    if alpha:
        linear[..., :-1] *= linear[..., -1:]
    names = (_COLOUR if values.shape[2] > 2 else _GREY) + (("A",) if alpha else ())
    planes = {name: np.ascontiguousarray(linear[..., i]) for i, name in enumerate(names)}
    exr = _module()
    header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    buffer = io.BytesIO()  # not to the path: a full disk is to be noticed
    exr.File(header, planes).write(buffer)
    path.write_bytes(buffer.getvalue())


def _module() -> ModuleType:
    if not installed():
        raise ValueError(needed())
    import OpenEXR

    found: ModuleType = OpenEXR
    return found


def _library(path: str, header_only: bool = False) -> list[Any]:
    """The parts of a file.

    Raises:
        ValueError: if it is damaged.
    """
    exr = _module()
    with hushed(b"(EXR_ERR_") as aside:
        try:
            parts = exr.File(path, separate_channels=True, header_only=header_only).parts
        except (RuntimeError, ValueError) as error:
            reason = str(error).replace(path, "it")
            raise ValueError(
                f"it is damaged, or stored in a way that is not known here ({reason})"
            ) from error
    problem = aside.said.partition(" - ")[2].strip()
    if problem or not parts:
        raise ValueError(f"it is damaged ({problem or 'no parts'})")
    return list(parts)


def _chosen(part: Any) -> tuple[str, ...]:
    """The channels of a picture; of layers those of the only one. None for others.

    Raises:
        ValueError: for luminance with chroma, or several layers.
    """
    names = set(_names([part]))
    if {"Y", "RY", "BY"} <= names:
        raise ValueError("it holds luminance and chroma: convert it to RGB first")
    layers = {name.rpartition(".")[0] for name in names}
    sets = [(layer and f"{layer}.", kind) for kind in (_COLOUR, _GREY) for layer in sorted(layers)]
    whole = [(layer, kind) for layer, kind in sets if {layer + name for name in kind} <= names]
    plain = [each for each in whole if not each[0]]
    if len(whole) > 1 and not plain:
        listed = _listed([layer.rstrip(".") for layer, _ in whole])
        raise ValueError(f"it holds several layers ({listed}): save one of them by itself")
    for layer, kind in plain[:1] or whole:
        alpha = ("A",) if f"{layer}A" in names else ()
        return tuple(layer + name for name in (*kind, *alpha))
    return ()


def _pixels(part: Any) -> int:
    (above, below), (before, after) = _window(part.header["dataWindow"])
    return (below - above) * (after - before)


def _names(parts: list[Any]) -> list[str]:
    return [channel.name for part in parts for channel in part.header["channels"]]


def _listed(names: list[str]) -> str:
    more = ", ..." if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _window(box: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Starts and ends of rows and columns; a box has (x, y) of its first and its last pixel."""
    (left, top), (right, bottom) = (tuple(map(int, corner)) for corner in box)
    return (top, bottom + 1), (left, right + 1)


def _overlap(display: tuple[int, int], data: tuple[int, int]) -> tuple[slice, slice]:
    """Where data lies in the display window, and which of it."""
    start, stop = max(display[0], data[0]), max(min(display[1], data[1]), display[0], data[0])
    return (
        slice(start - display[0], stop - display[0]),
        slice(start - data[0], stop - data[0]),
    )


def _chromaticities(told: Any) -> tuple[float, ...] | None:
    """x, y of white, red, green and blue, of those of red, green, blue and white."""
    numbers: NDArray[np.float64] = np.array(told if told is not None else [], float).ravel()
    if len(numbers) != 8:
        return None
    return tuple(float(round(number, 5)) for number in (*numbers[6:], *numbers[:6]))
