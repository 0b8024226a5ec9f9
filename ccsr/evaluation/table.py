"""The results as a table for people: plain text, aligned, the best of each row marked."""

import math
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar

from ccsr.evaluation.methods import BICUBIC
from ccsr.evaluation.results import Mean, Record, Scores
from ccsr.grid import Pair
from ccsr.terminal import shown

T = TypeVar("T")
BOLD, RESET = "\033[1m", "\033[0m"


@dataclass(frozen=True)
class Metric:
    """One score in the table: how to read, print and rank it.

    Attributes:
        title: heading of its block.
        read: the score; None if it was not measured.
        digits: after the decimal point.
        best: picks the best of several.
        difference: whether the difference to bicubic stands beside it.
    """

    title: str
    read: Callable[[Scores], float | None]
    digits: int
    best: Callable[[Iterable[float]], float] = max
    difference: bool = False


METRICS = (
    Metric("PSNR in dB and its difference to bicubic", lambda s: s.psnr, 2, difference=True),
    Metric("SSIM", lambda s: s.ssim, 4),
    Metric(
        "Consistency in dB (the result reduced again, against the input)",
        lambda s: s.consistency,
        2,
    ),
    Metric("LPIPS (smaller is better)", lambda s: s.lpips, 4, best=min),
)


def spell(scale: Pair) -> str:
    """A scale (vertical, horizontal) in words that cannot be read the wrong way round."""
    vertical, horizontal = scale
    if vertical == horizontal:
        return f"{vertical:g}"
    return f"{horizontal:g} wide x {vertical:g} high"


def table(rows: Sequence[Mean], bold: bool) -> str:
    """All means as text: per test set and metric one line a scale and one column a model.

    Args:
        rows: see `results.means`.
        bold: mark the best of a line by ANSI bold (for a terminal), else by an asterisk.
    """
    blocks = []
    for testset in unique(row.testset for row in rows):
        here = [row for row in rows if row.testset == testset]
        blocks.append(
            f"{shown(testset)}: {here[0].images} image{'s' if here[0].images > 1 else ''}"
        )
        known = [one for one in METRICS if all(one.read(r.scores) is not None for r in here)]
        blocks += [_block(here, metric, bold) for metric in known]
    return "\n\n".join(blocks) + ("" if bold else "\n\n* best of its line")


def infinite(records: Sequence[Record]) -> list[str]:
    """A line for each image and scale that makes a mean infinite: something is restored exactly."""
    found: dict[tuple[str, str, Pair, str], list[str]] = {}
    for record in records:
        for name in ("psnr", "consistency"):
            if math.isinf(getattr(record.scores, name)):
                key = record.testset, record.image, record.scale, name
                found.setdefault(key, []).append(record.model)
    titles = {"psnr": "PSNR", "consistency": "consistency"}
    return [
        f"{testset} {image} at {spell(scale)}: exact by {', '.join(models)}, so its "
        f"{titles[name]}, and the mean, is infinite"
        for (testset, image, scale, name), models in found.items()
    ]


def unique(items: Iterable[T]) -> list[T]:
    """Different items in order of appearance."""
    return list(dict.fromkeys(items))


def _block(rows: Sequence[Mean], metric: Metric, bold: bool) -> str:
    """One metric on one test set."""
    models = unique(row.model for row in rows)
    lines = [["scale", *(model if bold else model + " " for model in models)]]
    best: set[tuple[int, int]] = set()  # (line, column)
    for scale in unique(row.scale for row in rows):
        scores = {row.model: row.scores for row in rows if row.scale == scale}
        values = {model: metric.read(scores[model]) or 0.0 for model in models}
        top = metric.best(values.values())
        best |= {(len(lines), i) for i, model in enumerate(models, 1) if values[model] == top}
        base = values.get(BICUBIC) if metric.difference else None
        cells = []
        for model, value in values.items():
            mark = "" if bold else "*" if value == top else " "
            difference = "" if base is None or model == BICUBIC else _difference(value, base)
            cells.append(f"{value:.{metric.digits}f}{mark}{difference}")
        lines.append([spell(scale), *cells])
    return "\n".join([metric.title, *aligned(lines, best if bold else set())])


def aligned(
    lines: Sequence[Sequence[str]], bold: Set[tuple[int, int]] = frozenset()
) -> Iterable[str]:
    """First column to the left, others to the right; `bold` are (line, column)."""
    lines = [[*map(shown, line)] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        cells = [line[0].ljust(widths[0])]
        for column in range(1, len(line)):
            cell = line[column].rjust(widths[column])
            cells.append(f"{BOLD}{cell}{RESET}" if (number, column) in bold else cell)
        yield "   ".join(cells).rstrip()


def _difference(value: float, base: float) -> str:
    difference = value - base
    return f" {difference:+6.2f}" if math.isfinite(difference) else " " * 7
