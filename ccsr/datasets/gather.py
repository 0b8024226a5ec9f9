"""Fetching many files at once and making something of each."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from ccsr.datasets.remote import RemoteFile, Source, StoppedError, UnavailableError

ROOM = ".ccsr-download"  # in the folder that is built: what has come so far


@dataclass(frozen=True)
class Task:
    """A file, and what is made of it.

    Attributes:
        file: to be fetched.
        make: called with a verified copy, which is removed afterwards. Raises `ValueError` with
            a sentence if the content is not what the list says.
    """

    file: RemoteFile
    make: Callable[[Path], None]


def gather(
    tasks: Sequence[Task],
    source: Source,
    folder: Path,
    jobs: int,
    done: Callable[[Task], None],
    stop: threading.Event,
) -> list[str]:
    """Do all tasks, `jobs` at a time.

    Args:
        tasks: in any order.
        source: to fetch from.
        folder: that is built; what is on its way lies in it too, and is gone on with next time.
        jobs: number of files on their way at once.
        done: called with each task that ended, done or failed.
        stop: set here when the work is given up; the source watches it.

    Returns:
        A sentence for each file that could not be had, in the order of the tasks.

    Raises:
        OSError: if something cannot be written; nothing more is begun then.
    """
    room = folder / ROOM
    room.mkdir(parents=True, exist_ok=True)
    failures: dict[int, str] = {}

    def do(number: int, task: Task) -> None:
        if stop.is_set():
            return
        try:
            copy = source.fetch(task.file, room)
            try:
                task.make(copy)
            finally:
                copy.unlink()
        except (UnavailableError, ValueError) as error:
            failures[number] = str(error)
        except StoppedError:
            return
        done(task)

    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(do, number, task) for number, task in enumerate(tasks)]
        try:
            finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            if any(not future.done() or future.exception() for future in futures):
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
    for future in finished:
        future.result()
    if not failures:
        for left in room.iterdir():
            left.unlink()
        room.rmdir()
    return [failures[number] for number in sorted(failures)]
