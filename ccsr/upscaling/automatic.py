"""Two networks, one for clean pictures and one that cleans, and which of them a picture gets."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from ccsr.grid import ProjectedGrid
from ccsr.image import Levels
from ccsr.image.coding import Coding, check_quality, coarsest_jpeg
from ccsr.image.traces import noise_level
from ccsr.upscaling.engines import choose_engine
from ccsr.upscaling.onnx_engine import OnnxEngine
from ccsr.upscaling.upscaler import Upscaler

CLEAN, CLEANING = "light", "photo"
# Qualities from which on `light` is as good (docs/photos.md): as files tell them, and of a JPEG
# that only pixels tell of, which are not sure beyond it.
FINE = {"JPEG": 96, "WebP": 90}
FOUND = 95
NOISE = 2.2  # levels of luma, in the smoothest tenth of the picture


class Choice(NamedTuple):
    """Which network a picture gets.

    Attributes:
        cleans: whether it is the one that cleans.
        why: for a person.
        quality: of the coarsest JPEG that the picture has been; None if it was none.
    """

    cleans: bool
    why: str
    quality: float | None


class Automatic(Upscaler):
    """An :class:`Upscaler` with two networks, which takes the one that suits each picture.

    A JPEG or WebP tells by its header how much it lost; the pixels of any other picture tell
    whether they were a JPEG once, and how noisy they are. Of an animation the first frame decides,
    and of several pages each for itself. Pictures of more than 8 bits count by their noise alone.

    Args:
        engine: see :meth:`Upscaler.load`.
        options: the keyword arguments of :class:`Upscaler`; both networks get them.
    """

    def __init__(self, engine: str = "auto", **options: Any) -> None:
        super().__init__(_network(CLEAN, engine), **options)
        self._given = engine, options

    @cached_property
    def clean(self) -> Upscaler:
        """The upscaler with the network for clean pictures."""
        return Upscaler(self.model, **self._given[1])

    @cached_property
    def cleaning(self) -> Upscaler:
        """The upscaler with the network that cleans, which is loaded when a picture wants it."""
        engine, options = self._given
        return Upscaler(_network(CLEANING, engine), **options)

    def suited(
        self, values: Levels, grids: Sequence[ProjectedGrid] = (), coding: Coding | None = None
    ) -> tuple[Upscaler, str]:
        """See :meth:`Upscaler.suited`."""
        if grids and all(grid.reduces for grid in grids):
            return self.clean, "by bicubic: it gets smaller"  # whichever network there is
        choice = choose(values, coding)
        if choice.cleans:
            return self.cleaning.at_quality(choice.quality), f"by {CLEANING}: {choice.why}"
        if grids and all(map(_changes_nothing, grids)):
            return self.clean, f"as it is: {choice.why}"
        return self.clean, f"by {CLEAN}: {choice.why}"

    def at_quality(self, quality: float | None) -> Upscaler:
        """See :meth:`Upscaler.at_quality`: the one of the networks that suits such a JPEG.

        From there on it is that network alone, whatever quality is told next.
        """
        check_quality(quality)
        if quality is not None and round(quality) < FINE["JPEG"]:
            return self.cleaning.at_quality(quality)
        return self.clean


def _changes_nothing(grid: ProjectedGrid) -> bool:
    rows, columns = grid.rows.input_size, grid.columns.input_size
    return rows is not None and columns is not None and grid.keeps((rows, columns))


def _network(name: str, engine: str) -> Any:
    if choose_engine(engine, name) == "onnx":
        return OnnxEngine.load(name)
    from ccsr.model import checkpoint

    return checkpoint.load(checkpoint.resolve(name))[0]


def choose(values: Levels, coding: Coding | None = None) -> Choice:
    """Which network suits a picture.

    Args:
        values: (h, w, C), its pixels as files hold them.
        coding: what its file says of its compression.
    """
    quality = coarsest_jpeg(values, coding)
    of_file = coding is not None and coding.form == "JPEG" and coding.quality == quality
    if quality is not None and quality < FOUND and not of_file:
        return Choice(True, f"it was a JPEG of quality {quality:.0f}", quality)
    if coding and round(coding.quality) < FINE[coding.form]:  # as it is told
        return Choice(True, str(coding), quality)
    noise = noise_level(values)
    if noise > NOISE:
        return Choice(True, f"noise of {noise:.1f} levels", quality)
    return Choice(False, str(coding) if coding else "clean", quality)
