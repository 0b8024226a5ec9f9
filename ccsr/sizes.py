"""Sizes as people ask for them: rules that give the size of a result for a picture of any size.

Each keeps the aspect ratio: both sides grow by one factor, and are rounded to the nearest, halves
up, to at least 1. Sizes are (height, width) of the picture as it is seen, so upright.

Example:
    >>> longest(2000)((300, 400))
    (1500, 2000)
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, cast, get_args

from ccsr.plain import is_number, is_pair, plain

Size = tuple[int, int]
Kind = Literal["width", "height", "longest", "shortest", "fit", "cover", "at least", "megapixels"]
Unit = Literal["cm", "mm", "in"]

UNITS: tuple[Unit, ...] = get_args(Unit)
LARGEST_DPI = 100_000
_LARGEST = 10**12  # of any number: more than any result may have
_INCH: dict[Unit, Fraction] = {"cm": Fraction("2.54"), "mm": Fraction("25.4"), "in": Fraction(1)}


@dataclass(frozen=True)
class Rule:
    """A size that follows from the picture's own. The functions of this module make it.

    Attributes:
        kind: what is asked for.
        height: in pixels; where the kind asks for one number, that number.
        width: in pixels; where the kind asks for one number, that number.
        name: what the rule is called in file names; an empty text for its kind and numbers.
    """

    kind: Kind
    height: Fraction
    width: Fraction
    name: str = ""

    def __call__(self, source: Size) -> Size:
        """(H, W) for a picture of size (h, w)."""
        factor = self._factor(*source)
        height, width = (max(1, math.floor(side * factor + Fraction(1, 2))) for side in source)
        return height, width

    @property
    def label(self) -> str:
        """What the rule is called in file names: `2000longest`, `1920x1080fit`, `12mp`."""
        if self.name:
            return self.name
        both = self.kind in ("fit", "cover", "at least")
        number = f"{self.width}x{self.height}" if both else f"{float(self.width):.10g}"
        return number + _SHORT.get(self.kind, self.kind.replace(" ", ""))

    def _factor(self, h: int, w: int) -> Fraction:
        vertical, horizontal = self.height / h, self.width / w
        match self.kind:
            case "width":
                return horizontal
            case "height":
                return vertical
            case "longest":
                return self.width / max(h, w)
            case "shortest":
                return self.width / min(h, w)
            case "fit":
                return min(vertical, horizontal)
            case "cover":
                return max(vertical, horizontal)
            case "at least":
                return max(vertical, horizontal, Fraction(1))
            case "megapixels":
                return Fraction(math.sqrt(self.width * 1_000_000 / (h * w)))


_SHORT: dict[Kind, str] = {"width": "w", "height": "h", "megapixels": "mp"}


def width(pixels: int) -> Rule:
    """The width is `pixels`."""
    return _rule("width", pixels)


def height(pixels: int) -> Rule:
    """The height is `pixels`."""
    return _rule("height", pixels)


def longest(pixels: int) -> Rule:
    """The longer side is `pixels`."""
    return _rule("longest", pixels)


def shortest(pixels: int) -> Rule:
    """The shorter side is `pixels`."""
    return _rule("shortest", pixels)


def fit(size: Size) -> Rule:
    """As large as fits into `size` (H, W)."""
    return _rule("fit", *_pair(size, "fit")[::-1])


def cover(size: Size) -> Rule:
    """As small as covers `size` (H, W); nothing is cut off, so one side may be larger."""
    return _rule("cover", *_pair(size, "cover")[::-1])


def at_least(size: Size) -> Rule:
    """As `cover`, but a picture that covers `size` (H, W) already keeps its own size."""
    return _rule("at least", *_pair(size, "at least")[::-1])


def megapixels(count: float) -> Rule:
    """The result has about `count` million pixels: its sides are whole numbers."""
    return _rule("megapixels", count)


def printed(size: tuple[float, float], unit: Unit, dpi: float) -> Rule:
    """As large as fits on paper of `size` (height, width) in `unit`, at `dpi` pixels an inch."""
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
    tall, wide = (_positive(side, "a side of the paper") for side in _pair(size, "printed"))
    pixels = _positive(dpi, "dpi")
    density = pixels / _INCH[unit]
    name = f"{float(wide):.10g}x{float(tall):.10g}{unit}{float(pixels):.10g}dpi"
    return Rule("fit", tall * density, wide * density, name)


def paper(text: str) -> tuple[Rule, float]:
    """The rule of `30x20cm@300`, a paper's width and height at 300 pixels an inch; and the latter.

    Raises:
        ValueError: for anything else.
    """
    match = re.fullmatch(r"([\d.]+)x([\d.]+)\s*([a-z]+)@([\d.]+)", text.strip())
    try:
        if not match or match[3] not in UNITS:
            raise ValueError
        dpi = float(match[4])
        if not 1 <= dpi <= LARGEST_DPI:
            raise ValueError
        return printed((float(match[2]), float(match[1])), cast(Unit, match[3]), dpi), dpi
    except ValueError as error:
        raise ValueError(
            "expected WIDTHxHEIGHT in cm, mm or in, and pixels an inch, such as 30x20cm@300, got "
            f"{text!r}"
        ) from error


def _rule(kind: Kind, *given: float) -> Rule:
    numbers = [_positive(number, kind) for number in given]  # (width, height), or one
    for number in numbers:
        if number.denominator != 1 and kind != "megapixels":
            raise ValueError(f"{kind} must be whole pixels, got {float(number):g}")
    return Rule(kind, numbers[-1], numbers[0])


def _pair(size: Any, name: str) -> tuple[Any, Any]:
    pair = plain(size)
    if not is_pair(pair):
        raise ValueError(f"{name} takes (height, width), got {size!r}")
    return pair[0], pair[1]


def _positive(number: Any, name: str) -> Fraction:
    number = plain(number)
    if not (is_number(number, 0, _LARGEST) and number):
        raise ValueError(f"{name} must be a positive number, got {number!r}")
    return Fraction(str(number))  # decimal numbers as they are written
