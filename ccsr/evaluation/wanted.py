"""The words after `--model`: which files they mean, and what these are called in tables."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ccsr.evaluation import runs
from ccsr.model.checkpoint import SUFFIX, called

LIIF = "liif:"  # before the file of its authors
_NETWORK = re.compile(  # NAME, NAME+flips, NAME@4+lanczos, NAME+flips@4+lanczos
    r"(?P<name>.*?)"
    r"(?P<ending>(\+(?P<ensemble>[^\W\d][\w:,]*))?(@(?P<factor>\d+(\.\d+)?)\+lanczos)?)",
    re.DOTALL,
)


class Wanted(NamedTuple):
    """One model of those that were asked for.

    Attributes:
        text: the file or name, with `+flips` and the like.
        name: in tables.
        kind: the common name of several runs that it is one of; None if it stands alone.
    """

    text: str
    name: str
    kind: str | None


def wanted(texts: Sequence[str], warn: Callable[[str], None]) -> list[Wanted]:
    """What each text asks for, one model or the jobs of a sweep, under names that differ.

    Several of one label are runs of one kind.

    Raises:
        ValueError: for two that would have one name, or one column of the table.
    """
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        raise ValueError(f"models must differ, got {', '.join(twice)} twice: leave one out")
    labelled = [_labelled(text) for text in texts]
    labels = [label for label, _ in labelled]
    shorts = _short([text for _, text in labelled])
    found: list[Wanted] = []
    for number, ((label, text), short) in enumerate(zip(labelled, shorts, strict=True)):
        model, ending = _split(text)
        if runs.is_sweep(Path(model)):
            jobs = runs.jobs(Path(model), label or short, warn)
            found += [Wanted(f"{job.folder}{ending}", job.name, job.kind) for job in jobs]
        elif label and labels.count(label) > 1:
            found.append(Wanted(text, f"{label}/{labels[: number + 1].count(label)}", label))
        else:
            found.append(Wanted(text, label or short, None))
    names, columns = [each.name for each in found], [each.kind or each.name for each in found]
    for each, column in zip(found, columns, strict=True):
        if names.count(each.name) > 1 or (each.kind is None and columns.count(column) > 1):
            raise ValueError(
                f"two models are called {column!r}: give one of them another name, NAME=FILE"
            )
    return found


def parts(text: str) -> tuple[str, str, float | None]:
    """The model, its ensemble (or an empty text), and the factor before Lanczos (or None)."""
    model, ending = _split(text)
    match = _NETWORK.fullmatch(ending)
    assert match  # an ending alone is one too
    return model, match["ensemble"] or "", float(match["factor"]) if match["factor"] else None


def _labelled(text: str) -> tuple[str | None, str]:
    """The label and the rest of `LABEL=FILE`; None and all of it where there is no label."""
    label, equals, rest = text.partition("=")
    if not equals or Path(text).exists() or re.search(r"[/\\]", label) or label.startswith(LIIF):
        return None, text
    if not label or not rest:
        raise ValueError(f"expected NAME=FILE, got {text!r}")
    return label, os.path.expanduser(rest)  # noqa: PTH111 - the shell did not, and Path's raises


def _split(text: str) -> tuple[str, str]:
    """The model, and `+flips@4+lanczos` after it."""
    match = _NETWORK.fullmatch(text)
    assert match  # any text is a NAME
    return (text, "") if Path(text).exists() else (match["name"], match["ending"])


def _short(names: Sequence[str]) -> list[str]:
    """Stems of files, but whole names where stems would be the same."""
    short = [called(name).replace(SUFFIX, "") for name in names]  # before an ending
    return [a if short.count(a) == 1 else b for a, b in zip(short, names, strict=True)]
