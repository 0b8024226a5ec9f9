"""How much of its work a network does: a share, or the largest that fits into a time."""

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ccsr.upscaling.enlargement import Enlargement
from ccsr.upscaling.tiles import Tiles

Piece = TypeVar("Piece")

LEAST, FULL = 0.25, 1.0
PART = 256  # side, in output pixels, of what is timed
_AUTO = re.compile(r"auto:(.+)")


@dataclass(frozen=True)
class Effort:
    """What a person asks for; by default all of the work.

    Attributes:
        share: of the pixels of the image, on which the network's blocks work.
        seconds: choose the share so that a picture takes at most so long; None takes `share`.
    """

    share: float = FULL
    seconds: float | None = None

    @classmethod
    def parse(cls, value: float | str) -> "Effort":
        """0.25 to 1, or `auto:SECONDS`.

        Raises:
            ValueError: for anything else.
        """
        match = _AUTO.fullmatch(str(value).strip())
        number = _number(match[1] if match else str(value))
        if match and number > 0:
            return cls(seconds=number)
        if not match and LEAST <= number <= FULL:
            return cls(number)
        raise ValueError(
            f"effort must be {LEAST} to {FULL:g}, or auto:SECONDS with a positive number, "
            f"got {value!r}"
        )

    def choose(self, enlargement: Enlargement[Piece], side: int) -> Enlargement[Piece]:
        """The enlargement at `share`, or at what fits into `seconds`; it is warned if nothing does.

        That is found by timing a window in the middle of the output.

        Args:
            enlargement: at any effort.
            side: longest of what is computed at once.
        """
        if self.seconds is None:
            return enlargement.at(self.share)
        begin = time.perf_counter()
        size, efforts = enlargement.grid.size, enlargement.model.efforts
        sides = [min(n, PART) for n in size]
        rows, columns = (
            slice((n - part) // 2, (n + part) // 2) for n, part in zip(size, sides, strict=True)
        )
        ends = []
        for effort in (efforts[0], efforts[0], efforts[-1]):  # the very first sets things up
            start = time.perf_counter()
            for _ in Tiles(enlargement.at(effort), side).cover(rows, columns):
                pass
            ends.append(time.perf_counter() - start)
        times = extrapolated(efforts, ends[1], ends[2], math.prod(size) / math.prod(sides))
        left = self.seconds - (time.perf_counter() - begin)
        chosen = largest_within(left, times)
        if times[chosen] > left:
            enlargement.warn(
                f"at the least effort, {chosen:g}, this is likely to take "
                f"{self.seconds - left + times[chosen]:.2g} seconds instead of {self.seconds:g}"
            )
        return enlargement.at(chosen)


def largest_within(seconds: float, times: Mapping[float, float]) -> float:
    """The largest effort whose time is at most `seconds`; the least where there is none."""
    return max((effort for effort, time in times.items() if time <= seconds), default=min(times))


def extrapolated(
    efforts: Sequence[float], least: float, largest: float, parts: float
) -> dict[float, float]:
    """Seconds that `parts` parts take, per effort, from those of one part at both ends.

    They are taken to be linear in the effort: the blocks' work is in proportion to their pixels,
    and the rest stays.

    Args:
        efforts: ascending.
        least: seconds of one part at the first effort.
        largest: at the last one.
        parts: number of parts.
    """
    first, last = efforts[0], efforts[-1]
    slope = max(0.0, largest - least) / (last - first)
    return {effort: parts * (least + slope * (effort - first)) for effort in efforts}


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
