"""Finds out where a run could not write, before it begins."""

import unicodedata
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from ccsr import image
from ccsr.jobs.places import Place
from ccsr.jobs.stores import store_of

LISTED = 20  # problems that one message tells


class Job(NamedTuple):
    """One picture to enlarge."""

    source: Place
    output: Place


def check(jobs: Collection[Job], saving: image.Output = image.DEFAULT) -> None:
    """Refuse outputs that cannot be written, or that would overwrite an input or each other.

    Args:
        jobs: what is going to be done.
        saving: how the outputs are written.

    Raises:
        ValueError: tells all problems: a suffix or quality that no format has, a name or path
            that is too long, a folder where nothing can be written, two jobs with one output
            (also where only the case differs), or an output that is an input or a folder.
    """
    folders = {
        folder: store_of(folder).folder_problem(folder)
        for folder in {job.output.parent for job in jobs}
    }
    found = [problem for problem in folders.values() if problem]
    for job in jobs:
        problem = None if folders[job.output.parent] else _name_problem(job.output, saving)
        found += [problem] if problem else []
    found += _collisions(jobs)
    if len(found) == 1:
        raise ValueError(found[0])
    if found:
        more = [f"and {len(found) - LISTED} more"] if len(found) > LISTED else []
        lines = "\n  ".join(found[:LISTED] + more)
        raise ValueError(f"nothing was done, since {len(found)} outputs are refused:\n  {lines}")


def header(source: Place) -> image.Header:
    """Read what is known of a picture before it is decoded.

    Raises:
        OSError: if it cannot be read.
    """
    with store_of(source).reading(source) as path, image.steady_warnings():
        return image.probe(path)


def _name_problem(output: Place, saving: image.Output) -> str | None:
    try:
        image.check_output(output, saving)
    except ValueError as error:
        return str(error)
    return store_of(output).name_problem(output)


def _collisions(jobs: Collection[Job]) -> Iterator[str]:
    inputs = {store_of(job.source).identity(job.source) for job in jobs}
    name = _names(jobs)
    hashes: set[int] = set()
    twice: set[int] = set()  # hashes, since a million names would take a lot of room
    for job in jobs:
        number = hash(name(job))
        (twice if number in hashes else hashes).add(number)
    seen: dict[str, Place] = {}
    for job in jobs:
        if store_of(job.output).identity(job.output) in inputs:
            yield f"{job.output} is an input and would be overwritten: choose another output by -o"
            continue
        if not twice or hash(text := name(job)) not in twice:
            continue
        if text in seen:
            yield (
                f"{seen[text]} and {job.source} would both be written to {job.output}: "
                "rename one or enlarge them apart"
            )
        seen.setdefault(text, job.source)


def _names(jobs: Collection[Job]) -> Callable[[Job], str]:
    """What tells the output of a job, equal for those that some system takes for one."""
    folders = {
        folder: str(folder.resolve() if isinstance(folder, Path) else folder)
        for folder in {job.output.parent for job in jobs}
    }

    def name(job: Job) -> str:
        text = f"{folders[job.output.parent]}/{job.output.name}"
        return unicodedata.normalize("NFC", text).casefold()

    return name
