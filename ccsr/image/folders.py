"""The pictures in folders, found by their names."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ccsr.image.formats import named_as_image

_NUMBER = re.compile(r"\d+")


def images_in(
    folder: Path,
    *,
    recursive: bool = False,
    through_links: bool = False,
    leave_out: Callable[[Path], bool] = lambda folder: False,
    unlisted: Callable[[Path, str], None] | None = None,
) -> Iterator[Path]:
    """Find the files of a folder that are named as images, in natural order.

    Hidden files and folders are left out, `folder` itself excepted. A folder's own files come
    before those of its subfolders.

    Args:
        folder: where to look.
        recursive: look into its subfolders too, to the bottom.
        through_links: look into folders that are symbolic links too, and into each folder once.
        leave_out: says which subfolders not to look into.
        unlisted: called with a folder that cannot be listed and a sentence that says why; the
            others are still looked into. None raises that sentence.

    Raises:
        OSError: for a folder that cannot be listed.
    """

    def note(error: OSError) -> None:
        place = Path(error.filename)
        sentence = f"cannot read the folder {place}: {error.strerror}"
        if unlisted is None:
            raise OSError(sentence) from error
        unlisted(place, sentence)

    def new(place: Path) -> bool:
        target = os.path.realpath(place)
        known = target in seen
        seen.add(target)
        return not known

    seen = {os.path.realpath(folder)}
    for place, folders, names in os.walk(folder, onerror=note, followlinks=through_links):
        named = sorted(filter(named_as_image, names), key=natural)
        yield from (Path(place, name) for name in named)
        visible = [Path(place, n) for n in folders if recursive and not n.startswith(".")]
        wanted = [path for path in visible if not leave_out(path)]
        if through_links:
            wanted = [path for path in wanted if new(path)]
        folders[:] = sorted((path.name for path in wanted), key=natural)


def natural(name: str) -> str:
    """Sort key that puts `2.png` before `10.png`: one text, since there may be a million names."""
    return _NUMBER.sub(_as_ordered, name.casefold())


def _as_ordered(number: re.Match[str]) -> str:
    """Digits that sort by their value, and before whatever else a name can hold."""
    digits = str(int(number[0]))
    return f"\0{chr(len(digits))}{digits}"


def in_any_case(names: Iterable[str]) -> dict[str, str]:
    """The names by what they are in any case, but those that differ from another by case alone."""
    known = list(names)
    counts = Counter(name.casefold() for name in known)
    return {name.casefold(): name for name in known if counts[name.casefold()] == 1}
