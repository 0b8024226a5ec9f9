"""Many pictures, one after the other: decoding, enlarging and encoding overlap."""

import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from ccsr import image
from ccsr.device import NoRoomError
from ccsr.grid import Size
from ccsr.image.profiles import hdr_outside
from ccsr.jobs import large_tiff
from ccsr.jobs.ahead import Ahead, Fetched, fetch
from ccsr.jobs.checks import Job
from ccsr.jobs.places import Place
from ccsr.jobs.stores import store_of
from ccsr.jobs.target import Target
from ccsr.upscaling.pixels import COPIES, check_result
from ccsr.upscaling.upscaler import Upscaler

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
        dropped: what the input held and the output does not, by names for a person.
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


def run(
    jobs: Sequence[Job],
    target: Target,
    upscaler: Upscaler,
    report: Callable[[Outcome], None],
    saving: image.Output = image.DEFAULT,
    progress: Callable[[Place, float], None] = lambda source, share: None,
) -> None:
    """Do all jobs; one that fails does not touch the others.

    The memory does not depend on their number: at most `ahead.AHEAD` inputs, and `WAITING` results
    of `WAITING_PIXELS`, are held besides the picture in hand.

    Args:
        jobs: those of a plan (`ccsr.jobs.plan.make_plan`).
        target: the size of the outputs.
        upscaler: does the work, in this thread.
        report: gets each outcome, in the order of the jobs.
        saving: how the outputs are written.
        progress: gets the source that is being enlarged, and the share that is done: 0 to 1.

    Raises:
        OSError: if nothing can be written where results go.
        KeyboardInterrupt: on Ctrl-C, after what was being written is whole and reported.
    """
    prepare(jobs)
    work(jobs, target, upscaler, report, saving, progress)


def prepare(jobs: Sequence[Job]) -> None:
    """Make ready to write results, before any work.

    Raises:
        OSError: if nothing can be written where results go.
    """
    for folder in {job.output.parent for job in jobs}:
        store_of(folder).prepare(folder)


def work(
    jobs: Sequence[Job],
    target: Target,
    upscaler: Upscaler,
    report: Callable[[Outcome], None],
    saving: image.Output = image.DEFAULT,
    progress: Callable[[Place, float], None] = lambda source, share: None,
) -> None:
    """Do all jobs as `run` does, where everything is prepared."""
    decode = partial(_read, target, saving)
    with (
        image.steady_warnings(),
        _deferred_interrupt() as interrupted,
        ThreadPoolExecutor(WRITERS, "ccsr-write") as writers,
        Ahead(jobs, decode) as ahead,
    ):
        writing = _Writing(writers, report, saving)

        def watch(job: Job, share: float) -> None:
            if interrupted.is_set():
                raise KeyboardInterrupt
            progress(job.source, share)

        try:
            for job, future in ahead:
                watch(job, 0)
                _do(job, future, target, upscaler, writing, watch)
                writing.wait(WAITING)
        finally:
            writing.wait(0)


class _Writing:
    """Results on their way to the disk, in the order of the jobs."""

    def __init__(
        self,
        writers: ThreadPoolExecutor,
        report: Callable[[Outcome], None],
        saving: image.Output,
    ) -> None:
        self.saving = saving
        self._writers = writers
        self._report = report
        self._waiting: deque[tuple[Future[Outcome], int]] = deque()  # with their pixels

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


def preview(
    job: Job, target: Target, saving: image.Output = image.DEFAULT, path: Path | None = None
) -> Size:
    """(H, W) of the output, after the checks that need no more than the header of the source.

    Args:
        job: what is to be done.
        target: the size of the output.
        saving: how it is written.
        path: a file with the source's bytes, if there is one already.

    Raises:
        OSError: if the source cannot be read.
        ValueError: if the output cannot be written.
        NoRoomError: if decoding or enlarging it is likely to take more memory than is free.
    """
    if path is None:
        with store_of(job.source).reading(job.source) as path:
            return preview(job, target, saving, path)
    with image.steady_warnings():
        known = image.probe(path)
    try:
        known.demand.check(known.size, known.frames)
    except NoRoomError as error:
        raise NoRoomError(f"cannot read {job.source}: {error}") from error
    size = target.size(known.size)
    # stands for the picture: takes no memory
    blanks = (np.broadcast_to(np.uint8(0), (*known.size, 1)),) * known.frames
    blank = image.Picture(blanks, durations=(1.0,) * known.frames if known.animated else ())
    image.check(job.output, blank, size, saving)
    if not large_tiff.possible(blank, job.output):
        pixels = sum(height * width for height, width in blank.sizes(size))
        needed = pixels * known.demand.pixel_bytes * COPIES
        check_result(known.demand.held + needed, size, known.frames)
    return size


def _read(
    target: Target, saving: image.Output, job: Job, file: Fetched
) -> tuple[image.Picture, float]:
    """Decode what has passed the checks that need its header only; and the seconds it took."""
    started = time.monotonic()
    with file.close:
        preview(job, target, saving, file.path)
        picture = image.read(file.path)
    return picture, file.seconds + time.monotonic() - started


def _do(
    job: Job,
    future: Future[tuple[image.Picture, float]],
    target: Target,
    upscaler: Upscaler,
    writing: _Writing,
    watch: Callable[[Job, float], None],
) -> None:
    """Enlarge what `future` gives, and hand the result to `writing`."""
    try:
        try:
            source, seconds = future.result()
        except NoRoomError:
            writing.wait(0)  # and gives free the room of what waited
            source, seconds = _read(target, writing.saving, job, fetch(job))
        started = time.monotonic()
        size = target.size(source.size)
        image.check(job.output, source, size, writing.saving)
        wanted: dict[str, Any] = {
            "scale": target.scale,
            "size": None if target.scale else size,
            "progress": lambda share: watch(job, share),
        }
        result: image.Picture | None = None
        notes = source.notes
        if large_tiff.worthwhile(upscaler, source, size, job.output):
            suited, why = upscaler.suited(source.frames[0], source.coding)
            notes = (*notes, why) if why else notes
            _stream(job, source, size, suited, writing.saving, wanted)
        else:
            with suppress(NoRoomError):
                result = upscaler(source, **wanted)
            if result is None:
                writing.wait(0)  # and gives free the room of what waited
                result = upscaler(source, **wanted)
    except Exception as error:
        writing.fail(job, error)
        return
    seconds += time.monotonic() - started
    if result is None:
        summary = ", ".join((f"{size[1]}x{size[0]}", "in strips", *notes))
        dropped = (*source.dropped, *hdr_outside(source.metadata.code))
        writing.report(Outcome(job, size, seconds, summary, dropped=dropped))
    else:
        writing.add(job, result, seconds)


def _stream(
    job: Job,
    source: image.Picture,
    size: Size,
    upscaler: Upscaler,
    saving: image.Output,
    wanted: Mapping[str, Any],
) -> None:
    values = source.frames[0]
    metadata = saving.describing(source.metadata, size).fitting(values.shape[2])
    with store_of(job.output).writing(job.output) as path:
        large_tiff.enlarge(upscaler, values, path, metadata=metadata, **wanted)


def _write(job: Job, result: image.Picture, saving: image.Output, seconds: float) -> Outcome:
    started = time.monotonic()
    try:
        with store_of(job.output).writing(job.output) as path:
            dropped = (*result.dropped, *image.write(result, path, saving))
    except Exception as error:
        return _failure(job, error)
    seconds += time.monotonic() - started
    return Outcome(job, result.size, seconds, str(result), dropped=dropped)


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


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Ctrl-C sets the event, to be looked at where stopping is safe; a second one interrupts."""
    event = threading.Event()
    usual = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or usual is not signal.default_int_handler:
        yield event
        return

    def note(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, usual)
        event.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, usual)
