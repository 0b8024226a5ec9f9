"""Finds out where a run could not write, before it begins."""

import os
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from ccsr import image

LISTED = 20  # problems that one message tells
_LIMITS = {"PC_NAME_MAX": 255, "PC_PATH_MAX": 4096}  # bytes, where the system does not say


class Job(NamedTuple):
    """One picture to enlarge."""

    source: Path
    output: Path


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
    folders = {folder: _folder_problem(folder) for folder in {job.output.parent for job in jobs}}
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


def header(source: Path) -> image.Header:
    """Read what is known of a picture before it is decoded.

    Raises:
        OSError: if it cannot be read.
    """
    check_regular(source)
    with image.steady_warnings():
        return image.probe(source)


def check_regular(source: Path) -> None:
    """Refuse what a program that opens it might wait for without end.

    Raises:
        OSError: for a pipe, a device and the like.
    """
    if source.exists() and not source.is_file():
        raise OSError(f"cannot read {source}: it is no file but a pipe, a device or the like")


def identity(path: Path) -> tuple[int, int] | Path:
    """A value that is equal for all paths to the same file."""
    try:
        status = path.stat()
    except OSError:
        return path.absolute()
    return status.st_dev, status.st_ino


def _folder_problem(folder: Path) -> str | None:
    """Why no file can be made in `folder`, which may have to be made itself."""
    existing = _existing(folder)
    if not existing.is_dir():
        return f"cannot write into {folder}: {existing} is no folder, choose another one by -o"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"cannot write into {existing}: it is read-only, choose another folder by -o"
    return None


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))


def _name_problem(output: Path, saving: image.Output) -> str | None:
    try:
        image.check_output(output, saving)
    except ValueError as error:
        return str(error)
    length, longest = len(os.fsencode(output.name)), _limit(output.parent, "PC_NAME_MAX")
    if length > longest:
        return (
            f"cannot write {output}: its name has {length} bytes, at most {longest} are "
            "possible: rename the picture"
        )
    length, longest = len(os.fsencode(output.absolute())), _limit(output.parent, "PC_PATH_MAX")
    if length >= longest:
        return (
            f"cannot write {output}: its path has {length} bytes, fewer than {longest} are "
            "possible: choose another folder by -o"
        )
    if output.is_dir():
        return f"cannot write {output}: a folder has that name, rename it or choose another by -o"
    return None


def _limit(folder: Path, name: str) -> int:
    try:
        return os.pathconf(_existing(folder), name)
    except (OSError, ValueError, AttributeError):  # AttributeError: Windows has no pathconf
        return _LIMITS[name]


def _collisions(jobs: Collection[Job]) -> Iterator[str]:
    inputs = {identity(job.source) for job in jobs}
    folders = {folder: folder.resolve() for folder in {job.output.parent for job in jobs}}
    seen: dict[str, Path] = {}
    for job in jobs:
        if identity(job.output) in inputs:
            yield f"{job.output} is an input and would be overwritten: choose another output by -o"
            continue
        folder = folders[job.output.parent]
        name = unicodedata.normalize("NFC", str(folder / job.output.name)).casefold()
        if name in seen:
            yield (
                f"{seen[name]} and {job.source} would both be written to {job.output}: "
                "rename one or enlarge them apart"
            )
        seen.setdefault(name, job.source)
