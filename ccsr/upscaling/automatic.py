"""Two networks, one for clean pictures and one that cleans, and which of them a picture gets."""

from typing import Any, NamedTuple

from ccsr.image import Levels
from ccsr.image.coding import Coding
from ccsr.image.traces import jpeg_quality, noise_level
from ccsr.model import checkpoint
from ccsr.upscaling.upscaler import Upscaler

CLEAN, CLEANING = "light", "photo"
# From these qualities on `light` is as good; docs/photos.md has a table.
JPEG_QUALITY = 94.0
WEBP_QUALITY = 94.0
NOISE = 2.2  # levels of luma, in the smoothest tenth of the picture


class Choice(NamedTuple):
    """Which network a picture gets.

    Attributes:
        cleans: whether it is the one that cleans.
        why: for a person.
    """

    cleans: bool
    why: str


class Automatic(Upscaler):
    """An :class:`Upscaler` with two networks, which takes the one that suits each picture.

    A JPEG or WebP tells by its header how much it lost; the pixels of any other picture tell
    whether they were a JPEG once, and how noisy they are. Of several frames the first decides.
    Pictures of more than 8 bits count by their noise alone.

    Args:
        options: the keyword arguments of :class:`Upscaler`; both networks get them.
    """

    def __init__(self, **options: Any) -> None:
        clean, cleaning = (
            checkpoint.load(checkpoint.resolve(name))[0] for name in (CLEAN, CLEANING)
        )
        super().__init__(clean, **options)
        self.cleaning = Upscaler(cleaning, **options)

    def suited(self, values: Levels, coding: Coding | None = None) -> tuple[Upscaler, str]:
        """See :meth:`Upscaler.suited`."""
        choice = choose(values, coding)
        if choice.cleans:
            return self.cleaning, f"by {CLEANING}: {choice.why}"
        return self, f"by {CLEAN}: {choice.why}"


def choose(values: Levels, coding: Coding | None = None) -> Choice:
    """Which network suits a picture.

    Args:
        values: (h, w, C), its pixels as files hold them.
        coding: what its file says of its compression.
    """
    if coding:
        limit = JPEG_QUALITY if coding.form == "JPEG" else WEBP_QUALITY
        if coding.quality < limit:
            return Choice(True, str(coding))
    quality = jpeg_quality(values)
    if quality is not None and quality < JPEG_QUALITY:
        return Choice(True, f"it was a JPEG of quality {quality:.0f}")
    noise = noise_level(values)
    if noise > NOISE:
        return Choice(True, f"noise of {noise:.1f} levels")
    return Choice(False, str(coding) if coding else "clean")
