"""*Enlarge* on the page: the same pipeline as `ccsr upscale`, with the state of each picture."""

import math
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ccsr import image
from ccsr.clock import spelled
from ccsr.jobs import pipeline
from ccsr.jobs.checks import Job
from ccsr.jobs.places import Place
from ccsr.jobs.plan import output_name
from ccsr.jobs.target import Target
from ccsr.jobs.writing import Outcome
from ccsr.web.entry import Entry, decoded, told
from ccsr.web.models import Models
from ccsr.web.worker import Stopped

State = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass
class Item:
    """One picture of an enlargement.

    Attributes:
        entry: the picture.
        output: where its result is written.
        name: what the result is called when it is downloaded.
        work: expected seconds.
        state: of it.
        share: that is computed, up to 1.
        text: what came of it, or why nothing did.
    """

    entry: Entry
    output: Path
    name: str
    work: float
    state: State = "waiting"
    share: float = 0.0
    text: str = ""

    @property
    def told(self) -> str:
        """How it stands."""
        return self.text or (f"{self.share:.0%}" if self.state == "running" else self.state)


@dataclass
class Enlargement:
    """Pictures that one press of the button enlarges.

    Args:
        number: by which browsers name it.
        entries: the pictures.
        target: of all of them.
        model: name of the network.
        output: how the results are written.
        models: has the network.
        folder: an empty one for the results.

    Raises:
        ValueError: if no such file can be written of any of the pictures; of some, those have
            failed from the start.
    """

    number: int
    entries: Sequence[Entry]
    target: Target
    model: str
    output: image.Output
    models: Models
    folder: Path
    items: list[Item] = field(default_factory=list)
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _started: float = 0.0
    _users: int = 1  # of the folder: itself, and those who send what is in it
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.models.check(self.model)
        taken: set[str] = set()
        for number, entry in enumerate(self.entries, 1):
            self.items.append(self._item(number, entry, taken))
        if not any(item.state == "waiting" for item in self.items):
            raise ValueError(self.items[0].text)

    def _item(self, number: int, entry: Entry, taken: set[str]) -> Item:
        name = entry.name
        item = Item(entry, self.folder / str(number), name, 0.0)
        try:
            name = output_name(Path(entry.name), self.target, self.output)
            item.output = item.output.with_suffix(Path(name).suffix)
            image.check_output(item.output, self.output)
            item.work = self._expected(entry)
            item.name = _unused(name, taken)
        except ValueError as error:
            item.state, item.text = "failed", told(error, {item.output: name})
        return item

    def run(self, breathe: Callable[[], None]) -> None:
        """Do all that is not cancelled; `breathe` is called after each piece.

        Raises:
            Stopped: if `breathe` does; not if it was cancelled.
        """
        by_source: dict[Place, Item] = {item.entry.path: item for item in self.items}
        self._started = time.monotonic()

        def watch(source: Place, share: float) -> None:
            item = by_source[source]
            item.state, item.share = "running", share
            breathe()
            if self._cancelled.is_set():
                raise Stopped

        def read(path: Path) -> image.Picture:
            return decoded(by_source[path].entry)

        def report(outcome: Outcome) -> None:
            self._note(by_source[outcome.job.source], outcome)

        try:
            if self._cancelled.is_set():
                return
            upscaler = self.models.upscaler(self.model)
            self.models.measure(self.model)
            items = [item for item in self.items if item.state == "waiting"]
            for item in items:
                item.work = self._expected(item.entry)
            jobs = [Job(item.entry.path, item.output) for item in items]
            pipeline.run(jobs, self.target, upscaler, report, self.output, watch, read=read)
        except Stopped:
            if not self._cancelled.is_set():
                raise
        except (OSError, ValueError, RuntimeError) as error:  # the network cannot be loaded
            for item in self.items:
                if item.state in ("waiting", "running"):
                    item.state, item.text = "failed", str(error)
        finally:
            self._close()

    def cancel(self) -> None:
        """End it after the piece in hand; what is done stays."""
        self._cancelled.set()
        if not self._started:
            self._close()

    def hold(self) -> None:
        """Keep the files until `release` was called once more."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """Remove the files, unless somebody holds them."""
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def running(self) -> bool:
        """Whether anything of it is still to be done."""
        return any(item.state in ("waiting", "running") for item in self.items)

    @property
    def done(self) -> list[Item]:
        """What can be downloaded."""
        return [item for item in self.items if item.state == "done"]

    @property
    def json(self) -> dict[str, object]:
        """What the page knows of it."""
        left = f", {spelled(self._left())} left" if self.running else ""
        return {
            "id": self.number,
            "title": f"{self.target.label}, {self.model}{left}",
            "running": self.running,
            "items": [
                {"name": item.name, "state": item.state, "share": item.share, "text": item.told}
                for item in self.items
            ],
        }

    def _left(self) -> float:
        """Seconds that remain, judged by what was done since the start, or by expectation."""
        total = sum(item.work for item in self.items)
        done = sum(item.work * _finished(item) for item in self.items)
        if not self._started or done < 0.02 * total:
            return total
        return (time.monotonic() - self._started) * (total - done) / done

    def _expected(self, entry: Entry) -> float:
        size = self.target.size(entry.size)
        pace = self.models.pace.get(self.model)
        return entry.frames * (pace.seconds(entry.size, size) if pace else math.prod(size) * 1e-6)

    def _note(self, item: Item, outcome: Outcome) -> None:
        if outcome.size is None:
            item.state = "failed"
            names = {item.entry.path: item.entry.name, item.output: item.name}
            item.text = told(outcome.error, names)
            return
        item.share, item.state = 1.0, "done"
        item.text = f"{outcome.summary}, {item.output.stat().st_size / 1e6:.2f} MB{outcome.lost}"
        if pace := self.models.pace.get(self.model):
            expected = item.entry.frames * pace.seconds(item.entry.size, outcome.size)
            pace.learn(expected, outcome.seconds)

    def _close(self) -> None:
        for item in self.items:
            if item.state in ("waiting", "running"):
                item.state, item.text = "cancelled", ""


def _finished(item: Item) -> float:
    return item.share if item.state in ("waiting", "running") else 1.0


def _unused(name: str, taken: set[str]) -> str:
    """`name`, or `name (2)` and so on before the suffix, so that no two are the same."""
    path = Path(name)
    candidates: Iterator[str] = (
        name if number == 1 else f"{path.stem} ({number}){path.suffix}"
        for number in range(1, len(taken) + 2)
    )
    chosen = next(each for each in candidates if each.casefold() not in taken)
    taken.add(chosen.casefold())
    return chosen
