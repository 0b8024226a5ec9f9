"""The file systems of this machine as a store."""

import os
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from ccsr import image
from ccsr.atomic import make_folder, sweep
from ccsr.jobs.places import Place
from ccsr.jobs.stores import Listing, Store, store_of

_LIMITS = {"PC_NAME_MAX": 255, "PC_PATH_MAX": 4096}  # bytes, where the system does not say


class _Folder(Listing[Path]):
    """A folder, which is cheap to look into: nothing of it is kept."""

    def images(
        self, leave_out: Place | None, unlisted: Callable[[Place, str], None]
    ) -> Iterator[Path]:
        other = None if leave_out is None else store_of(leave_out).identity(leave_out)
        return image.images_in(
            self.folder,
            recursive=self.recursive,
            leave_out=lambda path: other is not None and LOCAL.identity(path) == other,
            unlisted=unlisted,
        )

    def knows(self, place: Place) -> bool | None:
        return os.path.lexists(place) if isinstance(place, Path) else None


class _Local(Store[Path]):
    """Files are read where they lie, and written beside where they will lie."""

    def is_folder(self, place: Path) -> bool:
        return place.is_dir()

    def exists(self, place: Path) -> bool:
        return os.path.lexists(place)

    def identity(self, place: Path) -> Hashable:
        try:
            status = place.stat()
        except OSError:
            return place.absolute()
        return status.st_dev, status.st_ino

    def listing(self, folder: Path, *, recursive: bool) -> Listing[Path]:
        return _Folder(folder, recursive)

    def folder_problem(self, folder: Path) -> str | None:
        existing = _existing(folder)
        if not existing.is_dir():
            return f"cannot write into {folder}: {existing} is no folder, choose another one by -o"
        if not os.access(existing, os.W_OK | os.X_OK):
            return f"cannot write into {existing}: it is read-only, choose another folder by -o"
        return None

    def name_problem(self, output: Path) -> str | None:
        length, longest = len(os.fsencode(output.name)), _limit(output.parent, "PC_NAME_MAX")
        if length > longest:
            return (
                f"cannot write {output}: its name has {length} bytes, at most {longest} are "
                "possible: rename the picture"
            )
        length, longest = len(os.fsencode(output.absolute())), _limit(output.parent, "PC_PATH_MAX")
        if length >= longest:
            return (
                f"cannot write {output}: its path has {length} bytes, fewer than {longest} are "
                "possible: choose another folder by -o"
            )
        if output.is_dir():
            return (
                f"cannot write {output}: a folder has that name, rename it or choose another by -o"
            )
        if output.exists() and not output.is_file():
            return (
                f"cannot write {output}: it is no file but a pipe, a device or the like, write to "
                "standard output by -o - instead"
            )
        return None

    def prepare(self, folder: Path) -> None:
        sweep(folder)

    def reading(self, source: Path) -> AbstractContextManager[Path]:
        if source.exists() and not source.is_file():  # opening it might take without end
            raise OSError(f"cannot read {source}: it is no file but a pipe, a device or the like")
        return nullcontext(source)

    @contextmanager
    def writing(self, output: Path) -> Iterator[Path]:
        make_folder(output)
        yield output  # every writer of files takes care of the rest: see `ccsr.atomic`


LOCAL = _Local()


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))


def _limit(folder: Path, name: str) -> int:
    try:
        return os.pathconf(_existing(folder), name)
    except (OSError, ValueError, AttributeError):  # AttributeError: Windows has no pathconf
        return _LIMITS[name]
