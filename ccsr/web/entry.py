"""What is known of each picture of a session, and how many of them there may be."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ccsr.grid import Size


@dataclass(frozen=True)
class Limits:
    """What a session takes.

    Attributes:
        pictures: their number.
        sent: bytes of all pictures that browsers sent.
        pixels: of a picture, with all its frames.
        view: pixels of a window on the screen.
        jobs: enlargements that wait or run.
    """

    pictures: int = 500
    sent: int = 4 << 30
    pixels: int = 200_000_000
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
        of: the number of the picture that it is a frame or page of; 0 for a whole picture.
        frame: which of them, from 1.
        error: why it cannot be used; a sentence without paths of this machine.
    """

    number: int
    path: Path
    name: str
    size: Size = (0, 0)
    frames: int = 0
    sent: int = 0
    of: int = 0
    frame: int = 0
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


def told(error: Exception | str, entry: Entry, *more: Path) -> str:
    """A sentence about a picture by the name that the person knows."""
    text = str(error)
    for path in (entry.path, *more):
        text = text.replace(str(path), entry.name)
    return text


def plain_name(text: str) -> str:
    """The last part of a name that a browser gives, without what a terminal or a file dislikes."""
    name = PurePosixPath(text.replace("\\", "/")).name
    kept = "".join(char for char in name if char.isprintable() and char not in '<>:"|?*')
    return kept.strip(". ")[-150:] or "picture"
