"""Many pictures, one after the other: decoding, enlarging and encoding overlap."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from ccsr import image
from ccsr.device import NoRoomError
from ccsr.grid import Size, choose_grid
from ccsr.image.profiles import hdr_outside
from ccsr.jobs import large_tiff
from ccsr.jobs.ahead import Ahead, Fetched, fetch
from ccsr.jobs.checks import Job
from ccsr.jobs.places import Place
from ccsr.jobs.stores import store_of
from ccsr.jobs.target import Target
from ccsr.jobs.writing import WAITING, Outcome, Writing
from ccsr.upscaling.pixels import COPIES, check_result
from ccsr.upscaling.upscaler import Upscaler


def run(
    jobs: Sequence[Job],
    target: Target,
    upscaler: Upscaler,
    report: Callable[[Outcome], None],
    saving: image.Output = image.DEFAULT,
    progress: Callable[[Place, float], None] = lambda source, share: None,
    prepared: bool = False,
    read: Callable[[Path], image.Picture] | None = None,
) -> None:
    """Do all jobs; one that fails does not touch the others.

    The memory does not depend on their number: at most `ahead.AHEAD` inputs, and `WAITING` results
    of `WAITING_PIXELS` (see `ccsr.jobs.writing`), are held besides the picture in hand.

    Args:
        jobs: those of a plan (`ccsr.jobs.plan.make_plan`).
        target: the size of the outputs.
        upscaler: does the work, in this thread.
        report: gets each outcome, in the order of the jobs.
        saving: how the outputs are written.
        progress: gets the source that is being enlarged, and the share that is done: 0 to 1.
        prepared: whether `prepare` was called for all of them.
        read: decodes a file, in another thread; by default `ccsr.image.read`.

    Raises:
        OSError: if nothing can be written where results go.
        KeyboardInterrupt: on Ctrl-C, after what was being written is whole and reported.
    """
    if not prepared:
        prepare(jobs)
    decode = partial(_read, target, saving, read or image.read)
    with (
        image.steady_warnings(),
        _deferred_interrupt() as interrupted,
        Ahead(jobs, decode) as ahead,
        Writing(report, saving) as writing,
    ):

        def watch(job: Job, share: float) -> None:
            if interrupted.is_set():
                raise KeyboardInterrupt
            progress(job.source, share)

        for job, future in ahead:
            watch(job, 0)
            _do(job, future, decode, target, upscaler, writing, watch)
            writing.wait(WAITING)


def prepare(jobs: Sequence[Job]) -> None:
    """Make ready to write results, before any work.

    Raises:
        OSError: if nothing can be written where results go.
    """
    for folder in {job.output.parent for job in jobs}:
        store_of(folder).prepare(folder)


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
    target: Target,
    saving: image.Output,
    read: Callable[[Path], image.Picture],
    job: Job,
    file: Fetched,
) -> tuple[image.Picture, float]:
    """Decode what has passed the checks that need its header only; and the seconds it took."""
    started = time.monotonic()
    with file.close:
        preview(job, target, saving, file.path)
        picture = read(file.path)
    return picture, file.seconds + time.monotonic() - started


def _do(
    job: Job,
    future: Future[tuple[image.Picture, float]],
    decode: Callable[[Job, Fetched], tuple[image.Picture, float]],
    target: Target,
    upscaler: Upscaler,
    writing: Writing,
    watch: Callable[[Job, float], None],
) -> None:
    """Enlarge what `future` gives, and hand the result to `writing`."""
    try:
        try:
            source, seconds = future.result()
        except NoRoomError:
            writing.wait(0)  # and gives free the room of what waited
            source, seconds = decode(job, fetch(job))
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
            grid = choose_grid(source.size, wanted["scale"], wanted["size"])
            suited, why = upscaler.suited(source.frames[0], [grid], source.coding)
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
        dropped = dict.fromkeys((*source.dropped, *hdr_outside(source.metadata.code)))
        writing.report(Outcome(job, size, seconds, summary, dropped=tuple(dropped)))
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
