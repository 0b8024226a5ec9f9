"""Standard streams that are closed, full, or read by nobody."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from ccsr.cli.main import main

COMMANDS = [["--help"], ["--version"], ["upscale", "--help"]]
SLOW = [
    ["models"],
    ["models", "--json"],
    ["evaluate", "--help"],
    ["analyze", "--help"],
    ["export", "--help"],
    ["train", "--help"],
    ["train", "--cfg", "job"],
]
COMMANDS += [pytest.param(words, marks=pytest.mark.long) for words in SLOW]
QUICK = ["--model", "light", "--engine", "onnx"]  # starts in a fifth of the time that torch takes


def shell(line: str, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `line` in a shell, where "$@" is ccsr with `words`."""
    command = [sys.executable, "-m", "ccsr", *words]
    return subprocess.run(
        ["sh", "-c", line, "sh", *command], capture_output=True, text=True, check=False, cwd=cwd
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("words", COMMANDS)
@pytest.mark.parametrize("stream", [">&-", ">/dev/full"])
def test_a_result_that_cannot_be_written_is_an_error(words: list[str], stream: str) -> None:
    done = shell(f'"$@" {stream}', *words)
    reason = os.strerror(errno.EBADF if stream == ">&-" else errno.ENOSPC)
    problem = f"cannot write to standard output: {reason}"
    expected = json.dumps({"error": problem}) if "--json" in words else f"ccsr: error: {problem}"
    assert (done.returncode, done.stderr) == (1, f"{expected}\n")


@pytest.mark.parametrize("words", COMMANDS)
def test_who_reads_the_output_may_stop(words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "ccsr", *words]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        Image.new("RGB", (9, 7)).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"")  # so that an error has to be said in the midst
    return tmp_path


@pytest.mark.parametrize(
    "streams",
    ["2>/dev/full"]
    + [
        pytest.param(each, marks=pytest.mark.long)
        for each in ("2>&1 | true", "2>&-", "<&- >&- 2>&-")
    ],
)
def test_a_run_does_all_its_work_whoever_listens(folder: Path, streams: str) -> None:
    words = ["upscale", str(folder), "-o", f"{folder}/out/", "--scale", "2", *QUICK]
    done = shell(f'"$@" {streams}', *words)
    assert done.returncode == (0 if "|" in streams else 1)
    assert names(folder / "out") == ["a_2x.png", "c_2x.png"]
    for name in ("a_2x.png", "c_2x.png"):
        with Image.open(folder / "out" / name) as picture:
            picture.load()


@pytest.mark.long
def test_a_preview_that_cannot_be_written_is_an_error(folder: Path) -> None:
    done = shell('"$@" >/dev/full', "upscale", str(folder), "--scale", "2", "--dry-run", *QUICK)
    assert done.returncode == 1
    assert "cannot write to standard output: No space left on device" in done.stderr


@pytest.mark.long
def test_results_are_written_though_the_table_cannot_be(folder: Path, model: str) -> None:
    words = ["evaluate", "--data", str(folder), "--scales", "2", "--model", model, "--out", "r"]
    Image.effect_noise((40, 30), 60).save(folder / "b.png")
    for name in ("a", "c"):
        (folder / f"{name}.png").unlink()
    done = shell('"$@" >/dev/full', *words, cwd=folder)
    assert "cannot write to standard output: No space left on device" in done.stderr
    assert {"results.json", "results.csv"} <= set(names(folder / "r"))


def test_usage_errors_without_standard_error() -> None:
    assert shell('"$@" 2>&-', "upscale").returncode == 2
    assert shell('"$@" 2>&-', "upscael").returncode == 2
    assert shell('"$@" 2>/dev/full').returncode == 2


@pytest.mark.parametrize(
    "words",
    [
        ["bad\x1b[31m"],
        ["upscale", "--bad\x1b[31m\u202e", "a.png"],
        ["upscale", "bad\x1b[31m.png", "--scale", "2"],
        ["evaluate", "--data", "bad\x1b[31m"],
        ["analyze", "bad\x1b[31m"],
        ["export", "--scale", "2", "-o", "o.onnx", "--model", "bad\x1b[31m"],
    ],
)
def test_errors_show_what_was_given_as_text(
    words: list[str], tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = main(words)
    except SystemExit as stop:
        code = stop.code
    assert code in (1, 2)
    printed = "".join(capsys.readouterr())
    assert r"bad\x1b[31m" in printed
    assert all(map(str.isprintable, printed.split("\n")))


@pytest.mark.parametrize(
    "words",
    [
        ["upscale", "bad\x1b[31m.png", "--scale", "2", "--debug", *QUICK],
        pytest.param(["evaluate", "--data", "bad\x1b[31m", "--debug"], marks=pytest.mark.long),
        pytest.param(["train", "bad\x1b[31m=2"], marks=pytest.mark.long),
        pytest.param(["train", "data.root=bad\x1b[31m", "--debug"], marks=pytest.mark.long),
    ],
)
def test_tracebacks_show_names_as_text(words: list[str], tmp_path: Path) -> None:
    done = shell('"$@"', *words, cwd=tmp_path)
    assert done.returncode == 1
    assert r"bad\x1b[31m" in done.stderr
    assert all(map(str.isprintable, (done.stdout + done.stderr).split("\n")))


@pytest.mark.long
def test_an_interrupt_and_an_export_show_names_as_text(tmp_path: Path, model: str) -> None:
    odd = tmp_path / "odd\x1b[31m\u202e"
    odd.mkdir()
    done = shell('"$@"', "export", "--scale", "2", "-o", str(odd / "a.onnx"), "--model", model)
    assert r"odd\x1b[31m\u202e/a.onnx: input image" in done.stdout
    for number in range(200):
        Image.new("RGB", (300, 300)).save(odd / f"{number}.png")
    command = [sys.executable, "-m", "ccsr", "upscale", str(odd), "--scale", "4", "--model", model]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # also in a background
    ) as process:
        assert process.stderr
        process.stderr.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        text = process.stderr.read()
    assert process.returncode == 130
    assert "ccsr: interrupted: " in text
    assert r"odd\x1b[31m\u202e/" in text.partition("interrupted")[2]
    assert all(map(str.isprintable, text.split("\n")))


def test_options_may_stand_between_inputs(
    folder: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (folder / "-dash.png").write_bytes((folder / "a.png").read_bytes())
    words = ["upscale", "a.png", "--scale", "2", "c.png", "--dry-run", "--", "-dash.png"]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{name}.png -> {name}_2x.png (18x14)" for name in ("a", "c", "-dash")
    ]
