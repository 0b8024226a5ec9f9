"""What `ccsr evaluate` leaves: the files of its folder, and the tables that it prints."""

import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ccsr import terminal
from ccsr.choices import Table
from ccsr.evaluation import differences, markup, plots
from ccsr.evaluation.differences import Difference
from ccsr.evaluation.measure import Comparison, Findings, crops
from ccsr.evaluation.results import Mean, environment, means, over_runs, write_csv, write_json
from ccsr.evaluation.table import counted, grid_text, infinite, table
from ccsr.evaluation.testsets import TestSet
from ccsr.grid import Pair


@dataclass(frozen=True)
class Outcome:
    """What was compared and what was found.

    Attributes:
        testsets: whose images were measured.
        comparisons: one for each protocol.
        kinds: see `results.over_runs`.
        findings: of all protocols.
        rows: their means, with several runs of one kind as one.
        compared: (model, the other) -> differences.
    """

    testsets: Sequence[TestSet]
    comparisons: Sequence[Comparison]
    kinds: Mapping[str, str]
    findings: Findings
    rows: Sequence[Mean]
    compared: Mapping[tuple[str, str], Sequence[Difference]]


def outcome(
    testsets: Sequence[TestSet],
    comparisons: Sequence[Comparison],
    kinds: Mapping[str, str],
    findings: Findings,
    pairs: Sequence[tuple[str, str]],
) -> Outcome:
    """What was found, with means and the differences between `pairs` of models."""
    rows = over_runs(means(findings.records), kinds)
    compared = {
        (one, other): differences.differences(findings.records, one, other, kinds)
        for one, other in pairs
    }
    return Outcome(testsets, comparisons, kinds, findings, rows, compared)


def document(found: Outcome, command: Sequence[str], facts: Mapping[str, str]) -> dict[str, object]:
    """All that was found and how, for programs.

    Args:
        found: what it tells.
        command: the words of the command.
        facts: further ones.
    """
    first = found.comparisons[0]
    records, degrade = found.findings.records, first.degrade
    return {
        "protocols": [
            {"name": each.protocol.name, "definition": each.protocol.definition}
            for each in found.comparisons
        ],
        "lr": first.lr and str(first.lr),
        "degrade": degrade and {"chain": degrade.text, "definition": degrade.definition},
        "command": shlex.join(["ccsr", "evaluate", *command]),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
        "environment": environment(),
        "models": [
            {
                "name": m.name,
                "kind": m.kind,
                "checkpoint": m.checkpoint and str(m.checkpoint),
                "sha256": m.sha256,
            }
            for m in first.methods
        ],
        "results": [{"name": each.name, "folder": str(each.folder)} for each in first.pictures],
        "means": [row.row() for row in found.rows],
        "runs": [row.row() for row in means(records) if row.model in found.kinds],
        "differences": [
            {"model": one, "less": other, **each.row()}
            for (one, other), several in found.compared.items()
            for each in several
        ],
        "images": [record.row() for record in records],
        "left_out": [asdict(image) for image in found.findings.left_out],
    }


def write(found: Outcome, folder: Path, document: Mapping[str, object]) -> None:
    """Write all files; `document` is that of :func:`document`.

    Raises:
        OSError: if one cannot be written.
    """
    write_csv(folder / "results.csv", found.rows)
    write_json(folder / "results.json", document)
    if plots.available():
        plots.draw_curve(folder / "curve.png", found.rows)
        _draw_crops(found, folder / "crops.png")


def _draw_crops(found: Outcome, path: Path) -> None:
    """Draw crops of the first protocol; of several runs of a kind the first."""
    comparison = found.comparisons[0]
    firsts = {method.kind or method.name: method for method in reversed(comparison.methods)}
    shown = replace(comparison, methods=[m for m in comparison.methods if m in firsts.values()])
    if len(shown.contenders) < 2:
        return
    scale = _crop_scale(comparison.scales)
    testsets = {testset.name: testset for testset in found.testsets}
    chosen = crops(shown, found.findings.records, scale, testsets)
    if chosen:
        plots.draw_crops(path, chosen, scale)


def _crop_scale(scales: Sequence[Pair]) -> Pair:
    """The scale to look at: the one nearest to 4 in area."""
    return min(scales, key=lambda scale: abs(scale[0] * scale[1] - 16))


def tell(found: Outcome, style: Table) -> None:
    """Print the tables of each protocol.

    Raises:
        OSError: if standard output cannot be written.
    """
    for number, comparison in enumerate(found.comparisons):
        if number:
            terminal.tell("")
        _tell_protocol(found, comparison, style)


def _tell_protocol(found: Outcome, comparison: Comparison, style: Table) -> None:
    name = comparison.protocol.name
    rows = [row for row in found.rows if row.protocol == name]
    if not rows:
        terminal.say(f"ccsr: protocol {name}: no image could be evaluated")
        return
    definition = f"Protocol {name}. {comparison.protocol.definition}."
    if comparison.lr:
        place = terminal.shown(str(comparison.lr))
        definition += f" The LR images were not made so, but are those in {place}."
    if comparison.degrade:
        definition += f" {comparison.degrade.definition}."
    grids = [
        grid
        for (one, other), several in found.compared.items()
        for grid in differences.grids([d for d in several if d.protocol == name], one, other)
    ]
    left_out = sum(image.protocol == name for image in found.findings.left_out)
    records = [record for record in found.findings.records if record.protocol == name]
    exact = [f"{line}." for line in infinite(records)]
    note = f"{counted(left_out, 'image')} left out of every mean, see above."
    if style != "text":
        form = markup.latex if style == "latex" else markup.markdown
        terminal.tell(form(rows, definition, grids))
        for line in [*exact, *([note] if left_out else [])]:
            terminal.say(f"ccsr: protocol {name}: {line}")
        return
    lines = textwrap.TextWrapper(96, break_on_hyphens=False, break_long_words=False)  # keeps paths
    terminal.tell(lines.fill(definition) + "\n")
    terminal.tell(table(rows, bold=sys.stdout.isatty()), styled=True)
    for grid in grids:
        terminal.tell("\n" + grid_text(grid))
    for line in exact:
        terminal.tell(f"\n{line}")
    if left_out:
        terminal.tell(f"\n{note}")
