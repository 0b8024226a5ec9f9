"""What is said on the standard streams: safe to show, whatever it names and wherever it goes."""

import io
import json
import os
import select
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, TextIO


class OutputError(OSError):
    """Standard output, where a result belongs, cannot be written."""


_called: dict[str, str] = {}


def call(path: str, name: str) -> None:
    """From now on say `name` for a path that the person does not know, as of a temporary file."""
    _called[path] = name


def named(text: str) -> str:
    """`text` with the names of :func:`call` for paths in it."""
    for path, name in _called.items():
        text = text.replace(path, name)
    return text


def shown(text: str) -> str:
    r"""How a name is shown: characters that could command a terminal are escapes such as `\x1b`.

    These are all that do not print, line ends and marks of the writing direction too. Nothing that
    a person gave, a file's name least of all, is shown in another way.
    """
    text = named(text)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def shown_lines(text: str) -> str:
    """The same for a text of several lines, which stay lines."""
    return "\n".join(map(shown, text.split("\n")))


def as_json(value: object, indent: int | None = None) -> str:
    """`value` as JSON that is read back unchanged, and is as safe to show as `shown` makes it."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    if text.isprintable():  # which a line nearly always is
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


_for_programs = False


@contextmanager
def for_programs(wanted: bool) -> Iterator[None]:
    """Where `wanted`, what is said on standard error is JSON: `{"error": "no such file"}`."""
    global _for_programs
    before, _for_programs = _for_programs, wanted
    try:
        yield
    finally:
        _for_programs = before


def is_for_programs() -> bool:
    """Whether :func:`for_programs` holds."""
    return _for_programs


def say(text: str, kind: Literal["note", "warning", "error"] = "note") -> None:
    """Write lines for the person on standard error; for programs they are one line of JSON."""
    if _for_programs:
        text = as_json({kind: named(text.strip("\n"))})
    elif kind != "note":
        text = f"ccsr: {kind}: {text}"
    print(shown_lines(text), file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Say that something may not be as the person expects."""
    say(text, "warning")


def complain(text: str) -> None:
    """Say what could not be done."""
    say(text, "error")


def tell(text: str, styled: bool = False) -> None:
    """Write lines of a command's result on standard output.

    Args:
        text: the lines.
        styled: whether they hold bold letters; then their names are as `shown` gives them.

    Raises:
        OutputError: if it cannot be written, now or when it is flushed.
        BrokenPipeError: if nobody reads any more.
    """
    print(text if styled else shown_lines(text))


def prepare() -> None:
    """Make the standard streams of this process fit for whatever the shell made of them.

    A closed one is put in its place, or the next file that is opened would get its number. What
    cannot be written on standard error is dropped: it is no reason to stop any work. On standard
    output it is an `OutputError`, once. Tracebacks of the process show names as `shown` does.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # the wrong way round, so that using it is an error as it was before
            os.open(os.devnull, os.O_RDONLY if number else os.O_WRONLY)
            os.set_inheritable(number, True)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")
    sys.stdout = _guarded(sys.stdout, 1, raises=True)
    sys.stderr = _guarded(sys.stderr, 2, raises=False)
    sys.excepthook = _say_traceback


def _guarded(stream: TextIO | None, number: int, raises: bool) -> TextIO:
    if stream is not None and not isinstance(stream, io.TextIOWrapper):
        return stream  # of an embedding program
    buffer = io.FileIO(number, "w", closefd=False) if stream is None else stream.buffer
    guard = _Guard(getattr(buffer, "raw", buffer), raises)
    return io.TextIOWrapper(
        io.BufferedWriter(guard),
        encoding=stream.encoding if stream else "utf-8",
        errors="backslashreplace",
        line_buffering=guard.isatty() or not raises,
    )


class _Guard(io.RawIOBase):
    """A standard stream that after its first failure takes everything and writes nothing."""

    def __init__(self, raw: io.RawIOBase, raises: bool) -> None:
        self._raw, self._raises, self._lost = raw, raises, False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()

    def write(self, data: Any, /) -> int:
        """Write a part of `data`; returns how many bytes."""
        while not self._lost:
            try:
                written = self._raw.write(data)
            except OSError as error:
                self._lost = True
                if isinstance(error, BrokenPipeError) and self._raises:
                    raise
                if self._raises:
                    reason = error.strerror or error
                    raise OutputError(f"cannot write to standard output: {reason}") from error
            else:
                if written is not None:
                    return written
                select.select([], [self._raw], [])  # it does not block, and is full for now
        return len(data)


def _say_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    say("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"))
