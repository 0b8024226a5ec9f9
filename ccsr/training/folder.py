"""A run's folder: what it holds to resume from, and that a run touches nothing of others in it."""

from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch

from ccsr.atomic import locked
from ccsr.training.checkpoints import BEST, CONFIG, FINAL, LAST
from ccsr.training.loggers import LOG, TABLES

_WRITTEN = (CONFIG, LAST, BEST, FINAL, *(f"{name}.csv" for name in TABLES))


class Past(NamedTuple):
    """What has been trained already.

    Attributes:
        step: how many steps.
        batches: that made each of them, of all processes together; None if that is not known.
    """

    step: int = 0
    batches: int | None = None


def past_of(last: Path) -> Past:
    """What a training checkpoint tells; nothing if there is no such file.

    Raises:
        ValueError: if the file is damaged.
    """
    if not last.exists():
        return Past()
    try:
        saved = torch.load(last, map_location="cpu", weights_only=True, mmap=True)
        past = Past(int(saved["global_step"]), _batches(saved))
        if past.step < 0 or not (saved["optimizer_states"] and saved["state_dict"]):
            raise ValueError("it lacks what a training goes on from")
        return past
    except PermissionError:
        raise
    except (
        RuntimeError, UnpicklingError, LookupError, EOFError, OSError, TypeError, ValueError,
    ) as error:  # fmt: skip
        raise ValueError(
            f"{last} is damaged and cannot be resumed from: remove it to begin again, or start a "
            f"new run from {last.parent / BEST} with init=... ({error})"
        ) from error


def _batches(saved: dict[str, Any]) -> int | None:
    if "batches" in saved:
        return int(saved["batches"]["processes"] * saved["batches"]["accumulated"])
    return None


def accumulated(batches: int, processes: int) -> int:
    """Batches that each process adds up for a step, so that a step has `batches` as before.

    Raises:
        ValueError: if the processes cannot share them evenly.
    """
    if batches % processes:
        raise ValueError(
            f"a step of this run is made of {batches} batches, which {processes} processes cannot "
            "share evenly, so it would go on with others: give it a number of processes that "
            f"divides {batches}, or start a new run from its weights (init=FOLDER/{BEST})"
        )
    return batches // processes


def check_free(folder: Path) -> None:
    """See that a new run would overwrite nothing in its folder, a run's or anybody's.

    Raises:
        ValueError: if it would.
    """
    found = [name for name in _WRITTEN if (folder / name).exists()]
    if LAST in found or (CONFIG in found and (folder / LOG).exists()):
        raise ValueError(f"{folder} already holds a run: choose another, or resume={folder}")
    if found:
        raise ValueError(
            f"{folder} holds {', '.join(found)} already, which a run there would overwrite: choose "
            "another folder (hydra.run.dir=FOLDER)"
        )


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's folder against other processes that would write the same files.

    Raises:
        ValueError: if one trains in it already.
    """
    with locked(folder, wait=False) as alone:
        if not alone:
            raise ValueError(
                f"another process trains in {folder}: wait until it has ended, or choose another "
                "folder (hydra.run.dir=FOLDER)"
            )
        yield


def existing(folder: Path) -> set[Path]:
    """Which of a folder and those above it exist."""
    return {place for place in (folder.absolute(), *folder.absolute().parents) if place.exists()}


def remove_empty(folder: Path, before: Set[Path]) -> None:
    """Remove a folder in which nothing is, and those above it, but for what was there `before`."""
    for place in (folder.absolute(), *folder.absolute().parents):
        if place in before:
            return
        try:
            place.rmdir()
        except OSError:  # something is in it
            return
