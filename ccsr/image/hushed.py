"""A library in C that speaks of damaged files on the screen, kept from it."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Any

_ONE = threading.Lock()


class _Aside:
    """Stands for standard output: takes what its thread prints, and lets pass what others do."""

    def __init__(self, way: Any) -> None:
        self.said = ""
        self._way = way
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() != self._thread:
            return int(self._way.write(text))
        self.said += text
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._way, name)


@contextlib.contextmanager
def hushed(mark: bytes) -> Iterator[_Aside]:
    """Keep what a library prints in this thread, and its lines on standard error, from the screen.

    It writes to the file descriptor of standard error. Lines there that are not its own appear
    afterwards.

    Args:
        mark: is in each of its lines there.

    Yields:
        An object whose `said` is what was printed.
    """
    with _ONE, contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # no standard error, no room
            kept = stack.enter_context(TemporaryFile())
            sys.stderr.flush()
            own = os.dup(2)
            os.dup2(kept.fileno(), 2)
            stack.callback(_give_back, own, kept, mark)
        aside = _Aside(sys.stdout)
        stack.enter_context(contextlib.redirect_stdout(aside))
        yield aside


def _give_back(own: int, kept: Any, mark: bytes) -> None:
    os.dup2(own, 2)
    os.close(own)
    kept.seek(0)
    rest = b"".join(line for line in kept if mark not in line)
    if rest:
        os.write(2, rest)
