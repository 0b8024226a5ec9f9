"""How `ccsr upscale` says how far it is."""

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path


class Progress:
    """Lines on standard error: one that is rewritten on a terminal, one per file elsewhere.

    Args:
        total: number of files.
        quiet: say nothing but errors.
    """

    def __init__(self, total: int, quiet: bool = False) -> None:
        self._total = total
        self._begun = 0
        self._finished = 0
        self._since = 0.0
        self._quiet = quiet
        self._terminal = not quiet and sys.stderr.isatty()

    def update(self, source: Path, share: float) -> None:
        """Show the share of a file that is done, and the time that the rest takes.

        Begins with the next file when the share is 0.
        """
        if share == 0:
            self._begun += 1
            self._since = time.monotonic()
            self._rewrite(source, "...")
            return
        left = (time.monotonic() - self._since) * (1 - share) / share
        self._rewrite(source, f"{100 * share:.0f} %, {left:.0f} s left")

    def done(self, source: Path, result: str) -> None:
        """A file is finished, and this came of it."""
        self._finished += 1
        self.note(f"[{self._finished}/{self._total}] {source} -> {result}")

    def fail(self, message: str, trace: str = "") -> None:
        """A file could not be done; `trace` shows where in the code."""
        self._finished += 1
        if trace:
            print(trace, end="", file=sys.stderr)
        self.error(message)

    def error(self, message: str) -> None:
        """Say what went wrong, quiet or not."""
        self._print(f"ccsr: error: {message}")

    def list(self, lines: Sequence[str]) -> None:
        """Lines that belong to an error."""
        for line in lines:
            self._print(f"  {line}")

    def note(self, message: str) -> None:
        """Say something, unless quiet."""
        if not self._quiet:
            self._print(message)

    def _rewrite(self, source: Path, text: str) -> None:
        if self._terminal:
            room = shutil.get_terminal_size().columns - len(text) - 2
            name = printable(f"[{self._begun}/{self._total}] {source}")
            print(f"\r\x1b[K{name[: max(0, room)]} {text}", end="", file=sys.stderr, flush=True)

    def _print(self, line: str) -> None:
        clear = "\r\x1b[K" if self._terminal else ""
        print(clear + printable(line), file=sys.stderr)


def printable(text: str) -> str:
    r"""With escapes such as `\x1b` for what a file's name must not do to a terminal."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
