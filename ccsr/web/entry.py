"""What is known of each picture of a session, and how many of them there may be."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ccsr import image
from ccsr.device import NoRoomError
from ccsr.grid import Size
from ccsr.image.coding import Coding

LONGEST_NAME = 150  # characters
LONGEST_NAME_BYTES = 200  # of UTF-8
_JOINERS = "\u200c\u200d"  # by which Persian and emoji are spelled


@dataclass(frozen=True)
class Limits:
    """What a session takes.

    Attributes:
        pictures: their number.
        sent: bytes of all pictures that browsers sent.
        pixels: of a picture, with all its frames.
        frames: of a picture.
        view: pixels of a window on the screen.
        jobs: enlargements that wait or run.
    """

    pictures: int = 500
    sent: int = 4 << 30
    pixels: int = 200_000_000
    frames: int = 10_000
    view: int = 40_000_000
    jobs: int = 100


class LimitError(ValueError):
    """A browser asks for more than a limit allows."""


@dataclass(frozen=True)
class Entry:
    """A picture on the shelf.

    Attributes:
        number: by which browsers name it.
        path: of its file, chosen here or by the command line.
        name: of the file where it came from, to be shown and never opened.
        size: (h, w) of the first frame, upright.
        frames: their number.
        sent: its bytes, if a browser sent it.
        stamp: of the file as it was looked at, see `stamp`.
        of: the number of the picture that it is a frame or page of; 0 for a whole picture.
        original: the file of that one, whose `stamp` it is then.
        frame: which of them, from 1.
        coding: how the file that the frame is of was compressed with losses, if it says so.
        notes, dropped: what reading that file has changed, or left out.
        error: why it cannot be used; a sentence without paths of this machine.
    """

    number: int
    path: Path
    name: str
    size: Size = (0, 0)
    frames: int = 0
    sent: int = 0
    stamp: tuple[int, int] | None = None
    of: int = 0
    original: Path | None = None
    frame: int = 0
    coding: Coding | None = None
    notes: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    error: str = ""

    @property
    def json(self) -> dict[str, object]:
        """What the page knows of it."""
        height, width = self.size
        several = f", {self.frames} frames or pages" if self.frames > 1 else ""
        return {
            "id": self.number,
            "name": self.name,
            "width": width,
            "height": height,
            "frames": self.frames,
            "of": self.of,
            "frame": self.frame,
            "about": self.error or f"{width} × {height}{several}",
            "error": self.error,
        }


def stamp(path: Path) -> tuple[int, int] | None:
    """What tells that a file has changed: its time and its bytes; None if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def check_unchanged(entry: Entry) -> None:
    """Refuse a file that another program has written since; one that is gone may be held.

    Raises:
        ValueError: if it was.
    """
    if stamp(entry.original or entry.path) not in (entry.stamp, None):
        raise ValueError(
            f"{entry.name} has changed since it was opened: remove it from the list and add it "
            "again"
        )


def decoded(entry: Entry) -> image.Picture:
    """The picture of an entry, as it is both shown and enlarged.

    Raises:
        ValueError: if the file has changed.
        OSError: if it is damaged.
        NoRoomError: if it finds no room.
    """
    check_unchanged(entry)
    try:
        picture = image.read(entry.path)
    except (OSError, NoRoomError) as error:
        kind = NoRoomError if isinstance(error, NoRoomError) else OSError
        raise kind(told(error, {entry.path: entry.name})) from error
    return replace(
        picture,
        coding=entry.coding or picture.coding,
        notes=(*entry.notes, *picture.notes),
        dropped=tuple(dict.fromkeys((*entry.dropped, *picture.dropped))),
    )


def told(error: Exception | str, names: Mapping[Path, str]) -> str:
    """A sentence about files by the names that the person knows, instead of their paths here."""
    text = str(error)
    for path, name in names.items():
        text = text.replace(str(path), name)
    return text


def plain_name(text: str) -> str:
    """The last part of a name, without what a terminal, a file or JSON dislikes.

    It has at most 150 characters and 200 bytes, so that a result's name has room beside it.
    """
    name = PurePosixPath(text.replace("\\", "/")).name
    kept = "".join(char for char in name if _is_plain(char)).strip(". ")[-LONGEST_NAME:]
    return kept.encode()[-LONGEST_NAME_BYTES:].decode(errors="ignore") or "picture"


def _is_plain(char: str) -> bool:
    spaces_or_joins = unicodedata.category(char) == "Zs" or char in _JOINERS
    return (char.isprintable() or spaces_or_joins) and char not in '<>:"|?*'
