"""Decoded pixels that the processes of a training share, in memory or in files."""

import logging
import mmap
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ccsr.atomic import locked

log = logging.getLogger(__name__)


class SharedCache:
    """Bytes that processes share, and a state of each photo.

    In memory they are an anonymous mapping, which forked processes share (others begin with an
    empty one of their own); in a folder they are files, as large as all bytes together but
    without the blocks that nobody wrote. A run that keeps less leaves the rest to others.

    Args:
        size: of all bytes together.
        count: of photos.
        folder: that keeps both from run to run; None for memory.

    Attributes:
        states: (count,) uint8, 0 at first; whoever shares them gives them their meaning.

    Raises:
        OSError: if the folder cannot be written, or so much memory is not to be had.
    """

    def __init__(self, size: int, count: int, folder: Path | None) -> None:
        self.size, self.count, self.folder = size, count, folder
        self.full, self._file = False, -1
        try:
            self._open()
        except OSError as error:
            reason = error.strerror or error
            if folder is None:
                raise OSError(
                    f"cannot keep {size / 1e6:,.0f} MB of decoded photos in memory: {reason}: "
                    "lower data.cache_mb"
                ) from error
            raise OSError(f"cannot keep photos in data.cache, {folder}: {reason}") from error

    def _open(self) -> None:
        if self.folder is None:
            self.pixels = np.frombuffer(mmap.mmap(-1, max(1, self.size)), np.uint8)
            self.states = np.frombuffer(mmap.mmap(-1, self.count), np.uint8)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = {"pixels": max(1, self.size), "states": self.count, "sums": 4 * self.count}
        with locked(self.folder, wait=True):
            for name, size in wanted.items():
                with (self.folder / name).open("ab") as stream:
                    if stream.tell() < size:  # what another process reads never becomes shorter
                        stream.truncate(size)
        self.pixels = np.memmap(self.folder / "pixels", np.uint8, "r+")
        self.states = np.memmap(self.folder / "states", np.uint8, "r+", shape=(self.count,))
        self.sums = np.memmap(self.folder / "sums", np.uint32, "r+", shape=(self.count,))
        self._checked = np.frombuffer(mmap.mmap(-1, self.count), np.uint8)  # by these processes
        self._file = os.open(self.folder / "pixels", os.O_WRONLY)

    def read(self, index: int, start: int, length: int) -> np.ndarray | None:
        """The bytes of photo number `index`, from `start` on; None if they are damaged."""
        values = self.pixels[start : start + length]
        if self.folder is not None and not self._checked[index]:
            if len(values) < length or zlib.crc32(values.data) != self.sums[index]:
                return None
            self._checked[index] = 1
        return values

    def write(self, index: int, start: int, values: np.ndarray) -> bool:
        """Whether the values of photo number `index` are kept: a full disk is no reason to stop."""
        if self.folder is None:
            self.pixels[start : start + values.size] = values.reshape(-1)
            return True
        if self.full:
            return False
        try:
            rest = memoryview(values.tobytes())
            total = zlib.crc32(rest)
            while rest:  # not through the mapping: there a full disk kills the process
                done = os.pwrite(self._file, rest, start)
                rest, start = rest[done:], start + done
        except OSError as error:
            log.warning("photos are no longer kept in %s: %s", self.folder, error.strerror)
            self.full = True
            return False
        self.sums[index], self._checked[index] = total, 1
        return True

    def __getstate__(self) -> dict[str, Any]:
        return {"size": self.size, "count": self.count, "folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]
