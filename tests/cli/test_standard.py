"""Standard input and output in the place of files."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ccsr import image
from ccsr.cli.main import main


class Bytes:
    """Standard input, of which only bytes are read."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


@pytest.fixture
def run(model, monkeypatch, capsysbinary):
    """Runs `ccsr upscale` on bytes; gives the exit code and what was printed."""

    def call(content: bytes, *words: str):
        monkeypatch.setattr(sys, "stdin", Bytes(content))
        code = main(["upscale", *words, "--scale", "2", "--model", model, "--precision", "fp32"])
        printed = capsysbinary.readouterr()
        return code, printed.out, printed.err.decode()

    return call


def levels(content: bytes, tmp_path: Path) -> np.ndarray:
    (tmp_path / "written").write_bytes(content)
    return image.read(tmp_path / "written").frames[0]


@pytest.mark.parametrize("words", [["-"], ["-", "-o", "-"], ["{photo}", "-o", "-"]])
def test_bytes_in_bytes_out(run, photo: Path, tmp_path: Path, words: list[str]) -> None:
    name = "standard input" if words[0] == "-" else str(photo)
    words = [word.format(photo=photo) for word in words]
    expected = tmp_path / "expected.png"
    assert run(b"", str(photo), "-o", str(expected))[0] == 0
    code, written, said = run(photo.read_bytes(), *words)
    assert code == 0
    assert np.array_equal(levels(written, tmp_path), image.read(expected).frames[0])
    assert said.startswith(f"[1/1] {name} -> standard output (40x20) in")
    assert said.count("\n") == 1


def test_the_format_is_the_one_that_is_asked_for(run, photo: Path) -> None:
    for name, start in {"jpg": b"\xff\xd8", "webp": b"RIFF", "tiff": b"II*\0"}.items():
        _, written, _ = run(photo.read_bytes(), "-", "--format", name)
        assert written.startswith(start)
    assert run(b"", str(photo), "-o", "-", "--format", "same")[1].startswith(b"\xff\xd8")
    for words in ((), ("-o", f"{photo.parent}/out/")):
        code, written, said = run(photo.read_bytes(), "-", "--format", "same", *words)
        assert (code, written) == (1, b"")
        assert "standard input has no suffix, so --format same does not tell" in said
    assert not (photo.parent / "out").exists()


def test_standard_input_to_a_file(run, photo: Path, tmp_path: Path) -> None:
    code, written, said = run(photo.read_bytes(), "-", "-o", str(tmp_path / "a.png"))
    assert (code, written) == (0, b"")
    assert f"standard input -> {tmp_path / 'a.png'} (40x20)" in said


@pytest.mark.parametrize("content", [b"", b"none", b"\x89PNG\r\n\x1a\n"])
def test_bytes_that_are_no_picture_give_no_output(run, content: bytes, tmp_path: Path) -> None:
    code, written, said = run(content, "-", "--report", str(tmp_path / "r.jsonl"))
    assert (code, written) == (1, b"")
    assert said.startswith("ccsr: error: cannot read standard input: ")
    assert "ccsr-" not in said + (tmp_path / "r.jsonl").read_text()


def test_what_makes_no_sense_is_refused(run, photo: Path, capsysbinary) -> None:
    for words, message in (
        (["-", str(photo)], "- stands for standard input, which is one picture"),
        (["-", "-"], "- stands for standard input, which is one picture"),
        (["-", "-o", "a.png", "--shard", "1/2"], "cannot be shared: leave out --shard"),
        ([str(photo), "-o", "-", "--shard", "1/2"], "cannot be shared: leave out --shard"),
    ):
        with pytest.raises(SystemExit):
            run(b"", *words)
        assert message in capsysbinary.readouterr().err.decode()
    other = photo.with_name("other.jpg")
    other.write_bytes(photo.read_bytes())
    for words, message in (
        ([str(photo), str(other), "-o", "-"], "only one picture fits into standard output"),
        ([str(photo.parent), "-o", "-"], "only one picture fits into standard output"),
        (["-", "--name", "{stem}"], "called 'standard output' already: leave out --name"),
        (["-", "--quality", "9"], "cannot write standard output: PNG has no quality"),
    ):
        code, written, said = run(b"", *words)
        assert (code, written) == (1, b"")
        assert message in said


def test_a_terminal_gets_no_bytes(run, photo: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    code, written, said = run(photo.read_bytes(), "-")
    assert (code, written) == (1, b"")
    assert "standard output is a terminal, which cannot show a picture's bytes" in said


def test_a_preview_leaves_standard_output_to_the_picture(run, photo: Path) -> None:
    code, written, said = run(photo.read_bytes(), "-", "--dry-run")
    assert (code, written, said) == (0, b"", "standard input -> standard output (40x20)\n")


def test_a_file_that_is_called_so(run, photo: Path, monkeypatch) -> None:
    monkeypatch.chdir(photo.parent)
    Path("-").write_bytes(photo.read_bytes())
    assert run(b"", "./-", "-o", "b.png")[0] == 0
    with Image.open("b.png") as picture:
        assert picture.size == (40, 20)


@pytest.mark.long
def test_streams_of_a_shell(photo: Path, model: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m ccsr upscale - --model {model} --quiet"
    done = subprocess.run(
        ["sh", "-c", f"{command} --scale 2 < {photo} | {command} --longest 33 > {tmp_path}/c.png"],
        capture_output=True, text=True, check=True, env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.size == (33, 17)
    assert not list(tmp_path.glob("ccsr-*"))
    for redirected in ("<&-", "> /dev/full"):
        line = f"{command} --scale 2 < {photo} {redirected}"
        done = subprocess.run(
            ["sh", "-c", line], capture_output=True, text=True, check=False,
            env=os.environ | {"TMPDIR": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.startswith("ccsr: error: cannot ")
        assert not list(tmp_path.glob("ccsr-*"))


def test_a_word_to_end_leaves_nothing_while_a_picture_is_awaited(model, monkeypatch, tmp_path):
    class Awaited(io.BytesIO):
        def read(self, *given):
            os.kill(os.getpid(), signal.SIGTERM)
            return b""

    monkeypatch.setattr(sys, "stdin", Bytes(b""))
    monkeypatch.setattr(sys.stdin, "buffer", Awaited())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    usual = signal.signal(signal.SIGTERM, lambda *given: None)
    try:
        words = ["upscale", "-", "-o", str(tmp_path / "a.png"), "--scale", "2", "--model", model]
        assert main(words) == 130
    finally:
        signal.signal(signal.SIGTERM, usual)
    assert not list(tmp_path.glob("ccsr-*"))
