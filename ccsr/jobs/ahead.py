"""Pictures are read before their turn: their files are fetched, and a few of them decoded."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar

from ccsr.jobs.checks import Job
from ccsr.jobs.stores import store_of

AHEAD = 2  # pictures that are decoded before their turn
FETCHED = 8  # files that are fetched before that, where they are far away
R = TypeVar("R")


class Fetched(NamedTuple):
    """A file with the bytes of a picture, until `close` is closed.

    Attributes:
        path: of the file.
        seconds: that it took.
        close: gives free what the file takes.
    """

    path: Path
    seconds: float
    close: ExitStack


def fetch(job: Job) -> Fetched:
    """Make the bytes of a picture a file of this machine.

    Raises:
        OSError: if that cannot be done.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        path = stack.enter_context(store_of(job.source).reading(job.source))
        return Fetched(path, time.monotonic() - started, stack.pop_all())


class Ahead(Generic[R]):
    """The jobs one after the other, each with what `decode` gives for its file.

    At most `AHEAD` of these are held, and `FETCHED` files.

    Args:
        jobs: in their order.
        decode: is called in a thread, and closes what is fetched.
    """

    def __init__(self, jobs: Iterable[Job], decode: Callable[[Job, Fetched], R]) -> None:
        self._upcoming = iter(jobs)
        self._decode = decode
        self._fetchers = ThreadPoolExecutor(FETCHED, "ccsr-fetch")
        self._reader = ThreadPoolExecutor(1, "ccsr-read")
        self._fetching: deque[tuple[Job, Future[Fetched]]] = deque()
        self._reading: deque[tuple[Job, Future[Fetched], Future[R]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __iter__(self) -> Iterator[tuple[Job, Future[R]]]:
        self._fill()
        while self._reading:
            job, _, future = self._reading.popleft()
            yield job, future
            self._fill()

    def _fill(self) -> None:
        while len(self._reading) < AHEAD:
            wanted = islice(self._upcoming, FETCHED + 1 - len(self._fetching))
            self._fetching.extend((job, self._fetchers.submit(fetch, job)) for job in wanted)
            if not self._fetching:
                return
            job, fetched = self._fetching.popleft()
            future = self._reader.submit(lambda j, f: self._decode(j, f.result()), job, fetched)
            self._reading.append((job, fetched, future))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.shutdown(cancel_futures=True)
        self._fetchers.shutdown(cancel_futures=True)
        for fetched in (*(f for _, f in self._fetching), *(f for _, f, _ in self._reading)):
            with suppress(Exception):
                if not fetched.cancelled():
                    fetched.result().close.close()
