"""Reports of runs: what came of each picture, a JSON object a line."""

import errno
import os
import shutil
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

from ccsr.atomic import make_folder
from ccsr.jobs.places import Place
from ccsr.jobs.plan import Plan
from ccsr.jobs.stores import store_of
from ccsr.terminal import as_json, named, tell

SUFFIX = ".jsonl"
EVERY = 60  # seconds after which a report that lies far away is written again, whole
SHARE = 0.1  # of the time that this may take
Status = Literal["done", "failed", "skipped", "left out", "remaining", "planned", "empty"]


class Report:
    """One JSON object per picture, in a file or on standard output, as the pictures are finished.

    Each tells `source`, `output`, `status`, the time `at` which it was written, and how many
    pictures the run is about (`of`); of a shard also which it is. What is done has the `width` and
    `height` of the result, the `seconds` that the work took and what was `dropped`; what failed
    has an `error`. What is `planned` has the size that it would get. A shard without pictures has
    one line, `empty`, without `source`: a report of no lines is one of a run that was killed.

    What cannot be appended to, as an object of a store, is written anew every minute, or less often
    if that takes long, and at the end.

    Args:
        path: is emptied first, in a folder that is made; None for no file.
        plan: whose pictures must not be taken for the report.
        told: whether standard output gets the lines.

    Raises:
        ValueError: if `path` does not end in `.jsonl`, or is an input.
        OSError: if it cannot be written.
    """

    def __init__(self, path: Place | None, plan: Plan, *, told: bool = False) -> None:
        self._path = path
        self._file: Path | None = None
        self._room: Path | None = None
        self._due = 0.0
        self.told = told
        self.error = ""
        self._run: dict[str, Any] = {"of": plan.total}
        if plan.shard:
            self._run["shard"] = str(plan.shard)
        if path is not None:
            self._file = self._begin(self._checked(path, plan))
        if plan.shard and not plan.total:
            self.add(None, "empty")

    def _checked(self, path: Place, plan: Plan) -> Place:
        if path.suffix != SUFFIX:
            raise ValueError(f"expected a report that ends in {SUFFIX}, got {path}")
        own = store_of(path).identity(path)
        jobs = (job.source for job in (*plan.jobs, *plan.skipped))
        if any(store_of(source).identity(source) == own for source in jobs):
            raise ValueError(f"the report {path} is an input and would be overwritten")
        return path

    def _begin(self, path: Place) -> Path:
        """Empty the report; returns the file that lines are appended to."""
        if not isinstance(path, Path):
            self._room = Path(mkdtemp(prefix="ccsr-"))
            file = self._room / path.name
            file.touch()
            try:
                self._send(path, file)
            except OSError:
                shutil.rmtree(self._room)
                raise
            return file
        if path.exists() and not path.is_file():  # opening a pipe waits for ever
            raise OSError(f"cannot write the report {path}: it is no regular file")
        make_folder(path)
        try:
            path.write_bytes(b"")
        except OSError as error:
            raise OSError(f"cannot write the report {path}: {error.strerror}") from error
        return path

    def _send(self, path: Place, file: Path) -> None:
        started = time.monotonic()
        try:
            with store_of(path).writing(path) as temporary:
                shutil.copyfile(file, temporary)
        finally:
            ended = time.monotonic()
            self._due = ended + max(EVERY, (ended - started) / SHARE)

    def close(self) -> None:
        """Write what is not written yet; if that fails, `error` says where the lines are."""
        if self._path is None or self._file is None or self._room is None:
            return
        try:
            self._send(self._path, self._file)
        except OSError as error:
            self.error = f"{error}; the report is left in {self._file}"
        else:
            shutil.rmtree(self._room)
        self._room = None

    def add(
        self,
        source: Place | None,
        status: Status,
        output: Place | None = None,
        **more: str | float | list[str],
    ) -> None:
        """Append a line, whole or not at all. If that fails, `error` says so, and nothing stops."""
        if self._path is None and not self.told:
            return
        line: dict[str, Any] = {
            "source": source and str(source),
            "output": output and str(output),
            "status": status,
            **more,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **self._run,
        }
        text = as_json({k: named(v) if isinstance(v, str) else v for k, v in line.items()})
        if self.told:
            try:
                tell(text)
                sys.stdout.flush()
            except BrokenPipeError:
                self.error = "nobody reads standard output any longer"
            except OSError as error:
                self.error = str(error)
        if self._path is not None and self._file is not None:
            self._append(self._path, self._file, (text + "\n").encode())

    def _append(self, path: Place, file: Path, text: bytes) -> None:
        try:
            with file.open("ab", buffering=0) as stream:
                end = stream.tell()
                if stream.write(text) != len(text):  # the disk is full
                    stream.truncate(end)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self.error = f"cannot write the report {path}: {error.strerror}"
        if self._room and time.monotonic() > self._due:
            with suppress(OSError):  # the last attempt counts, see `close`
                self._send(path, file)
