"""The words after a command: their parser, and values as it takes them: `type=arguments.scale`."""

import argparse
import math
import os
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Never

from ccsr import sizes, terminal
from ccsr.jobs import connection, places
from ccsr.jobs.places import Place
from ccsr.jobs.shards import Shard
from ccsr.terminal import shown

STANDARD = "-"  # stands for standard input, or standard output
Rule = Callable[[str], sizes.Rule]


class Paper(NamedTuple):
    """A size on paper: the rule that gives it, and pixels an inch."""

    rule: sizes.Rule
    dpi: float


class Parser(argparse.ArgumentParser):
    """The parser of every command: options may stand between the inputs, and in full only."""

    def __init__(self, prog: str, **more: Any) -> None:
        super().__init__(prog, allow_abbrev=False, **more)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse words, positional ones wherever they stand, and all of them after `--`."""
        if self._subparsers:  # which argparse cannot mix with anything
            return super().parse_args(args, namespace)
        words = list(sys.argv[1:] if args is None else args)
        if "--" in words:  # which argparse forgets when options may stand between
            end = words.index("--")
            words[end:] = [f"./{w}" if w[:1] == "-" != w else w for w in words[end + 1 :]]
        return self.parse_intermixed_args(words, namespace)

    def error(self, message: str) -> Never:
        """Say what is wrong with the words, which may hold anything, and exit with code 2."""
        if terminal.is_for_programs():
            terminal.complain(message)
            self.exit(2)
        super().error(shown(message))


def scale(text: str) -> tuple[float, float]:
    """(vertical, horizontal) of `2.37` or WIDTHxHEIGHT `2x1.5`."""
    try:
        factors = [float(part) for part in text.strip().split("x")]
    except ValueError:
        factors = []
    if len(factors) not in (1, 2) or not all(math.isfinite(f) and f > 0 for f in factors):
        raise ArgumentTypeError(
            f"expected a positive factor such as 2.37, or WIDTHxHEIGHT such as 2x1.5, got {text!r}"
        )
    return factors[-1], factors[0]


def size(text: str) -> tuple[int, int]:
    """(H, W) of WIDTHxHEIGHT `1920x1080`."""
    width, cross, height = text.partition("x")
    if not cross:
        raise ArgumentTypeError(f"expected WIDTHxHEIGHT such as 1920x1080, got {text!r}")
    return whole(height), whole(width)


def paper(text: str) -> Paper:
    """A size on paper and its resolution, WIDTHxHEIGHT `30x20cm@300`."""
    try:
        return Paper(*sizes.paper(text))
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def dots(text: str) -> float:
    """Pixels an inch, 1 to 100000."""
    number = positive(text)
    if not 1 <= number <= sizes.LARGEST_DPI:
        raise ArgumentTypeError(f"expected pixels an inch from 1 to 100000, got {text!r}")
    return number


def positive(text: str) -> float:
    """A number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def rule(make: Callable[[Any], sizes.Rule], parse: Callable[[str], Any]) -> Rule:
    """What takes a text for the rule that `make` gives for the value that `parse` sees in it."""
    return lambda text: make(parse(text))


def shard(text: str) -> Shard:
    """One of several parts, `2/8`."""
    try:
        return Shard.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def cluster(text: str) -> str:
    """The word for a new cluster, or the address of one."""
    try:
        return connection.check(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def source(text: str) -> Place | str:
    """A path or a URL, or the text `-`, which stands for standard input."""
    return text if text == STANDARD else anywhere(text)


def path(text: str) -> Path:
    """A path; an empty text, of a variable that is not set perhaps, is none."""
    if not text:
        raise ArgumentTypeError("expected a path, got an empty text: it would be this folder")
    return Path(text)


def folder(text: str) -> Path:
    """A folder that is there, or can be made."""
    wanted = path(text)
    known = next((each for each in (wanted, *wanted.parents) if os.path.lexists(each)), wanted)
    if os.path.lexists(known) and not known.is_dir():
        raise ArgumentTypeError(
            f"expected a folder, or the name of a new one, got {text!r}: {known} is a file"
        )
    return wanted


def anywhere(text: str) -> Place:
    """A path or a URL."""
    path(text)
    try:
        return places.place(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def place(text: str) -> str:
    """A path or a URL whose end, a separator, may matter."""
    anywhere(text)
    return text


def whole(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def percent(text: str) -> int:
    """A whole number from 1 to 100."""
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise ArgumentTypeError(f"expected a whole number from 1 to 100, got {text!r}")
    return int(text)


def colour(text: str) -> tuple[int, int, int]:
    """Red, green and blue of 8 bits, of a name or `#rrggbb`."""
    from PIL import ImageColor

    try:
        red, green, blue, *alpha = ImageColor.getrgb(text)
        if alpha not in ([], [255]):
            raise ValueError
    except ValueError as error:
        raise ArgumentTypeError(
            f"expected an opaque colour such as white or '#f0f0f0', got {text!r}"
        ) from error
    return red, green, blue


def memory(text: str) -> int:
    """Bytes of `500MB`, `2GB` or `1.5GiB`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MG])(i?)B", text.strip(), re.IGNORECASE)
    power = {"M": 2, "G": 3}[match[2].upper()] if match else 0
    amount = float(match[1]) * (1024 if match[3] else 1000) ** power if match else 0
    if amount < 1:
        raise ArgumentTypeError(f"expected an amount such as 500MB or 2GB, got {text!r}")
    return int(amount)
