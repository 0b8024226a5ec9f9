"""The results as a table for people: plain text, aligned, the best of each row marked."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

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
        name: in files.
        title: what it is, and in which unit.
        read: the score; None if it was not measured.
        digits: after the decimal point.
        best: picks the best of several.
        difference: whether the difference to bicubic stands beside it.
    """

    name: str
    title: str
    read: Callable[[Scores], float | None]
    digits: int
    best: Callable[[Iterable[float]], float] = max
    difference: bool = False

    def told(self, value: float) -> str:
        """A value as text."""
        return f"{value:.{self.digits}f}"


METRICS = (
    Metric("psnr", "PSNR in dB", lambda s: s.psnr, 2, difference=True),
    Metric("ssim", "SSIM", lambda s: s.ssim, 4),
    Metric(
        "consistency",
        "Consistency in dB (the result reduced again, against the input)",
        lambda s: s.consistency,
        2,
    ),
    Metric("lpips", "LPIPS (smaller is better)", lambda s: s.lpips, 4, best=min),
)


def spell(scale: Pair) -> str:
    """A scale (vertical, horizontal) in words that cannot be read the wrong way round."""
    vertical, horizontal = scale
    if vertical == horizontal:
        return f"{vertical:.10g}"
    return f"{horizontal:.10g} wide x {vertical:.10g} high"


@dataclass(frozen=True)
class Cell:
    """One score of one model.

    Attributes:
        value: the score.
        deviation: the standard deviation over runs; None for one run.
        difference: to bicubic's; None where it is not told.
        best: whether none in the line is better, to the digits that are told.
    """

    value: float
    deviation: float | None
    difference: float | None
    best: bool


class Grid(NamedTuple):
    """A table of texts: its title, the names of its columns, and its lines."""

    title: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Block:
    """One metric on one test set: a line for each scale, a column for each model.

    Attributes:
        testset: its name.
        images: how many.
        metric: what the cells are.
        models: names of the columns; that of several runs says how many.
        lines: scale -> the cells, in the order of `models`.
    """

    testset: str
    images: int
    metric: Metric
    models: tuple[str, ...]
    lines: dict[Pair, tuple[Cell, ...]]


def blocks(rows: Sequence[Mean]) -> list[Block]:
    """What tables in all formats show: test set by test set the metrics that were measured.

    Args:
        rows: of one protocol, see `results.means`.
    """
    found = []
    for testset in unique(row.testset for row in rows):
        here = [row for row in rows if row.testset == testset]
        known = [one for one in METRICS if all(one.read(r.scores) is not None for r in here)]
        models = {r.model: r.model + (f" ({r.runs} runs)" if r.runs > 1 else "") for r in here}
        for metric in known:
            lines = {
                scale: _cells({r.model: r for r in here if r.scale == scale}, metric)
                for scale in unique(row.scale for row in here)
            }
            found.append(Block(testset, here[0].images, metric, tuple(models.values()), lines))
    return found


def _cells(rows: Mapping[str, Mean], metric: Metric) -> tuple[Cell, ...]:
    values = {model: metric.read(row.scores) or 0.0 for model, row in rows.items()}
    top = metric.best(values.values())
    base = values.get(BICUBIC) if metric.difference else None
    return tuple(
        Cell(
            value,
            metric.read(spread) if (spread := rows[model].deviations) else None,
            None if base is None or model == BICUBIC else value - base,
            metric.told(value) == metric.told(top),
        )
        for model, value in values.items()
    )


def table(rows: Sequence[Mean], bold: bool) -> str:
    """All means as text: per test set and metric one line a scale and one column a model.

    Args:
        rows: of one protocol, see `results.means`.
        bold: mark the best of a line by ANSI bold (for a terminal), else by an asterisk.
    """
    parts, testset = [], ""
    for block in blocks(rows):
        if block.testset != testset:
            testset = block.testset
            parts.append(f"{shown(testset)}: {counted(block.images, 'image')}")
        parts.append(_text(block, bold))
    return "\n\n".join(parts) + ("" if bold else "\n\n* best of its line")


def grid_text(grid: Grid) -> str:
    """A table of texts for a terminal."""
    return "\n".join([shown(grid.title), *aligned([grid.header, *grid.lines])])


def counted(number: int, thing: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


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


def _text(block: Block, bold: bool) -> str:
    """A block with its title, in columns."""
    lines = [["scale", *(model if bold else model + " " for model in block.models)]]
    best: set[tuple[int, int]] = set()  # (line, column)
    for scale, cells in block.lines.items():
        if bold:
            best |= {(len(lines), i) for i, cell in enumerate(cells, 1) if cell.best}
        lines.append([spell(scale)])
        for cell in cells:
            mark = "" if bold else "*" if cell.best else " "
            spread = "" if cell.deviation is None else f" ± {block.metric.told(cell.deviation)}"
            difference = "" if cell.difference is None else _difference(cell.difference)
            lines[-1].append(f"{block.metric.told(cell.value)}{spread}{mark}{difference}")
    title = block.metric.title
    title += " and its difference to bicubic" if block.metric.difference else ""
    return "\n".join([title, *aligned(lines, best)])


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


def _difference(difference: float) -> str:
    return f" {difference:+6.2f}" if math.isfinite(difference) else " " * 7
