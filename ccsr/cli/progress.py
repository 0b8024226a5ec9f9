"""How the commands say on standard error how far they are."""

import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ccsr import terminal
from ccsr.clock import Clock
from ccsr.jobs.places import Place
from ccsr.terminal import shown

if TYPE_CHECKING:  # slow to import
    from ccsr.evaluation.results import LeftOut


class StatusLine:
    """Writes lines on standard error; on a terminal the last of them can be rewritten.

    Attributes:
        rewritable: whether it can: standard error is a terminal, a person reads there, and quiet
            was not asked for.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.rewritable = not (quiet or terminal.is_for_programs()) and sys.stderr.isatty()
        self._clear = "\r\x1b[K" if self.rewritable else ""

    def rewrite(self, text: str) -> None:
        """Put `text` in place of the last line, where that is possible."""
        if self.rewritable:
            print(f"{self._clear}{shown(text)}", end="", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self.rewrite("")
        terminal.say(_one_line(text))

    def complain(self, text: str) -> None:
        """Write a line that stays, about something that could not be done."""
        self.rewrite("")
        terminal.complain(_one_line(text))

    def trace(self, text: str) -> None:
        """Write lines that stay, which tell where in the code something went wrong."""
        self.rewrite("")
        terminal.say(text.rstrip("\n"))


def _one_line(text: str) -> str:
    return text if terminal.is_for_programs() else shown(text)


class Progress:
    """Tells how far `ccsr upscale` is: the picture at hand on a terminal, and a line per picture.

    Args:
        total: number of pictures.
        quiet: say nothing but errors.
    """

    def __init__(self, total: int, quiet: bool = False) -> None:
        self._total = total
        self._begun = 0
        self._finished = 0
        self._clock = Clock()
        self._quiet = quiet
        self._line = StatusLine(quiet)

    def update(self, source: Place, share: float) -> None:
        """Show the share of a file that is done, and the time that the rest takes.

        Begins with the next file when the share is 0.
        """
        if share == 0:
            self._begun += 1
            self._clock = Clock()
            self._rewrite(source, "...")
            return
        self._rewrite(source, f"{100 * share:.0f} %, {self._clock.left(share)} left")

    def done(self, source: Place, result: str) -> None:
        """Say what came of a picture that is finished."""
        self._finished += 1
        self.note(f"[{self._finished}/{self._total}] {source} -> {result}")

    def fail(self, message: str, trace: str = "") -> None:
        """Say why a picture could not be done; `trace` shows where in the code."""
        self._finished += 1
        if trace:
            self._line.trace(trace)
        self.error(message)

    def error(self, message: str) -> None:
        """Say what went wrong, quiet or not."""
        self._line.complain(message)

    def list(self, lines: Sequence[str]) -> None:
        """Write lines that belong to an error."""
        for line in lines:
            self._line.say(f"  {line}")

    def note(self, message: str) -> None:
        """Say something, unless quiet."""
        if not self._quiet:
            self._line.say(message)

    def _rewrite(self, source: Place, text: str) -> None:
        room = shutil.get_terminal_size().columns - len(text) - 2
        name = shown(f"[{self._begun}/{self._total}] {source}")
        self._line.rewrite(f"{name[: max(0, room)]} {text}")


class ImageProgress:
    """Tells how far `ccsr evaluate` is; a line now and then where it is no terminal.

    Args:
        total: number of images.
        quiet: say nothing but what is left out.
        debug: say where in the code that happened.

    Attributes:
        before: images that were done before those that are counted.
    """

    SECONDS_BETWEEN_LINES = 30

    def __init__(self, total: int, quiet: bool, debug: bool) -> None:
        self.total, self.quiet, self.debug = total, quiet, debug
        self.before = 0
        self.clock, self.last = Clock(), time.monotonic()
        self.line = StatusLine(quiet)

    def __enter__(self) -> "ImageProgress":
        return self

    def __exit__(self, *exception: object) -> None:
        self.line.rewrite("")

    def show(self, done: int) -> None:
        """Say that `done` images are done, of those that came not before."""
        done += self.before
        now = time.monotonic()
        text = f"{done} of {self.total} images, {self.clock.left(done / self.total)} left"
        self.line.rewrite(text)
        late = now - self.last > self.SECONDS_BETWEEN_LINES
        if late and not (self.quiet or self.line.rewritable):
            self.line.say(f"ccsr: {text}")
            self.last = now

    def complain(self, image: "LeftOut", error: Exception) -> None:
        """Say that an image is left out, and why."""
        if self.debug:
            self.line.trace("".join(traceback.format_exception(error)))
        self.line.say(f"ccsr: {image.testset} {image.image}: left out: {image.reason}")
