"""A decoded picture between its file and the network: levels, not yet floats."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ccsr.metadata import Metadata

Levels: TypeAlias = NDArray[np.unsignedinteger[Any]]  # uint8 or uint16
Size = tuple[int, int]


@dataclass(frozen=True)
class Picture:
    """One picture, the frames of an animation, or the pages of a document.

    Attributes:
        frames: (h, w, C), uint8 or uint16: grey, grey + alpha, RGB, RGBA for C = 1 to 4. The
            frames of an animation have one shape; pages may differ.
        metadata: what the file says about them.
        durations: milliseconds that each frame of an animation is shown; empty for the others.
        loop: how often an animation repeats; 0 for ever, None once.
        notes: what a person should know about how it was read.
    """

    frames: tuple[Levels, ...]
    metadata: Metadata = field(default_factory=Metadata)
    durations: tuple[float, ...] = ()
    loop: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def animated(self) -> bool:
        """Whether the frames follow each other in time."""
        return bool(self.durations)

    @property
    def size(self) -> Size:
        """(h, w) of the first frame."""
        return self.frames[0].shape[0], self.frames[0].shape[1]

    @property
    def has_alpha(self) -> bool:
        """Whether a pixel of any frame is less than opaque."""
        return any(
            frame.shape[2] in (2, 4) and bool((frame[..., -1] < np.iinfo(frame.dtype).max).any())
            for frame in self.frames
        )
