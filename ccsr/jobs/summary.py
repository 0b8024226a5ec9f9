"""What the reports of several runs say together."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from ccsr.jobs.places import Place
from ccsr.jobs.reports import Status
from ccsr.jobs.shards import Shard
from ccsr.jobs.stores import store_of


@dataclass
class Summary:
    """What several reports say together; a picture that is in more than one counts once.

    Attributes:
        pictures: how many the runs are about.
        done: how many of them have a result, of these or of earlier runs.
        failed: why each of the others that were tried has none, in the order of the reports.
        missing: how many were not reached.
        absent: shards of which there is no report, such as `3/4`.
        silent: reports that tell of nothing: their runs were killed at the begin, or go on.
        notes: where pictures are missing, and what could not be read, in sentences.
        pixels: how many the results have that were computed.
        seconds: how long computing them took, added up over all machines.
        span: seconds from the first beginning to the last end.
    """

    pictures: int = 0
    done: int = 0
    failed: list[str] = field(default_factory=list)
    missing: int = 0
    absent: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pixels: int = 0
    seconds: float = 0.0
    span: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every picture of every shard has a result."""
        return not (self.failed or self.missing or self.absent or self.silent)


def summed_up(paths: Sequence[Place]) -> Summary:
    """Read reports and join what they say.

    Raises:
        OSError: for a file that cannot be read.
        ValueError: for one that is no report.
    """
    known: dict[Place, Place] = {}  # globs overlap, and a file may have several names
    for path in paths:
        known.setdefault(path.resolve() if isinstance(path, Path) else path, path)
    runs = [_read(path) for path in known.values()]
    _forget_made_good(runs)
    done: set[str] = set().union(*(run.done for run in runs))
    failed: dict[str, str] = {}
    silent = [str(run.path) for run in runs if not run.lines]
    result = Summary(done=len(done), absent=_absent(runs), silent=silent)
    for run in runs:
        failed |= {key: why for key, why in run.failed.items() if key not in done}
        result.pixels += run.pixels
        result.seconds += sum(end - begin for begin, end in run.times)
        result.notes += run.notes
    result.failed = list(failed.values())
    for group in _related(runs):
        told = set().union(*(run.told for run in group))
        about = max(len(told), *(run.about for run in group))
        result.pictures += about
        if about > len(told):
            result.notes.append(
                f"{', '.join(str(run.path) for run in group)}: {about - len(told)} of {about} "
                "pictures are not told of: the run was killed, or still goes on"
            )
    result.missing = result.pictures - len(done) - len(failed)
    times = [time for run in runs for time in run.times]
    if times:
        result.span = max(end for _, end in times) - min(begin for begin, _ in times)
    return result


@dataclass
class _Run:
    """What one report says. Pictures are known by their outputs, or sources if they have none.

    Attributes:
        path: where the report lies.
        lines: how many it has.
        about: how many pictures the run is about, or 0 if it does not say.
        shard: the run's shard; empty if it is about all pictures.
        told: the pictures in the report.
        done: those that have a result.
        failed: those that have none, and why.
        unnamed: those of them that have no output either, as folders that cannot be listed.
        sources: of what is done.
        times: when the work on each result began and ended, in seconds.
        pixels: how many the results have.
        notes: what is odd.
    """

    path: Place
    lines: int = 0
    about: int = 0
    shard: str = ""
    told: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    unnamed: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    times: list[tuple[float, float]] = field(default_factory=list)
    pixels: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Of the shards that it is one of; 0 if it is none."""
        return int(self.shard.partition("/")[2] or 0)

    def take(self, line: Any) -> None:
        """Add what a line says.

        Raises:
            KeyError, TypeError, ValueError: for a line of another kind of file.
        """
        status, key = line["status"], _identity(str(line["output"] or line["source"]))
        if status not in get_args(Status):
            raise ValueError(status)
        self.about, self.shard = int(line.get("of", 0)), str(line.get("shard", ""))
        if self.shard:
            Shard.parse(self.shard)
        self.lines += 1
        if status in ("left out", "empty"):
            return
        self.told.add(key)
        if status in ("done", "skipped"):
            self.done.add(key)
            self.sources.add(_identity(str(line["source"])))
        if status == "failed":
            self.failed[key] = str(line["error"])
            self.unnamed |= set() if line["output"] else {key}
        if status == "done":
            self.pixels += int(line["width"]) * int(line["height"])
            if "at" in line:
                end = datetime.fromisoformat(line["at"]).timestamp()
                self.times.append((end - float(line["seconds"]), end))


def _identity(text: str) -> str:
    """A file by one spelling; those of runs elsewhere lie below the same folder as here."""
    return text if "://" in text else os.path.normpath(Path(text).absolute())


def _read(path: Place) -> _Run:
    run, cut, remaining = _Run(path), 0, []
    try:
        with _file(path) as file, file.open(encoding="utf-8", errors="replace") as stream:
            for number, text in enumerate(stream, 1):
                try:
                    line = json.loads(text)
                except (ValueError, RecursionError) as error:
                    if text.strip("\0\r\n")[:1] not in ("", "{"):  # not what a crash left of one
                        raise _no_report(path, number) from error
                    cut += 1
                    continue
                try:
                    run.take(line)
                except (KeyError, TypeError, ValueError) as error:
                    raise _no_report(path, number) from error
                if line["status"] == "remaining":
                    remaining.append(line["source"])
    except OSError as error:
        reason = error.strerror or str(error).removeprefix(f"cannot read {path}: ")
        raise OSError(f"cannot read the report {path}: {reason}") from error
    if cut:
        run.notes.append(f"{path}: {cut} line{'s are' if cut > 1 else ' is'} cut off")
    if remaining:
        run.notes.append(f"{path}: stopped with {len(remaining)} to do, from {remaining[0]} on")
    if not run.lines:
        run.notes.append(
            f"{path}: tells of no picture: the run was killed at its begin, or still goes on"
        )
    return run


def _no_report(path: Place, number: int) -> ValueError:
    return ValueError(
        f"{path} is no report of ccsr upscale: line {number} does not tell what came of a picture"
    )


def _forget_made_good(runs: Sequence[_Run]) -> None:
    """Forget failures to name a picture, or to list a folder, where another run could."""
    unnamed = set().union(*(run.unnamed for run in runs))
    if not unnamed:
        return
    good = {
        above
        for run in runs
        for source in run.sources
        for above in (source, *_folders(source))
        if above in unnamed
    }
    for run in runs:
        for key in good & run.unnamed:
            run.about -= 1
            run.told.discard(key)
            del run.failed[key]


def _folders(source: str) -> Iterator[str]:
    """Those that a picture lies in, from the inmost on."""
    while (parts := source.rpartition("/"))[1]:
        source = parts[0]
        yield source


def _file(path: Place) -> AbstractContextManager[Path]:
    """A file with the lines; a path may be a pipe, which is read once."""
    return nullcontext(path) if isinstance(path, Path) else store_of(path).reading(path)


def _related(runs: Sequence[_Run]) -> list[list[_Run]]:
    """The runs in groups; those that tell of a same picture are about the same pictures."""
    leaders = list(range(len(runs)))

    def leader(number: int) -> int:
        while leaders[number] != number:
            number = leaders[number]
        return number

    owners: dict[str, int] = {}
    for number, run in enumerate(runs):
        for key in run.told:
            leaders[leader(number)] = leader(owners.setdefault(key, number))
    groups: dict[int, list[_Run]] = {}
    for number, run in enumerate(runs):
        groups.setdefault(leader(number), []).append(run)
    return list(groups.values())


def _absent(runs: Sequence[_Run]) -> list[str]:
    """Shards that should be there, since others of the same total are.

    But where runs of all pictures, or all shards of another total, tell of what those tell of too.
    """
    by_total: dict[int, list[_Run]] = {}
    for run in runs:
        if run.lines:
            by_total.setdefault(run.total, []).append(run)
    missing: dict[int, list[str]] = {}
    for total, alike in by_total.items():
        present = {run.shard for run in alike}
        shards = (f"{number}/{total}" for number in range(1, total + 1))
        missing[total] = [shard for shard in shards if shard not in present]
    whole = [
        run
        for total, alike in by_total.items()
        for run in alike
        if not missing[total] and len(run.told) >= run.about
    ]
    told = _told(whole)
    covered = {total for total, alike in by_total.items() if _told(alike) and _told(alike) <= told}
    return [shard for total in sorted(missing) if total not in covered for shard in missing[total]]


def _told(runs: Iterable[_Run]) -> set[str]:
    return set().union(*(run.told for run in runs))
