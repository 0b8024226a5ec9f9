"""The table of results for a paper or a page: LaTeX (with booktabs) and Markdown, best in bold."""

import math
import re
from collections.abc import Sequence

from ccsr.evaluation.results import Mean
from ccsr.evaluation.table import Block, Cell, Grid, blocks, counted, spell
from ccsr.terminal import shown

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    **{char: f"\\{char}" for char in "&%$#_"},
}


_PACKAGES = r"% needs \usepackage{booktabs} and \usepackage[T1]{fontenc}"


def markdown(rows: Sequence[Mean], definition: str, more: Sequence[Grid]) -> str:
    """All means as tables of Markdown, one for each test set and metric.

    Args:
        rows: of one protocol, see `results.means`.
        definition: what stands above them: how was measured.
        more: further tables.
    """
    parts = [_escaped(definition)]
    for block in blocks(rows):
        lines = []
        for scale, cells in block.lines.items():
            numbers = [(_number(block, cell, "±", "∞"), cell.best) for cell in cells]
            lines.append([spell(scale), *(f"**{n}**" if best else n for n, best in numbers)])
        parts.append(_markdown_table(_title(block), ["scale", *block.models], lines))
    for grid in more:
        lines = [[*map(_escaped, line)] for line in grid.lines]
        parts.append(_markdown_table(grid.title, grid.header, lines))
    return "\n\n".join(parts)


def _markdown_table(title: str, header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table under its title; the cells of the lines are Markdown already."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    rows = [[*map(_escaped, header)], rule, *lines]
    return "\n".join([_escaped(title), "", *(f"| {' | '.join(row)} |" for row in rows)])


def latex(rows: Sequence[Mean], definition: str, more: Sequence[Grid]) -> str:
    r"""All means as `tabular`s of LaTeX, one for each test set and metric, with booktabs' rules.

    What stands around them (`table`, `\caption`) is the paper's; what they are is told in comments.

    Args:
        rows: of one protocol, see `results.means`.
        definition: what stands above them: how was measured.
        more: further tables.
    """
    parts = [f"% {shown(definition)}\n{_PACKAGES}"]
    for block in blocks(rows):
        lines = []
        for scale, cells in block.lines.items():
            numbers = [(_number(block, cell, r"$\pm$", r"$\infty$"), cell.best) for cell in cells]
            marked = (rf"\textbf{{{n}}}" if best else n for n, best in numbers)
            lines.append([in_latex(spell(scale)), *marked])
        parts.append(_latex_table(_title(block), ["scale", *block.models], lines))
    for grid in more:
        lines = [
            [re.sub(r"([+-])(?=\d)", r"$\1$", in_latex(cell)) for cell in line]
            for line in grid.lines
        ]
        parts.append(_latex_table(grid.title, grid.header, lines))
    return "\n\n".join(parts)


def _latex_table(title: str, header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table under a comment that says its title; the cells of the lines are LaTeX already."""
    rows = [" & ".join(cells) + r" \\" for cells in ([*map(in_latex, header)], *lines)]
    return "\n".join(
        (
            f"% {shown(title)}",
            rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
            r"\toprule",
            rows[0],
            r"\midrule",
            *rows[1:],
            r"\bottomrule",
            r"\end{tabular}",
        )
    )


def in_latex(text: str) -> str:
    """A text that LaTeX prints as it is."""
    return "".join(_LATEX.get(char, char) for char in shown(text))


def _title(block: Block) -> str:
    """`Set5 (5 images): PSNR in dB`."""
    return f"{block.testset} ({counted(block.images, 'image')}): {block.metric.title}"


def _number(block: Block, cell: Cell, plus_minus: str, infinity: str) -> str:
    if math.isinf(cell.value):
        return infinity
    known = cell.deviation is not None and math.isfinite(cell.deviation)
    spread = f" {plus_minus} {block.metric.told(cell.deviation or 0.0)}" if known else ""
    return block.metric.told(cell.value) + spread


def _escaped(text: str) -> str:
    """A text that Markdown prints as it is, in a table's cell too."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", shown(text))
