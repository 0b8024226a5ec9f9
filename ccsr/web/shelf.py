"""The pictures of a session: those that the command line named, and those that a browser sent."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from ccsr import image
from ccsr.device import NoRoomError
from ccsr.image.coding import Coding
from ccsr.upscaling.pixels import LevelSource
from ccsr.web.entry import (
    Entry,
    LimitError,
    Limits,
    check_unchanged,
    decoded,
    plain_name,
    stamp,
    told,
)

DECODED = 2  # pictures whose pixels are kept
AT_HAND = 256 << 20  # bytes of a picture of which all frames are kept


@dataclass(frozen=True)
class Opened:
    """The decoded first frame of a picture.

    Attributes:
        source: for the network.
        profile: ICC bytes of its colours; None for sRGB.
        coding: how its file was compressed with losses, if it says so.
    """

    source: LevelSource
    profile: bytes | None = None
    coding: Coding | None = None


@dataclass
class Shelf:
    """All pictures of a session. Its methods may be called from any thread.

    Attributes:
        folder: where the files that browsers send are put, under names made here.
        limits: of the session.
    """

    folder: Path
    limits: Limits = field(default_factory=Limits)
    _entries: dict[int, Entry] = field(default_factory=dict)
    _decoded: "OrderedDict[int, Opened]" = field(default_factory=OrderedDict)
    _several: "tuple[int, image.Picture] | None" = None  # that frames were last asked of
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _parting: threading.Lock = field(default_factory=threading.Lock)  # one file into frames
    _last: int = 0

    def take(self, given: Iterable[Path]) -> None:
        """Put files, and the pictures of folders in natural order, on the shelf.

        Raises:
            OSError: for a file or folder that is not there or cannot be read.
            ValueError: for more than the limit, or a folder without pictures.
        """
        for path in given:
            if not path.exists():
                raise FileNotFoundError(f"no picture or folder at {path}: check the path")
            found = _pictures_in(path) if path.is_dir() else [path]
            if len(found) > self.limits.pictures:
                raise ValueError(
                    f"{path} holds {len(found)} pictures, and the page takes at most "
                    f"{self.limits.pictures}: name some of them, or a folder with fewer"
                )
            for each in found:
                if each not in (entry.path for entry in self._entries.values()):
                    self.put(replace(self.reserve(0, each.name), path=each))

    def reserve(self, size: int, name: str) -> Entry:
        """A place for a picture of `size` bytes that is going to be sent, under a plain name.

        Raises:
            LimitError: if the session has no room for it.
        """
        with self._lock:
            count = len([entry for entry in self._entries.values() if not entry.of])
            if count >= self.limits.pictures:
                raise LimitError(
                    f"there are {count} pictures already, which is the most: remove some"
                )
            sent = sum(entry.sent for entry in self._entries.values())
            if sent + size > self.limits.sent:
                raise LimitError(
                    f"the pictures would take {(sent + size) / 1e9:.2f} GB, at most "
                    f"{self.limits.sent / 1e9:.2f} GB are taken: remove some, or name them to "
                    "ccsr serve as files"
                )
            self._last += 1
            path = self.folder / f"picture-{self._last}"
            self._entries[self._last] = Entry(self._last, path, plain_name(name), sent=size)
            return self._entries[self._last]

    def put(self, entry: Entry) -> Entry:
        """Look at the file of an entry, and keep what came of it in its place.

        Raises:
            ValueError: if it was removed meanwhile.
        """
        entry = replace(entry, stamp=stamp(entry.path))
        try:
            if entry.stamp and not entry.path.is_file():  # opening a pipe would wait for ever
                raise OSError(f"cannot read {entry.path}: it is no file")
            header = image.probe(entry.path)
        except (OSError, NoRoomError) as error:
            entry = replace(entry, error=told(error, {entry.path: entry.name}))
        else:
            entry = replace(entry, size=header.size, frames=header.frames)
        with self._lock:
            self._check_here(entry.number)
            self._entries[entry.number] = entry
        return entry

    def remove(self, number: int) -> None:
        """Forget a picture; the file goes too if a browser sent it."""
        with self._lock:
            if number not in self._entries:  # as 0, which whole pictures are of
                return
            gone = [entry for entry in self._entries.values() if number in (entry.number, entry.of)]
            for entry in gone:
                del self._entries[entry.number]
                self._decoded.pop(entry.number, None)
            if self._several and self._several[0] == number:
                self._several = None
        for entry in gone:
            if entry.path.parent == self.folder:
                entry.path.unlink(missing_ok=True)

    def has(self, number: int) -> bool:
        """Whether there is a picture of that number."""
        with self._lock:
            return number in self._entries

    def find(self, number: object) -> Entry:
        """A picture that can be used.

        Raises:
            ValueError: if there is none of that number, or it cannot be read.
        """
        with self._lock:
            entry = self._entries[self._check_here(number)]
        if entry.error or not entry.frames:
            raise ValueError(entry.error or f"{entry.name} is not here yet: wait a moment")
        return entry

    def listed(self) -> list[Entry]:
        """All whole pictures that are here, in the order in which they came."""
        with self._lock:
            here = [entry for entry in self._entries.values() if entry.frames or entry.error]
        return [entry for entry in here if not entry.of]

    def frame(self, number: int, which: int) -> Entry:
        """One frame or page of a picture, from 1, as a picture; made when it is first asked for.

        Of a picture with one frame that is the picture itself.

        Raises:
            ValueError: as `find`, or if there is no such frame, or the file has changed.
            OSError: if it is damaged, or cannot be written.
            NoRoomError: if it finds no room.
        """
        whole = self.find(number)
        if not 1 <= which <= whole.frames:
            raise ValueError(f"frame must be from 1 to {whole.frames}, got {which}")
        if whole.frames == 1:
            return whole
        with self._parting:  # not `_lock`: others need not wait while it is decoded
            return self._made(whole, which) or self._make(whole, which)

    def _made(self, whole: Entry, which: int) -> Entry | None:
        check_unchanged(whole)
        with self._lock:
            made = (each for each in self._entries.values() if each.of == whole.number)
            return next((entry for entry in made if entry.frame == which), None)

    def _make(self, whole: Entry, which: int) -> Entry:
        picture = self._read_several(whole)
        values = picture.frames[which - 1]
        with self._lock:
            self._last += 1
            number = self._last
        path = self.folder / f"picture-{number}.tif"  # which holds all that a frame can be
        given = PurePosixPath(whole.name)
        name = f"{given.stem}-{which}{given.suffix}"
        try:
            image.write(image.Picture((values,), picture.descriptions[which - 1]), path)
        except OSError as error:
            raise OSError(told(error, {path: name})) from error
        size = values.shape[0], values.shape[1]
        entry = Entry(
            number, path, name, size, 1, stamp=whole.stamp, of=whole.number, original=whole.path,
            frame=which, coding=picture.coding, notes=picture.notes, dropped=picture.dropped,
        )  # fmt: skip
        with self._lock:
            try:
                self._check_here(whole.number)
            except ValueError:
                path.unlink()
                self._several = None
                raise
            self._entries[number] = entry
        return entry

    def _read_several(self, whole: Entry) -> image.Picture:
        """All frames of a picture; those of the last one stay at hand if they are not too large."""
        several = self._several  # which `remove` may forget meanwhile
        if several and several[0] == whole.number:
            return several[1]
        picture = decoded(whole)
        small = sum(frame.nbytes for frame in picture.frames) <= AT_HAND
        self._several = (whole.number, picture) if small else None
        return picture

    def opened(self, number: int) -> Opened:
        """The decoded first frame of a picture.

        Raises:
            ValueError: as `find`, or if the file has changed, or was removed meanwhile.
            OSError: if it is damaged.
            NoRoomError: if it finds no room.
        """
        entry = self.find(number)
        check_unchanged(entry)
        with self._lock:
            if number in self._decoded:
                self._decoded.move_to_end(number)
                return self._decoded[number]
        picture = decoded(entry)
        source = LevelSource(picture.frames[0])
        opened = Opened(source, picture.metadata.profile, picture.coding)
        with self._lock:
            self._check_here(number)
            self._decoded[number] = opened
            while len(self._decoded) > DECODED:
                self._decoded.popitem(last=False)
        return opened

    def _check_here(self, number: object) -> int:
        """`number`, if a picture has it."""
        if type(number) is not int or number not in self._entries:
            raise ValueError(f"there is no picture {number!r} any more: choose it again")
        return number


def _pictures_in(folder: Path) -> list[Path]:
    found = list(image.images_in(folder))
    if not found:
        raise ValueError(f"no images in the folder {folder}: name the files, or another folder")
    return found
