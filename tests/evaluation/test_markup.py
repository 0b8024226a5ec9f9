"""The table in LaTeX and in Markdown."""

import html
import math
import re
import shutil
import subprocess

import pytest

from ccsr.evaluation.markup import in_latex, latex, markdown
from ccsr.evaluation.results import Record, Scores, means, over_runs
from ccsr.evaluation.table import Grid, table

NASTY = "50%_of #1 & {x}\\y~^$|<b>*z*`"
GRID = Grid("Set5: PSNR, a less b", ["scale", "mean"], [["2", "-0.10"], ["3", "+0.20 to +0.30"]])


def rows(psnr, scale=(2.0, 2.0)):
    """Means of one image for each model."""
    return means(
        [
            Record("Set5", "a", scale, model, (1, 1), (2, 2), Scores(v, v / 50, 40, None, 1), "p-y")
            for model, v in psnr.items()
        ]
    )


def runs():
    several = rows({"bicubic": 30.0, "a/0": 31.0, "a/1": 33.0})
    return over_runs(several, {"a/0": "a", "a/1": "a"})


def cells(text):
    """The lines of Markdown's tables, split at bars that are not escaped."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_markdown():
    found = cells(markdown(rows({"bicubic": 30.0, "light": 33.123}, (1.5, 4.0)), "By p-y.", []))
    assert found[:3] == [
        ["scale", "bicubic", "light"],
        ["---", "---:", "---:"],
        ["4 wide x 1.5 high", "30.00", "**33.12**"],
    ]


def test_markdown_of_any_name():
    text = markdown(rows({"bicubic": 30.0, NASTY: 33.0}), "By p.", [GRID])
    header = cells(text)[0]
    assert len(header) == 3
    assert re.sub(r"\\(.)", r"\1", header[2]) == NASTY
    assert ["2", "-0.10"] in cells(text)


@pytest.mark.parametrize("name", [NASTY, "a&amp;b", "<b>_x_</b>", "$x$ & $y$", "a|b\\|c", "[l](m)"])
def test_a_reader_of_markdown_gets_the_name(name):
    reader = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    heading = re.findall(
        "<th[^>]*>(.*?)</th>", reader.render(markdown(rows({"bicubic": 30.0, name: 33.0}), "", []))
    )[2]
    assert html.unescape(heading) == name


def test_runs_stand_with_their_deviation_in_all_forms():
    deviation = math.sqrt(2)  # of 31 and 33, as a sample
    assert f"32.00 ± {deviation:.2f}" in table(runs(), bold=False)
    assert "a (2 runs)" in table(runs(), bold=False)
    assert f"**32.00 ± {deviation:.2f}**" in markdown(runs(), "", [])
    assert rf"\textbf{{32.00 $\pm$ {deviation:.2f}}}" in latex(runs(), "", [])


def test_infinite_values():
    exact = rows({"bicubic": math.inf, "a": 30.0})
    assert "**∞**" in markdown(exact, "", [])
    assert r"\textbf{$\infty$}" in latex(exact, "", [])
    several = over_runs(rows({"a/0": math.inf, "a/1": 33.0}), {"a/0": "a", "a/1": "a"})
    assert "∞ " in markdown(several, "", []).replace("**", " ")


def test_latex():
    text = latex(rows({"bicubic": 30.0, "light": 33.123}), "By p-y.\nIn two lines", [GRID])
    assert text.startswith("% By p-y.\\nIn two lines\n% needs \\usepackage{booktabs}")
    tables = re.findall(r"\\begin\{tabular\}\{(l?r*)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL)
    assert [columns for columns, _ in tables] == ["lrr"] * 3 + ["lr"]
    assert tables[0][1].splitlines() == [
        r"\toprule",
        r"scale & bicubic & light \\",
        r"\midrule",
        r"2 & 30.00 & \textbf{33.12} \\",
        r"\bottomrule",
    ]
    assert r"3 & $+$0.20 to $+$0.30 \\" in tables[3][1]
    outside = re.sub(r"\\begin\{tabular\}.*?\\end\{tabular\}", "", text, flags=re.DOTALL)
    assert all(not line or line.startswith("%") for line in outside.splitlines())


def test_latex_of_any_name():
    assert in_latex("a_b & 5%") == r"a\_b \& 5\%"
    left = re.sub(r"\\(text\w+\{\}|[&%$#_{}])", "", in_latex(NASTY))
    assert not re.search(r"[\\&%$#_{}~^<>|\"]", left)


def test_latex_compiles(tmp_path):
    program = shutil.which("pdflatex") or shutil.which("tectonic")
    if not program:
        pytest.skip("no LaTeX here")
    table_ = latex([*rows({"bicubic": math.inf, NASTY: 30.0}), *runs()], f"By {NASTY}.", [GRID])
    (tmp_path / "a.tex").write_text(
        "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs}\n"
        f"\\begin{{document}}\n{table_}\n\\end{{document}}\n"
    )
    batch = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in program else []
    subprocess.run([program, *batch, "a.tex"], cwd=tmp_path, check=True, timeout=120,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    assert (tmp_path / "a.pdf").exists()
