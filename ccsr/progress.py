"""How `ccsr upscale` says how far it is."""

import shutil
import sys
import time
import traceback
from pathlib import Path


class Progress:
    """Lines on standard error: one that is rewritten on a terminal, one per file elsewhere.

    Args:
        total: number of files.
        quiet: say nothing but errors.
    """

    def __init__(self, total: int, quiet: bool = False) -> None:
        self._total = total
        self._number = 0
        self._name = ""
        self._started = 0.0
        self._quiet = quiet
        self._terminal = not quiet and sys.stderr.isatty()

    def start(self, source: Path) -> None:
        """Begin with a file."""
        self._number += 1
        self._started = time.monotonic()
        self._name = f"[{self._number}/{self._total}] {source}"
        self._rewrite("...")

    def update(self, share: float) -> None:
        """Show the share of the file that is done, above 0, and the time that the rest takes."""
        left = self._elapsed * (1 - share) / share
        self._rewrite(f"{100 * share:.0f} %, {left:.0f} s left")

    def done(self, result: str) -> None:
        """The file is done, and this came of it."""
        if not self._quiet:
            self._print(f"{self._name} -> {result} in {self._elapsed:.1f} s")

    def fail(self, error: BaseException, debug: bool) -> None:
        """The file could not be done; `debug` shows where in the code."""
        if debug:
            traceback.print_exception(error)
        self.error(str(error))

    def error(self, message: str) -> None:
        """Say what went wrong, quiet or not."""
        self._print(f"ccsr: error: {message}")

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _rewrite(self, text: str) -> None:
        if self._terminal:
            room = shutil.get_terminal_size().columns - len(text) - 2
            line = f"\r\x1b[K{self._name[: max(0, room)]} {text}"
            print(line, end="", file=sys.stderr, flush=True)

    def _print(self, line: str) -> None:
        clear = "\r\x1b[K" if self._terminal else ""
        print(clear + line, file=sys.stderr)
