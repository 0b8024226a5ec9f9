"""Results on their way to the disk, and what came of each job."""

import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Self

from ccsr import image
from ccsr.grid import Size
from ccsr.jobs.checks import Job
from ccsr.jobs.stores import store_of

WRITERS = 4
WAITING = 8  # results that may wait to be written
WAITING_PIXELS = 64_000_000  # that these may have together; a single result may have more


class Outcome(NamedTuple):
    """What came of a job. It holds no pixels.

    Attributes:
        job: the job.
        size: (H, W) of the output; None if the job failed.
        summary: describes the output for a person.
        seconds: how long reading, enlarging and writing took.
        dropped: what the input held and the output does not, by names for a person, each once.
        error: why the job failed; empty if it did not.
        trace: where in the code it failed.
    """

    job: Job
    size: Size | None
    seconds: float
    summary: str = ""
    error: str = ""
    trace: str = ""
    dropped: tuple[str, ...] = ()

    @property
    def lost(self) -> str:
        """The end of a line about the output that says what was dropped; empty if nothing was."""
        return f"; dropped: {', '.join(self.dropped)}" if self.dropped else ""


class Writing:
    """Results on their way to the disk, in the order of the jobs; its end waits for them all.

    Args:
        report: gets each outcome.
        saving: how the outputs are written.
    """

    def __init__(self, report: Callable[[Outcome], None], saving: image.Output) -> None:
        self.saving = saving
        self._writers = ThreadPoolExecutor(WRITERS, "ccsr-write")
        self._report = report
        self._waiting: deque[tuple[Future[Outcome], int]] = deque()  # with their pixels

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._writers:
            self.wait(0)

    def add(self, job: Job, result: image.Picture, seconds: float) -> None:
        """Write a result, as soon as those that wait leave room for it."""
        pixels = sum(frame.shape[0] * frame.shape[1] for frame in result.frames)
        self.wait(WAITING - 1, WAITING_PIXELS - pixels)
        self._waiting.append(
            (self._writers.submit(_write, job, result, self.saving, seconds), pixels)
        )

    def fail(self, job: Job, error: Exception) -> None:
        """Report a failure in its turn."""
        self.report(_failure(job, error))

    def report(self, outcome: Outcome) -> None:
        """Report what needs no writing, in its turn."""
        future: Future[Outcome] = Future()
        future.set_result(outcome)
        self._waiting.append((future, 0))

    def wait(self, count: int, pixels: int = WAITING_PIXELS) -> None:
        """Report what is written; return when at most `count` and `pixels` are left."""
        while self._waiting and (
            self._waiting[0][0].done()
            or len(self._waiting) > count
            or sum(size for _, size in self._waiting) > pixels
        ):
            self._report(self._waiting.popleft()[0].result())


def _write(job: Job, result: image.Picture, saving: image.Output, seconds: float) -> Outcome:
    started = time.monotonic()
    try:
        with store_of(job.output).writing(job.output) as path:
            dropped = dict.fromkeys((*result.dropped, *image.write(result, path, saving)))
    except Exception as error:
        return _failure(job, error)
    seconds += time.monotonic() - started
    return Outcome(job, result.size, seconds, str(result), dropped=tuple(dropped))


def _failure(job: Job, error: Exception) -> Outcome:
    """The outcome of a job that failed.

    It holds the error as text: an exception would keep the pictures of its frames alive.
    """
    trace = "".join(traceback.format_exception(error))
    return Outcome(job, None, 0, "", sentence(job, error), trace)


def sentence(job: Job, error: Exception) -> str:
    """What went wrong with a job, with the name of a file."""
    text = str(error)
    if isinstance(error, MemoryError):
        text = "the memory does not suffice: ask for a smaller size, or for less by --memory"
    if text.startswith("cannot "):
        return text
    expected = isinstance(error, OSError | ValueError | RuntimeError | MemoryError) and text
    text = text if expected else f"{type(error).__name__} {text}".strip()
    return f"cannot enlarge {job.source}: {text}"
