"""Two networks, one for clean pictures and one that cleans, and which of them a picture gets."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from PIL import Image

from ccsr.grid import Scale, Size, SizeRule
from ccsr.image import Levels
from ccsr.image.coding import Coding
from ccsr.image.traces import jpeg_quality, noise_level
from ccsr.model import checkpoint
from ccsr.upscaling.tiles import Progress
from ccsr.upscaling.upscaler import AnyPicture, Upscaler

CLEAN, CLEANING = "light", "photo"
# From these qualities on `light` is as good; docs/photos.md has the curves.
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

    def __call__(
        self,
        image: AnyPicture,
        *,
        scale: Scale | None = None,
        size: Size | SizeRule | None = None,
        progress: Progress | None = None,
    ) -> AnyPicture:
        """See :meth:`Upscaler.__call__`; a `Picture` has a note that says which network and why."""
        if isinstance(image, Image.Image):
            return super().__call__(image, scale=scale, size=size, progress=progress)
        choice = choose(image.frames[0], image.coding)
        said = (*image.notes, f"by {CLEANING if choice.cleans else CLEAN}: {choice.why}")
        wanted = replace(image, notes=said)
        if choice.cleans:
            return self.cleaning(wanted, scale=scale, size=size, progress=progress)
        return super().__call__(wanted, scale=scale, size=size, progress=progress)

    def levels(
        self,
        values: Levels,
        *,
        scale: Scale | None = None,
        size: Size | SizeRule | None = None,
        progress: Progress | None = None,
    ) -> Levels:
        """See :meth:`Upscaler.levels`."""
        if choose(values).cleans:
            return self.cleaning.levels(values, scale=scale, size=size, progress=progress)
        return super().levels(values, scale=scale, size=size, progress=progress)

    def strips(
        self,
        values: Levels,
        height: int,
        *,
        scale: Scale | None = None,
        size: Size | SizeRule | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Levels]:
        """See :meth:`Upscaler.strips`."""
        if choose(values).cleans:
            return self.cleaning.strips(values, height, scale=scale, size=size, progress=progress)
        return super().strips(values, height, scale=scale, size=size, progress=progress)


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
