"""A decoded picture between its file and the network: levels, not yet floats."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from PIL import Image

from ccsr.image import extras
from ccsr.image import metadata as descriptions
from ccsr.image.coding import Coding, coding_of_opened
from ccsr.image.metadata import Metadata
from ccsr.image.modes import (
    Levels,
    check_levels,
    from_levels,
    highest,
    levels,
    reduced,
    turned,
)
from ccsr.plain import is_number, is_whole

Size: TypeAlias = descriptions.Size
Several = Literal["", "animation", "pages"]
LONGEST = 2**31 - 1  # milliseconds of a frame


@dataclass(frozen=True)
class Picture:
    """One picture, the frames of an animation, or the pages of a document.

    Attributes:
        frames: (h, w, C), uint8, uint16 or float32: grey, grey + alpha, RGB, RGBA for C = 1 to 4.
            1 is white in floats, and they may lie beyond; alpha is in [0, 1]. The frames of an
            animation have one shape; pages may differ.
        metadata: what the file says about them; of pages, about the first.
        pages: what it says about each page; empty where that is `metadata` for all.
        durations: milliseconds that each frame of an animation is shown; empty for the others.
        loop: how often an animation is shown; 0 for ever.
        notes: what a person should know about how it was read.
        dropped: what the file held and this does not, by names for a person.
        coding: how its file was compressed with losses, if it was and says so.

    Raises:
        ValueError: for frames that are not such arrays, or none; another number of durations than
            of frames, or ones that no file can hold; frames of an animation of several sizes.
    """

    frames: tuple[Levels, ...]
    metadata: Metadata = field(default_factory=Metadata)
    durations: tuple[float, ...] = ()
    loop: int = 1
    notes: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    coding: Coding | None = None
    pages: tuple[Metadata, ...] = ()

    def __post_init__(self) -> None:
        frames: Any = self.frames
        if not isinstance(frames, tuple) or not frames:
            got = "an empty one" if isinstance(frames, tuple) else type(frames).__name__
            raise ValueError(
                f"expected a tuple of at least one frame, got {got}: give Picture((values,))"
            )
        for frame in frames:
            check_levels(frame)
        if not is_whole(self.loop, 0):
            raise ValueError(f"loop must be a whole number of at least 0, got {self.loop!r}")
        if self.durations:
            self._check_animation()

    def _check_animation(self) -> None:
        if len(self.durations) != len(self.frames):
            raise ValueError(
                f"expected a duration for each of {len(self.frames)} frames, got "
                f"{len(self.durations)}"
            )
        for given in self.durations:
            if not is_number(given, 0, LONGEST):
                raise ValueError(f"a duration must be 0 to {LONGEST} ms, got {given!r}")
        if len({frame.shape[:2] for frame in self.frames}) > 1:
            raise ValueError("the frames of an animation must have one size: enlarge them to it")

    def __str__(self) -> str:
        """`640x480, 12 frames, CMYK converted to RGB`."""
        height, width = self.size
        count = {"animation": f"{len(self.frames)} frames", "pages": f"{len(self.frames)} pages"}
        several = (count[self.several],) if self.several else ()
        return ", ".join((f"{width}x{height}", *several, *self.notes))

    @classmethod
    def of(cls, image: Image.Image) -> "Picture":
        """A picture of Pillow, upright; of what it says about itself, colour profile and coding.

        Raises:
            TypeError: for what is none of Pillow.
            ValueError: see `ccsr.image.modes.levels`.
        """
        if not isinstance(image, Image.Image):
            raise TypeError(
                f"expected a picture of Pillow, got {type(image).__name__}: make one of an array "
                "by Picture((values,)), of a tensor by to_image"
            )
        how = coding_of_opened(image)
        values = turned(levels(image), descriptions.orientation(image))
        profile = None if image.mode == "CMYK" else image.info.get("icc_profile")
        source = Path(str(getattr(image, "filename", "")))
        if source.is_file() and image.format and not profile:
            told = extras.of(image, source).colours
            profile = told.profile(values.shape[2]) if told else None
        described = Metadata(profile if isinstance(profile, bytes) else None)
        return cls((values,), described.fitting(values.shape[2]), coding=how)

    def to_pil(self) -> Image.Image:
        """As a picture of Pillow, its profile in `info`: L, LA, RGB, RGBA with 8 bits, or I;16.

        Raises:
            ValueError: for several frames.
        """
        if len(self.frames) > 1:
            raise ValueError(
                f"expected a single picture, got {len(self.frames)} frames or pages: save them "
                "as single files"
            )
        image = from_levels(self.frames[0])
        if self.metadata.profile:
            image.info["icc_profile"] = self.metadata.profile
        return image

    def convert(self, mode: str) -> Image.Image:
        """As an 8-bit picture of Pillow of any mode, such as RGB.

        Raises:
            ValueError: for several frames.
        """
        return replace(self, frames=tuple(map(reduced, self.frames))).to_pil().convert(mode)

    def map(self, change: Callable[[Levels], Levels]) -> "Picture":
        """The same with changed frames."""
        return replace(self, frames=tuple(map(change, self.frames)))

    @property
    def several(self) -> Several:
        """What its frames are, if there is more than one."""
        if len(self.frames) == 1:
            return ""
        return "animation" if self.durations else "pages"

    @property
    def descriptions(self) -> tuple[Metadata, ...]:
        """What the file says about each frame."""
        return self.pages or (self.metadata,) * len(self.frames)

    @property
    def size(self) -> Size:
        """(h, w) of the first frame."""
        return self.frames[0].shape[0], self.frames[0].shape[1]

    @property
    def has_alpha(self) -> bool:
        """Whether a pixel of any frame is less than opaque."""
        return any(
            frame.shape[2] in (2, 4) and bool((frame[..., -1] < highest(frame)).any())
            for frame in self.frames
        )

    def sizes(self, size: Size) -> tuple[Size, ...]:
        """(H, W) of each frame if the first gets `size`: all grow by the same factors."""
        (h, w), (height, width) = self.size, size

        def grown(frame: Levels) -> Size:
            if frame.shape[:2] == (h, w):
                return size
            vertical, horizontal = frame.shape[0] * height / h, frame.shape[1] * width / w
            return max(1, int(vertical + 0.5)), max(1, int(horizontal + 0.5))

        return tuple(map(grown, self.frames))
