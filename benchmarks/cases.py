"""What is measured: pictures of which size, enlarged to which size, by which networks."""

from typing import NamedTuple

from PIL import Image

from ccsr.bundled import resource_dir
from ccsr.grid import Size, output_size

SMALL = (270, 480)
FULL_HD = (1080, 1920)
ODD = (1081, 1923)
BFLOAT16 = ", bfloat16"  # after a network's name
PART = 6  # LIIF is timed on pictures this much smaller per side: it takes minutes for a whole one


class Case(NamedTuple):
    """One enlargement: its name, sizes (h, w) and (H, W), and the networks that do it."""

    name: str
    source: Size
    target: Size
    models: tuple[str, ...] = ("light",)

    @property
    def megapixels(self) -> float:
        """Of the output."""
        return self.target[0] * self.target[1] / 1e6


def _by(name: str, scale: float | tuple[float, float], *models: str) -> Case:
    return Case(name, SMALL, output_size(SMALL, scale), models or ("light",))


CASES = [
    _by("x1.5", 1.5),
    _by("x2", 2.0, "light", "base"),
    _by("x2.37", 2.37),
    _by("x3", 3.0),
    Case("x4, 480x270 to 1920x1080", SMALL, FULL_HD, ("light", "base")),
    _by("x8", 8.0),
    _by("4x1.5", (1.5, 4.0)),
    Case("337x225 to 1000x667", (225, 337), (667, 1000)),
    Case("480x270 to 1923x1081", SMALL, ODD, ("light", "base")),
]


def photo(size: Size) -> Image.Image:
    """A bundled photo at `size` (h, w)."""
    with Image.open(resource_dir("samples") / "chelsea.png") as image:
        return image.convert("RGB").resize((size[1], size[0]), Image.Resampling.LANCZOS)
