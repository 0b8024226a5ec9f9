"""A run's folder: what it holds to resume from, and that a refused run leaves nothing of it."""

from collections.abc import Set
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch

from ccsr.training.checkpoints import BEST


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
        return Past(int(saved["global_step"]), _batches(saved))
    except PermissionError:
        raise
    except (RuntimeError, UnpicklingError, LookupError, EOFError, OSError, TypeError) as error:
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
