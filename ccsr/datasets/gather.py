"""Fetching many files at once and making something of each."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from ccsr.atomic import locked, naming, sweep
from ccsr.datasets.answers import UnavailableError
from ccsr.datasets.remote import RemoteFile, Source, StoppedError

ROOM = ".ccsr-download"  # in the folder that is built: what has come so far
_PATIENCE = 3.0  # seconds that what is given up has to end; a server may hold it for a minute


@dataclass(frozen=True)
class Task:
    """A file, and what is made of it.

    Attributes:
        file: to be fetched.
        make: called with a verified copy, which is removed afterwards. Raises `ValueError` with
            a sentence if the content is not what the list says.
        made: bytes of what is made, as far as they are needed beside the copy's.
        folders: where what is made lies; what a process that was killed left there is removed.
    """

    file: RemoteFile
    make: Callable[[Path], None]
    made: int = 0
    folders: tuple[Path, ...] = ()


def within(folder: Path, name: str) -> Path:
    """The path `name` of a list in `folder`.

    Raises:
        ValueError: if it lies elsewhere.
    """
    place = Path(name)
    if not place.parts or place.is_absolute() or ".." in place.parts or "\0" in name:
        raise ValueError(f"expected lists of names within the folder that is built, got {name!r}")
    return folder / place


def room_needed(tasks: Sequence[Task], folder: Path, mirrored: bool = False) -> int:
    """Bytes on the disk that the tasks still need, less what has come already.

    Args:
        tasks: that are to be done.
        folder: that is built.
        mirrored: whether a folder is the source, whose archives are read where they lie.
    """
    needed = 0
    for task in tasks:
        needed += task.made
        if mirrored and not task.file.repo:
            continue
        part = folder / ROOM / task.file.sha256
        have = part.stat().st_size if part.is_file() else 0
        needed += max(0, task.file.size - have)
    return needed


def gather(
    tasks: Sequence[Task],
    source: Source,
    folder: Path,
    jobs: int,
    done: Callable[[Task], None],
    stop: threading.Event,
    failed: Callable[[str], None] = lambda reason: None,
) -> list[str]:
    """Do all tasks, `jobs` at a time.

    Args:
        tasks: in any order.
        source: to fetch from.
        folder: that is built; what is on its way lies in it too, and is gone on with next time.
        jobs: number of files on their way at once.
        done: called with each task that ended, done or failed.
        stop: set here when the work is given up; the source watches it.
        failed: called with a sentence for each file that could not be had, as soon as that is so.

    Returns:
        These sentences, in the order of the tasks.

    Raises:
        OSError: if something cannot be written, or another process is building the folder; nothing
            more is begun then.
    """
    room = folder / ROOM
    with naming(folder):
        room.mkdir(parents=True, exist_ok=True)
    failures: dict[int, str] = {}
    waiting = iter(enumerate(tasks))
    mutex = threading.Lock()
    alike = {task.file.sha256: threading.Lock() for task in tasks}  # a list may repeat a content

    def work() -> None:
        while not stop.is_set():
            with mutex:
                number, task = next(waiting, (0, None))
            if task is None:
                return
            try:
                with alike[task.file.sha256]:  # of which there is one copy
                    _do(task, source, room)
            except (UnavailableError, ValueError) as error:
                failures[number] = str(error)
                failed(failures[number])
            done(task)

    with locked(folder, wait=False) as alone:
        if not alone:
            raise OSError(f"another process is building {folder}: wait until it has ended")
        for place in {each for task in tasks for each in task.folders}:
            sweep(place, abandoned=0)  # nobody else is at work here
        try:
            _in_threads(work, min(jobs, len(tasks)), stop)
        finally:
            with suppress(OSError):  # what is in it belongs to files that are still to be had
                room.rmdir()
    return [failures[number] for number in sorted(failures)]


def _in_threads(work: Callable[[], None], count: int, stop: threading.Event) -> None:
    """Run `work` in `count` threads, until all end, one raises, or Ctrl-C.

    None of them keeps the process alive: a server that says nothing is not waited for.
    """
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def run() -> None:
        try:
            work()
        except StoppedError:
            ended.put(None)
        except BaseException as error:  # whoever waits is told
            ended.put(error)
        else:
            ended.put(None)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            if error := ended.get():
                raise error
    except BaseException:
        stop.set()
        raise
    finally:
        until = time.monotonic() + _PATIENCE
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))


def _do(task: Task, source: Source, room: Path) -> None:
    """Do one task; where what it makes finds no room, the copy stays for the next time."""
    copy = source.fetch(task.file, room)
    try:
        task.make(copy)
    except ValueError:
        copy.unlink()
        raise
    copy.unlink()
