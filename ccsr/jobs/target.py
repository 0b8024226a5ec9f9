"""The size that a person asks for, and the name that says it."""

import math
import re
from dataclasses import dataclass

from ccsr.grid import Size, checked_size, output_size, scale_text

_LABELLED = re.compile(r"(.+)_(?:[\d.e+-]+(?:x[\d.e+-]+)?x|\d+x\d+|\d+[wh])", re.DOTALL)


@dataclass(frozen=True)
class Target:
    """The wanted size: a scale, or a height, a width or both.

    Attributes:
        scale: (vertical, horizontal).
        height: in pixels; with `width` None the aspect ratio is kept.
        width: likewise.

    Raises:
        ValueError: for a scale that no picture can be enlarged by.
    """

    scale: tuple[float, float] | None = None
    height: int | None = None
    width: int | None = None

    def __post_init__(self) -> None:
        if self.scale:
            output_size((1, 1), self.scale)

    @property
    def label(self) -> str:
        """What is appended to file names; width before height: 2.37x, 2x1.5x, 1920x1080, 1920w."""
        if self.scale:
            return f"{scale_text(self.scale)}x"
        if self.width and self.height:
            return f"{self.width}x{self.height}"
        return f"{self.width}w" if self.width else f"{self.height}h"

    def size(self, source: Size) -> Size:
        """(H, W) for a picture of size (h, w): nearest, halves up, at least 1.

        Raises:
            ValueError: if that is too large.
        """
        if self.scale:
            return output_size(source, self.scale)
        height = self.height or math.floor(source[0] * (self.width or 1) / source[1] + 0.5)
        width = self.width or math.floor(source[1] * (self.height or 1) / source[0] + 0.5)
        return checked_size((max(1, height), max(1, width)))


def unlabelled(stem: str) -> str | None:
    """What stood before the label of any target; None for a name without one."""
    match = _LABELLED.fullmatch(stem)
    return match[1] if match else None
