"""Where pictures lie: what every kind of store can do, and which store a place is in."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Generic, TypeVar, cast

from ccsr.jobs.places import Place, Url

P = TypeVar("P", bound=Place)


class Listing(ABC, Generic[P]):
    """What lies in a folder, looked up once.

    Attributes:
        folder: the folder.
        recursive: whether in the whole tree below it.
    """

    def __init__(self, folder: P, recursive: bool) -> None:
        self.folder = folder
        self.recursive = recursive

    @abstractmethod
    def images(
        self, leave_out: Place | None, unlisted: Callable[[Place, str], None]
    ) -> Iterator[P]:
        """Find the files that are named as images, in natural order, none of them hidden.

        Args:
            leave_out: a folder not to look into, or None.
            unlisted: called with what cannot be looked into, and a sentence that says why.

        Raises:
            OSError: for a store that does not answer, or that refuses.
        """

    @abstractmethod
    def knows(self, place: Place) -> bool | None:
        """Whether there is such a file; None if it is not where was looked.

        Raises:
            OSError: for a store that does not answer, or that refuses.
        """


class Store(ABC, Generic[P]):
    """A file system of this machine, or something far away."""

    @abstractmethod
    def is_folder(self, place: P) -> bool:
        """Whether `place` is a folder."""

    @abstractmethod
    def exists(self, place: P) -> bool:
        """Whether there is anything at `place`."""

    @abstractmethod
    def identity(self, place: P) -> Hashable:
        """A value that is equal for all places that are one file."""

    @abstractmethod
    def listing(self, folder: P, *, recursive: bool) -> Listing[P]:
        """What lies in a folder, or in the tree below it."""

    @abstractmethod
    def folder_problem(self, folder: P) -> str | None:
        """Why no file can be made in `folder`, which may have to be made itself."""

    @abstractmethod
    def name_problem(self, output: P) -> str | None:
        """Why no file can be called so."""

    @abstractmethod
    def prepare(self, folder: P) -> None:
        """Make ready to write into a folder.

        Raises:
            OSError: if nothing can be written there.
        """

    @abstractmethod
    def reading(self, source: P) -> AbstractContextManager[Path]:
        """A file of this machine with the bytes of `source`, which may be `source` itself.

        Raises:
            OSError: as a sentence about `source`, also where the work on the file raises one.
        """

    @abstractmethod
    def writing(self, output: P) -> AbstractContextManager[Path]:
        """A path to write a file to, whole, which on success becomes `output`.

        Raises:
            OSError: as a sentence about `output`, also where the work on the file raises one.
        """


def store_of(place: P) -> Store[P]:
    """The store that a place is in.

    Raises:
        ValueError: for a URL of a kind that is not known.
        RuntimeError: for one that needs a package that is not installed.
    """
    if isinstance(place, Url):
        from ccsr.jobs.remote import store

        return cast("Store[P]", store(place))
    from ccsr.jobs.local import LOCAL

    return cast("Store[P]", LOCAL)
