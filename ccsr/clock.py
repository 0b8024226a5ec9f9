"""How long the rest of some work takes."""

import math
import time


class Clock:
    """Runs from the moment it is made, and tells what time is left at the pace so far.

    Args:
        done: share of the work, 0 to 1, that was done before.
    """

    def __init__(self, done: float = 0.0) -> None:
        self._done = done
        self._start = time.monotonic()

    def left(self, done: float) -> str:
        """The time as `h:mm:ss` when the share `done` is finished; `?` before there is a pace."""
        passed, progress = time.monotonic() - self._start, done - self._done
        return spelled(passed * (1 - done) / progress) if progress > 0 else "?"


def spelled(seconds: float) -> str:
    """A duration as `h:mm:ss`; `?` if it is not finite."""
    if not math.isfinite(seconds):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
