"""What `docs/programs.md` promises to programs: its tables are the fields that come."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ccsr import image
from ccsr.analysis import ANALYSES, Analysis
from ccsr.analysis.findings import Findings, Table
from ccsr.cli.main import main
from ccsr.jobs.summary import summed_up

QUICK = ["--model", "light", "--engine", "onnx"]  # starts in a fifth of the time that torch takes
PAGE = (Path(__file__).parents[2] / "docs" / "programs.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    return re.split(r"^##", PAGE.split(f"# {heading}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def promised(command: str) -> dict[str, str]:
    """The fields in the table of a command, with the rest of their lines."""
    rows = re.findall(r"^\| (`.+?) \| (.*)", section(f"`ccsr {command} --json`"), re.MULTILINE)
    return {name: rest for names, rest in rows for name in re.findall(r"`(\w+)`", names)}


@pytest.fixture
def ask(capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs a command; gives the exit code, what JSON it wrote, and its lines of standard error."""

    def run(*words: str, lines: bool = False) -> tuple[int, Any, list[dict[str, str]]]:
        capfd.readouterr()
        try:
            code = main([*words, "--json"])
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capfd.readouterr()
        said = [json.loads(line) for line in err.splitlines()]
        assert all(len(line) == 1 and {*line} <= {"error", "warning", "note"} for line in said)
        if lines:
            return code, [json.loads(line) for line in out.splitlines()], said
        return code, json.loads(out) if out else None, said

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "c"):
        Image.effect_noise((16, 12), 60).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"")
    return tmp_path


def fields_of(status: str) -> set[str]:
    rows = promised("upscale").items()
    return {name for name, rest in rows if rest.startswith("all |") or f"`{status}`" in rest[:20]}


def test_upscale_tells_a_line_for_each_picture(folder: Path, model: str, ask) -> None:
    words = ["upscale", str(folder), "-o", f"{folder}/out/", "--scale", "2", "--model", model]
    code, lines, said = ask(*words, "--report", f"{folder}/r.jsonl", lines=True)
    assert code == 1
    assert [line["status"] for line in lines] == ["done", "failed", "done"]
    assert said == [{"error": f"cannot read {folder}/b.png: the file is empty"}]
    for line in lines:
        assert set(line) == fields_of(line["status"])
    assert lines[0]["width"] == 32
    kept = (folder / "r.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines == [json.loads(line) for line in kept]


def test_upscale_tells_what_it_would_do_and_what_it_skips(folder: Path, model: str, ask) -> None:
    out = folder / "out"
    words = ["upscale", str(folder), "-o", f"{out}/", "--scale", "2", "--model", model]
    code, lines, said = ask(*words, "--dry-run", "--shard", "1/1", lines=True)
    assert code == 1
    assert [line["status"] for line in lines] == ["planned", "failed", "planned"]
    assert set(lines[0]) == fields_of("planned") | {"shard"}
    assert said == [{"note": "shard 1/1: 3 of 3 pictures"}, {"error": lines[1]["error"]}]
    assert not out.exists()
    (folder / "b.png").unlink()
    assert main([*words]) == 0
    for more in ([], ["--dry-run"]):
        code, lines, said = ask(*words, "--exists", "skip", *more, lines=True)
        assert (code, [line["status"] for line in lines]) == (0, ["skipped"] * 2)
        assert set(lines[0]) == fields_of("skipped")
        assert all(set(line) == {"note"} for line in said)


def test_lines_that_were_kept_are_a_report(folder: Path) -> None:
    words = ["upscale", str(folder), "-o", f"{folder}/out/", "--scale", "2", *QUICK]
    with (folder / "kept.jsonl").open("wb") as kept:
        command = [sys.executable, "-m", "ccsr", *words, "--json"]
        assert subprocess.run(command, stdout=kept, stderr=subprocess.DEVNULL).returncode == 1
    found = summed_up([folder / "kept.jsonl"])
    assert (found.pictures, found.done, len(found.failed)) == (3, 2, 1)


@pytest.mark.parametrize("stream", ["full", pytest.param("closed", marks=pytest.mark.long)])
def test_work_is_done_though_nobody_reads_the_lines(folder: Path, stream: str) -> None:
    words = ["upscale", str(folder), "-o", f"{folder}/out/", "--scale", "2", *QUICK]
    if stream == "full":
        out = os.open("/dev/full", os.O_WRONLY)
    else:
        read, out = os.pipe()
        os.close(read)
    command = [sys.executable, "-m", "ccsr", *words, "--json"]
    done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    os.close(out)
    assert done.returncode == 1
    assert len(list((folder / "out").iterdir())) == 2
    expected = "cannot write to standard output: No space" if stream == "full" else "nobody reads"
    assert json.loads(done.stderr.splitlines()[-1])["error"].startswith(expected)


def test_the_picture_and_the_lines_cannot_share_standard_output(folder: Path, ask) -> None:
    for words in (["upscale", "-", "--scale", "2"], ["upscale", "a.png", "--scale=2", "-o", "-"]):
        code, found, said = ask(*words)
        assert (code, found) == (2, None)
        assert "--json and the picture both want standard output" in said[0]["error"]


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["upscael"], 2, "unknown command 'upscael'"),
        (["upscale", "a.png"], 2, "give one of --scale"),
        (["report", "/nowhere/r.jsonl"], 1, "cannot read the report"),
        (["evaluate", "--data", "/nowhere"], 1, "/nowhere"),
        (["export", "--scale", "2", "-o", "a.onnx", "--model", "nothing"], 1, "nothing"),
        (["data", "div2k", "/nowhere/d"], 1, "give --accept"),
    ],
)
def test_errors_are_a_line_of_json(words: list[str], code: int, error: str, ask) -> None:
    got, found, said = ask(*words)
    assert (got, found, len(said)) == (code, None, 1)
    assert error in said[0]["error"]


def test_models_and_reports(folder: Path, model: str, ask) -> None:
    _, found, said = ask("models")
    assert found
    assert all(set(each) == set(promised("models")) for each in found)
    words = ["upscale", str(folder), "--scale", "2", "--model", model]
    main([*words, "--report", f"{folder}/r.jsonl"])
    code, found, said = ask("report", f"{folder}/r.jsonl")
    assert (code, set(found), said) == (1, set(promised("report")), [])


def test_evaluate(folder: Path, ask) -> None:
    Image.effect_noise((64, 48), 60).save(folder / "a.png")
    words = ["evaluate", "--data", str(folder), "--scales", "2", "--model", "bicubic", "--quiet"]
    code, found, said = ask(*words, "--out", f"{folder}/r", "--compare", "bicubic", "bicubic")
    assert code == 1  # b.png is left out
    assert set(found) == set(promised("evaluate"))
    for several in ("models", "differences", "left_out"):
        (row,) = re.findall(rf"^\| `{several}` .*", PAGE, re.MULTILINE)
        assert set(re.findall(r"`(\w+)`", row)) - {several} == set(found[several][0])
    assert found == json.loads((folder / "r" / "results.json").read_text(encoding="utf-8"))
    (row,) = re.findall(r"^\| `means` .*", PAGE, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", row)) - {"means"}
    deviations = {f"{name}_deviation" for name in ("ssim", "consistency", "lpips", "seconds")}
    assert named | deviations == set(found["means"][0])
    assert any("left out" in line["note"] for line in said)


def test_analyze(monkeypatch: pytest.MonkeyPatch, ask) -> None:
    findings = Findings([Table("A", [["x"], ["1"]])], [{"x": float("inf")}], {})
    monkeypatch.setitem(ANALYSES, "alignment", Analysis(lambda options: findings, "a fake", ()))
    code, found, said = ask("analyze", "alignment")
    assert (code, set(found), said) == (0, set(promised("analyze NAME")), [])
    assert found["records"] == [{"x": "inf"}]


@pytest.mark.parametrize(
    "options", [["--scale", "2"], pytest.param(["--window"], marks=pytest.mark.long)]
)
def test_export(tmp_path: Path, model: str, options: list[str], ask) -> None:
    import onnxruntime

    path = tmp_path / "a.onnx"
    code, found, said = ask("export", *options, "-o", str(path), "--model", model)
    assert (code, set(found), said) == (0, set(promised("export")), [])
    session = onnxruntime.InferenceSession(path)
    inputs = [*session.get_inputs(), *session.get_overridable_initializers()]
    assert found["inputs"] == [each.name for each in inputs]
    assert found["outputs"] == [each.name for each in session.get_outputs()]
    assert found["bytes"] == path.stat().st_size


def test_data(tmp_path: Path, ask) -> None:
    words = ["data", "benchmarks", str(tmp_path / "b"), "--sets", "Kodak24"]
    code, found, said = ask(*words, "--dry-run")
    assert (code, set(found), said) == (0, set(promised("data NAME")), [])
    assert (found["files"], found["done"], found["failed"]) == (24, 0, [])
    (tmp_path / "mirror").mkdir()
    code, found, said = ask(*words, "--mirror", str(tmp_path / "mirror"))
    assert (code, len(found["failed"])) == (1, 24)
    assert said[-1]["note"].startswith("ccsr: the same command tries these again")


def test_every_command_with_json_is_on_the_page() -> None:
    from ccsr.cli.completion import parsers

    takes = {name for name, parser in parsers() if "--json" in parser.format_help()}
    takes.add("data")  # whose words below take it
    assert takes == {name for name in dict(parsers()) if f"### `ccsr {name} " in PAGE}


def test_log_lines(folder: Path, model: str, capfd: pytest.CaptureFixture[str]) -> None:
    pattern = re.compile(
        next(line for line in section("Log lines of `ccsr upscale`").splitlines() if "^" in line)
    )
    frames = tuple(np.full((12, 16, 3), level, np.uint8) for level in (0, 200))
    image.write(image.Picture(frames, durations=(50, 50)), folder / "m.png")
    image.write(image.Picture((np.full((12, 16, 3), 257 * 9 + 1, np.uint16),)), folder / "n.png")
    words = ["upscale", str(folder), "-o", f"{folder}/out/", "--scale", "2", "--model", model]
    main([*words, "--format", "webp"])
    lines = capfd.readouterr().err.splitlines()
    found = [match for line in lines[:5] if (match := pattern.match(line))]
    assert [match["number"] for match in found] == ["1", "3", "4", "5"]
    assert found[0]["source"] == f"{folder}/a.png"
    assert found[0]["output"] == f"{folder}/out/a_2x.webp"
    assert (found[0]["width"], found[0]["height"], found[0]["notes"]) == ("32", "24", None)
    assert (found[2]["notes"], found[2]["dropped"]) == ("2 frames", None)
    assert found[3]["dropped"] == "precision (16 bits became 8)"
    assert lines[1].startswith("ccsr: error: cannot read ")
