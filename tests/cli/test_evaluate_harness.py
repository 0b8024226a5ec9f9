"""`ccsr evaluate` as a harness: others' results, several protocols, tables, sweeps, going on."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ccsr import image
from ccsr.cli import main as cli
from ccsr.evaluation import measure as measuring
from ccsr.model import checkpoint
from networks import tiny


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A test set of three pictures and the folders of two runs, of which the first is `one`."""
    generator = torch.Generator().manual_seed(0)
    (tmp_path / "Small").mkdir()
    for name in "abc":
        noise = torch.rand(1, 3, 61, 74, generator=generator)
        soft = torch.nn.functional.avg_pool2d(noise, 5, 1, 2)[0]
        image.write(image.to_image(soft), tmp_path / "Small" / f"{name}.png")
    for std, name in ((0.1, "one"), (0.08, "two")):
        (tmp_path / name).mkdir()
        checkpoint.save(tmp_path / name / "model.safetensors", tiny(std), {})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(*words):
    common = ["--data", "Small", "--scales", "2", "--device", "cpu", "--quiet"]
    return cli.main(["evaluate", *common, *words])


def document(folder="out"):
    return json.loads(Path(folder, "results.json").read_text(encoding="utf-8"))


def test_results_of_others_stand_beside_ours(world, capsys):
    assert evaluate("--model", "one", "--dump", "dump") == 0
    capsys.readouterr()
    words = ["--model", "one", "--results", "again=dump/one", "--out", "out"]
    assert evaluate(*words, "--compare", "one", "again", "--compare", "one", "bicubic") == 0
    printed = capsys.readouterr().out
    assert "Small (3 images): PSNR in dB, one less again" in printed
    assert re.search(r"^2 +0\.00 +0\.00 to 0\.00 +0 of 3 ", printed, re.MULTILINE)
    found = document()
    by_model = {row["model"]: row for row in found["means"]}
    assert list(by_model) == ["bicubic", "one", "again"]
    for score in ("psnr", "ssim", "consistency"):
        assert by_model["again"][score] == by_model["one"][score]
    assert found["results"] == [{"name": "again", "folder": "dump/one"}]
    compared = {(row["less"], row["metric"]): row for row in found["differences"]}
    assert compared["again", "psnr"]["images"] == {"a.png": 0, "b.png": 0, "c.png": 0}
    gain = by_model["one"]["psnr"] - by_model["bicubic"]["psnr"]
    assert compared["bicubic", "psnr"]["mean"] == pytest.approx(gain)
    low, high = compared["bicubic", "psnr"]["interval"]
    assert low < gain < high


@pytest.mark.long
def test_several_protocols_in_one_run(world, capsys):
    words = ["--protocol", "benchmark-y", "liif-rgb", "--model", "one", "--out", "out"]
    assert evaluate(*words) == 0
    printed = capsys.readouterr().out
    first, second = printed.split("\nProtocol liif-rgb. ")
    assert first.startswith("Protocol benchmark-y. ")
    assert first.count("PSNR in dB") == second.count("PSNR in dB") == 1
    found = document()
    assert [each["name"] for each in found["protocols"]] == ["benchmark-y", "liif-rgb"]
    assert len(found["means"]) == 2 * 2
    assert len(found["images"]) == 2 * 2 * 3
    for name in ("benchmark-y", "liif-rgb"):
        alone = f"alone-{name}"
        assert evaluate("--protocol", name, "--model", "one", "--out", alone) == 0
        expected = {row["model"]: row["psnr"] for row in document(alone)["means"]}
        together = {row["model"]: row["psnr"] for row in found["means"] if row["protocol"] == name}
        assert together == expected


@pytest.mark.long
def test_options_of_several_values_may_be_repeated(world, capsys):
    words = ["--model", "one", "--model", "m=two", "lanczos", "--protocol", "liif-y"]
    assert evaluate(*words, "--protocol", "arbsr-y", "--out", "out") == 0
    found = document()
    assert [m["name"] for m in found["models"]] == ["bicubic", "one", "m", "lanczos"]
    assert [p["name"] for p in found["protocols"]] == ["liif-y", "arbsr-y"]
    assert evaluate("--model", "bicubic", "--scales", "3,2", "--out", "out") == 0
    assert [row["scale_width"] for row in document()["means"]] == [2, 3]


def test_markdown_and_latex_are_all_that_is_printed(world, capsys):
    assert evaluate("--model", "lanczos", "--table", "markdown") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Protocol benchmark-y. ")
    assert "| scale | bicubic | lanczos |" in lines
    assert (
        evaluate("--model", "lanczos", "--table", "latex", "--compare", "lanczos", "bicubic") == 0
    )
    printed = capsys.readouterr().out
    outside = re.sub(r"\\begin\{tabular\}.*?\\end\{tabular\}", "", printed, flags=re.DOTALL)
    assert all(not line or line.startswith("%") for line in outside.splitlines())
    assert printed.count("\\begin{tabular}") == 6


@pytest.mark.long
def test_a_sweep_is_one_column_with_its_deviation(world, capsys):
    pytest.importorskip("omegaconf")
    for job, run in enumerate(("one", "two")):
        folder = world / "sweep" / str(job)
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(f"seed: {job}\n")
        (world / run / "model.safetensors").rename(folder / "model.safetensors")
    (world / "sweep" / "multirun.yaml").write_text("")
    assert evaluate("--model", "sweep", "--out", "out", "--compare", "sweep", "bicubic") == 0
    printed = capsys.readouterr().out
    assert "sweep (2 runs)" in printed
    assert re.search(r"\d\d\.\d\d ± \d\.\d\d", printed)
    found = document()
    runs = [row["psnr"] for row in found["runs"]]
    (mean,) = [row for row in found["means"] if row["model"] == "sweep"]
    assert mean["psnr"] == pytest.approx(sum(runs) / 2)
    assert runs[0] != runs[1]
    assert mean["psnr_deviation"] == pytest.approx(abs(runs[0] - runs[1]) / 2**0.5)
    assert [m["kind"] for m in found["models"]] == [None, "sweep", "sweep"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--results", "x=nowhere"], "--results: expected a folder of pictures, got nowhere"),
        (["--results", "x=empty"], "empty holds no pictures"),
        (["--results", "one=Small", "--model", "one"], "'one' is the name of a model"),
        (["--results", "x=Small", "x=one"], "holds no pictures"),
        (["--compare", "one", "bicubicc", "--model", "one"], "did you mean 'bicubic'"),
        (["--results", "x=dump/X3"], "x: no picture of a.png of Small at the scale 2 in dump/X3"),
        (["--results", "x=twice"], "several pictures in twice may be a.png of Small"),
        (
            ["--results", "x=X2", "--degrade", "jpeg:40"],
            "that --dump writes in LR/benchmark-y+jpeg",
        ),
        (["--out", "Small"], "the pictures in Small would count as test images of Small"),
        (["--out", "Small/HR"], "the pictures in Small/HR would count as test images of Small"),
        (["--out", "Small/a/image_SRF_2"], "would count as test images of Small"),
        (["--lr", "empty", "--data", "same"], "same has two images called a, which --lr"),
        (["--model", "a=one", "b=two", "a"], "two models are called 'a'"),
        (["--model", "a=one", "b"], "no model called 'b'"),
        (["--dump", "dump", "--model", "LR=one"], "--dump would write 'LR' and another"),
    ],
)
def test_what_cannot_go_well_is_refused_before_any_work(world, capsys, monkeypatch, words, message):
    (world / "empty").mkdir()
    twins = "same/a.png", "same/a.bmp"
    for name in (*twins, "dump/X3/ax3.png", "twice/a_1.png", "twice/a_2.png", "X2/a.png"):
        (world / name).parent.mkdir(parents=True, exist_ok=True)
        image.write(image.to_image(torch.rand(3, 60, 74)), world / name)
    monkeypatch.setattr(measuring, "_measured", None)
    assert evaluate(*words) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--results", "folder"], "expected NAME=FOLDER, got 'folder'"),
        (["--table", "html"], "invalid choice: 'html'"),
        (["--compare", "one"], "expected 2 arguments"),
        (["--protocol", "liif-y", "liif-y"], "--protocol: one is given twice"),
        (["--json", "--table", "latex"], "--table: --json prints no table"),
        (["--out", "Small/a.png"], "--out: expected a folder, or the name of a new one"),
        (["--cache", "Small/a.png"], "--cache: expected a folder, or the name of a new one"),
        (["--dump", "Small/a.png/b"], "Small/a.png is a file"),
    ],
)
def test_words_that_make_no_sense(world, capsys, words, message):
    with pytest.raises(SystemExit) as exit_:
        evaluate(*words)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_the_same_command_goes_on_where_it_was_stopped(world, capsys, monkeypatch):
    measured = measuring._measured
    seen = []

    def stop(comparison, contender, case):
        if len(seen) == 4:
            raise KeyboardInterrupt
        seen.append((contender.name, case.key))
        return measured(comparison, contender, case)

    monkeypatch.setattr(measuring, "_measured", stop)
    words = ["--model", "one", "--out", "out"]
    assert evaluate(*words) == 130
    stopped = capsys.readouterr().err
    assert "what was measured is in out/cache; the same command goes on from there" in stopped
    monkeypatch.setattr(measuring, "_measured", measured)
    upscaled = []
    output = measuring.Method.output
    monkeypatch.setattr(
        measuring.Method, "output", lambda m, c: upscaled.append((m.name, c.key)) or output(m, c)
    )
    monkeypatch.setattr("ccsr.evaluation.plots.available", lambda: False)
    assert evaluate(*words) == 0
    assert sorted(seen + upscaled) == [(m, f"{i}.png") for m in ("bicubic", "one") for i in "abc"]
    gone_on = document()
    assert evaluate(*words[:2], "--out", "fresh") == 0
    fresh = document("fresh")
    for rows in (gone_on["means"], fresh["means"]):
        for row in rows:
            del row["seconds"]
    assert gone_on["means"] == fresh["means"]


def test_a_cache_of_ones_own_place_without_out(world, capsys):
    assert evaluate("--model", "one", "--cache", "kept") == 0
    first = capsys.readouterr().out
    assert len(list((world / "kept").rglob("*.json"))) == 6
    words = ["evaluate", "--data", "Small", "--scales", "2", "--device", "cpu", "--model", "one"]
    assert cli.main([*words, "--cache", "kept"]) == 0
    again = capsys.readouterr()
    assert again.out == first
    assert "6 of 6 results were measured before, and are from kept" in again.err


@pytest.mark.long
def test_two_runs_at_once_share_a_cache(world):
    """And one that is killed leaves nothing that harms the others."""
    command = [
        *(sys.executable, "-m", "ccsr", "evaluate", "--data", "Small", "--scales", "1.5,2,2.5,3"),
        *("--model", "one", "two", "lanczos", "--cache", "kept", "--device", "cpu"),
    ]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)
    ]
    while not list((world / "kept").rglob("*.json")):
        assert processes[0].poll() is None
    os.kill(processes[0].pid, signal.SIGKILL)
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [-signal.SIGKILL, 0, 0]
    assert outputs[1] == outputs[2]
    last = subprocess.run(command, capture_output=True, check=True, timeout=300)
    assert last.stdout == outputs[1]
    assert b"48 of 48 results were measured before" in last.stderr
