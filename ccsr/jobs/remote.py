"""Stores that fsspec speaks to: S3, Google Cloud Storage, Azure, the web, SFTP and others."""

import importlib
import os
import posixpath
import secrets
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from ccsr import image
from ccsr.device import NoRoomError
from ccsr.distribution import remedy
from ccsr.jobs.listed import Listed
from ccsr.jobs.patience import patiently
from ccsr.jobs.places import OBJECTS, WEB, Place, Url
from ccsr.jobs.stores import Store
from ccsr.suggest import near

LONGEST = 1024  # bytes of a name that stores of objects take


@cache
def _connect(root: Url) -> "_Remote":
    return _Remote(root)


def store(place: Url) -> "_Remote":
    """The store that a URL is in.

    Raises:
        ValueError: for a URL of a kind that is not known.
        RuntimeError: for one that needs a package that is not installed.
    """
    return _connect(place.root)


class _Remote(Store[Url]):
    """Files are read and written by way of a temporary file of this machine.

    A request that fails since the store is busy is repeated, with growing pauses.

    Args:
        root: the bucket or host.

    Raises:
        ValueError, RuntimeError: see `store`.
    """

    def __init__(self, root: Url) -> None:
        self._root = root
        self.files = _file_system(root)  # of fsspec
        self._objects = root.scheme in OBJECTS
        self._writable = False

    def key(self, place: Url) -> str:
        """What the file system calls a place."""
        return str(self.files._strip_protocol(place.text))

    def is_folder(self, place: Url) -> bool:
        if place.scheme in WEB or (image.named_as_image(place.name) and not place.closed):
            return False
        # not `isdir`, which lists the whole folder in S3
        return bool(patiently(f"cannot read {place}", self._is_directory, self.key(place)))

    def _is_directory(self, key: str) -> bool:
        try:
            return bool(self.files.info(key)["type"] == "directory")
        except FileNotFoundError:
            return False

    def exists(self, place: Url) -> bool:
        found: bool = patiently(f"cannot read {place}", self.files.exists, self.key(place))
        return found

    def identity(self, place: Url) -> Hashable:
        if self._objects or place.scheme in WEB:
            return place
        return self._root, posixpath.normpath(self.key(place))

    def listing(self, folder: Url, *, recursive: bool) -> Listed:
        # at once, while nothing else is held: a listing may take much room until it is done
        problems: dict[Place, str] = {}
        return Listed(folder, recursive, self.names(folder, recursive, problems), problems)

    def names(self, folder: Url, recursive: bool, problems: dict[Place, str]) -> list[str]:
        """The names of all files below `folder`, as paths from there; notes what is not listed."""
        top, sentence = self.key(folder), f"cannot list {folder}"
        start = len(top) + 1
        if self._root.scheme == "s3":
            return list(self._pages(top, recursive, sentence))
        if not recursive:
            found = patiently(sentence, self._lookup, folder, self.files.ls, top, detail=True)
            return [entry["name"][start:] for entry in found if entry["type"] == "file"]
        if self._objects:
            keys = patiently(sentence, self._lookup, folder, self.files.find, top)
            for number, key in enumerate(keys):  # one by one: there may be a million of them
                keys[number] = key[start:]
            return list(keys)

        def note(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                problems[folder] = f"{sentence}: {error.strerror or error}"

        walk = self.files.walk(top, on_error=note)
        return [f"{place}/{name}"[start:] for place, _, names in walk for name in names]

    def _pages(self, top: str, recursive: bool, sentence: str) -> Iterator[str]:
        """Names below a folder of S3, page by page, where s3fs would hold all it knows of each."""
        bucket, _, folder = top.partition("/")
        prefix = f"{folder}/" if folder else ""
        request = {"Bucket": bucket, "Prefix": prefix, **self.files.req_kw}
        request |= {} if recursive else {"Delimiter": "/"}
        while True:
            page = patiently(sentence, self.files.call_s3, "list_objects_v2", **request)
            yield from (entry["Key"][len(prefix) :] for entry in page.get("Contents", ()))
            if not page["IsTruncated"]:
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def _lookup(self, folder: Url, work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """A folder that is not there is an empty one, as long as its bucket is there."""
        try:
            return work(*args, **options)
        except FileNotFoundError:
            if self._objects and not self.files.exists(self.key(folder.root)):
                raise
            return []

    def folder_problem(self, folder: Url) -> str | None:
        if folder.scheme in WEB:
            return f"cannot write into {folder}: the web is only read, say by -o where results go"
        return None

    def name_problem(self, output: Url) -> str | None:
        length = len(os.fsencode(output.text)) - len(os.fsencode(output.root.text)) - 1
        if self._objects and length > LONGEST:
            return (
                f"cannot write {output}: its name has {length} bytes, at most {LONGEST} are "
                "possible: choose another folder by -o"
            )
        return None

    def prepare(self, folder: Url) -> None:
        """Write an empty file and remove it, once in each bucket."""
        if self._writable:
            return
        trial = self.key(folder / _temporary())
        sentence = f"cannot write into {folder}"
        self._make(folder, sentence)
        patiently(sentence, self.files.pipe_file, trial, b"")
        with suppress(Exception):  # who may write need not be allowed to remove
            self.files.rm_file(trial)
        self._writable = True

    @contextmanager
    def reading(self, source: Url) -> Iterator[Path]:
        with TemporaryDirectory(prefix="ccsr-") as room:
            path = Path(room, "input")
            patiently(f"cannot read {source}", self.files.get_file, self.key(source), str(path))
            with _called(path, str(source)):
                yield path

    @contextmanager
    def writing(self, output: Url) -> Iterator[Path]:
        if output.scheme in WEB:
            raise OSError(f"cannot write {output}: the web is only read")
        with TemporaryDirectory(prefix="ccsr-") as room:
            path = Path(room, f"output{output.suffix}")  # which tells some stores what it is
            with _called(path, f"{output} by way of {gettempdir()}"):
                yield path
            sentence, key = f"cannot write {output}", self.key(output)
            if self._objects:
                patiently(sentence, self.files.put_file, str(path), key)
                return
            self._make(output.parent, sentence)
            temporary = self.key(output.parent / _temporary())
            try:
                patiently(sentence, self.files.put_file, str(path), temporary)
                patiently(sentence, self.files.mv, temporary, key)
            except OSError:
                with suppress(Exception):
                    self.files.rm_file(temporary)
                raise

    def _make(self, folder: Url, sentence: str) -> None:
        if not self._objects:
            patiently(sentence, self.files.makedirs, self.key(folder), exist_ok=True)


@contextmanager
def _called(path: Path, name: str) -> Iterator[None]:
    """In the sentences of errors a temporary file has the name of what it stands for."""
    try:
        yield
    except (OSError, ValueError, NoRoomError) as error:
        if str(path) not in str(error):
            raise
        raise type(error)(str(error).replace(str(path), name)) from error


def _temporary() -> str:
    return f".ccsr-{secrets.token_hex(6)}.part"


def _file_system(root: Url) -> Any:
    try:
        fsspec = importlib.import_module("fsspec")
    except ModuleNotFoundError as error:
        raise _missing(root, "fsspec") from error
    known = set(fsspec.available_protocols())
    if root.scheme not in known:
        remote = known - {"file", "local"}
        raise ValueError(f"no kind of store is called {root.scheme}: {near(root.scheme, remote)}")
    # what was listed would else be kept, and not be looked up again
    options = {"use_listings_cache": False} if root.scheme in OBJECTS else {}
    try:
        return fsspec.core.url_to_fs(root.text, **options)[0]
    except ImportError as error:
        cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
        known_by = importlib.import_module("fsspec.registry").known_implementations
        hint = str(known_by.get(root.scheme, {}).get("err", ""))
        raise _missing(root, cause.name or "", hint) from error
    except Exception as error:
        raise OSError(f"cannot reach {root}: {error}") from error


def _missing(root: Url, package: str, hint: str = "") -> RuntimeError:
    own = package in ("fsspec", "aiohttp", "requests")
    if not package or (hint and package not in hint):  # its distribution has another name
        package = package or "which does not say its name"
        return RuntimeError(
            f"{root.scheme}:// needs a package that is not installed ({package}): {hint}"
        )
    return RuntimeError(
        f"{root.scheme}:// needs the package {package}, which is not installed: "
        f"run {remedy('remote') if own else f'pip install {package}'}"
    )
