"""The size that a person asks for, and the name that says it."""

from dataclasses import dataclass

from ccsr import sizes
from ccsr.grid import Size, checked_size, output_size, scale_text

_SCALE = r"[\d.e+-]+(?:x[\d.e+-]+)?x"
_SIDES = r"\d+x\d+(?:fit|cover|atleast)?|\d+(?:w|h|longest|shortest)|[\d.e+-]+mp"
_PAPER = r"[\d.e+-]+x[\d.e+-]+(?:cm|mm|in)[\d.e+-]+dpi"
LABEL = rf"(?:{_SCALE}|{_SIDES}|{_PAPER})"  # of any target, in a name


@dataclass(frozen=True)
class Target:
    """The wanted size: either a scale, or a height, a width or both, or a rule.

    Attributes:
        scale: (vertical, horizontal).
        height: in pixels; with `width` None the aspect ratio is kept.
        width: in pixels; with `height` None the aspect ratio is kept.
        rule: a function that gives the size for each picture.

    Raises:
        ValueError: for a scale that no picture can be enlarged by.
    """

    scale: tuple[float, float] | None = None
    height: int | None = None
    width: int | None = None
    rule: sizes.Rule | None = None

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
        return self._rule().label

    def size(self, source: Size) -> Size:
        """(H, W) for a picture of size (h, w): nearest, halves up, at least 1.

        Raises:
            ValueError: if that is too large.
        """
        if self.scale:
            return output_size(source, self.scale)
        if self.width and self.height:
            return checked_size((self.height, self.width))
        return checked_size(self._rule()(source))

    def _rule(self) -> sizes.Rule:
        if self.rule:
            return self.rule
        return sizes.width(self.width) if self.width else sizes.height(self.height or 1)
