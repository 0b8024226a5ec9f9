"""What a listing of a store says: the pictures in natural order, and what is there."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from ccsr import image
from ccsr.image.folders import natural
from ccsr.jobs.places import Place, Url
from ccsr.jobs.stores import Listing


class Listed(Listing[Url]):
    """Names of files in a folder or tree of a remote store.

    Args:
        folder: that was listed.
        recursive: whether with all below it.
        names: of the files, as paths from there.
        problems: what could not be listed, and why.
    """

    def __init__(
        self, folder: Url, recursive: bool, names: Iterable[str], problems: Mapping[Place, str]
    ) -> None:
        super().__init__(folder, recursive)
        self._names = set(names)
        self._problems = problems

    def images(
        self, leave_out: Place | None, unlisted: Callable[[Place, str], None]
    ) -> Iterator[Url]:
        """See `Listing`."""
        out = f"{leave_out}/".removeprefix(f"{self.folder}/") if self._above(leave_out) else ""
        folders: defaultdict[str, list[str]] = defaultdict(list)
        for at, sentence in self._problems.items():
            unlisted(at, sentence)
        odd: list[str] = []
        for key in self._names:
            folder, _, name = key.rpartition("/")
            if not image.named_as_image(name) or (out and key.startswith(out)):
                continue
            parts = folder.split("/") if folder else []
            if not _plain(key):
                odd.append(key)
            elif not any(part.startswith(".") for part in parts):
                folders[folder].append(name)
        for key in sorted(odd):
            at = self.folder / key
            unlisted(at, f"cannot take {at}: its name has parts that no path has, rename it")
        for folder in sorted(folders, key=lambda text: [natural(p) for p in text.split("/") if p]):
            place = self.folder / folder if folder else self.folder
            for name in sorted(folders[folder], key=natural):
                yield place / name

    def _above(self, place: Place | None) -> bool:
        return isinstance(place, Url) and place.text.startswith(f"{self.folder.text}/")

    def knows(self, place: Place) -> bool | None:
        """See `Listing`."""
        if not isinstance(place, Url) or not self._above(place):
            return None
        name = place.text[len(self.folder.text) + 1 :]
        if "/" in name and not self.recursive:
            return None
        if self._problems:  # it cannot be told
            raise OSError(next(iter(self._problems.values())))
        return name in self._names


def _plain(key: str) -> bool:
    """Whether a key can be the path of a file, below a folder and not out of it."""
    other = {os.sep, os.altsep} - {"/", None}
    return not {"", ".", ".."} & set(key.split("/")) and not any(sep in key for sep in other if sep)
