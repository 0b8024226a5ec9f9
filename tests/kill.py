"""Folder runs that are stopped at random moments, by SIGKILL and by Ctrl-C.

They write a file of every format, those with frames or pages several. After each stop every output
is whole and equal to that of an undisturbed run, no input has changed, and a second run with
`--exists skip` completes the folder.

    python tests/kill.py --trials 200

Needs `os.fork`: the trials share the start of the interpreter and of torch, which takes seconds.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import torch

from ccsr import image
from ccsr.cli.main import main as ccsr
from ccsr.image.formats import FORMATS
from ccsr.model import checkpoint
from networks import tiny

SUFFIXES = [suffix for known in FORMATS.values() for suffix in known.suffixes]
PICTURES = len(SUFFIXES)
SIDE = 50
LONGEST = 300  # seconds for a run, on a machine that is busy


def prepare(folder: Path) -> list[str]:
    """Make pictures and a quick network; returns the command."""
    rng = np.random.default_rng(0)
    for number, suffix in enumerate(SUFFIXES):
        side = int(rng.integers(SIDE // 2, SIDE))
        source = folder / "in" / ("sub" if number % 2 else "") / f"{number}{suffix}"
        source.parent.mkdir(parents=True, exist_ok=True)
        several = image.check_output(source).several
        count = 2 if several else 1
        frames = tuple(rng.integers(0, 256, (SIDE, side, 3), np.uint8) for _ in range(count))
        durations = (50.0,) * count if several == "animation" else ()
        image.write(image.Picture(frames, durations=durations), source)
    checkpoint.save(folder / "tiny.safetensors", tiny(None), {})
    options = ["--recursive", "--scale", "2", "--exists", "skip", "--quiet", "--device", "cpu"]
    options += ["--format", "same"]
    return ["upscale", str(folder / "in"), "--model", str(folder / "tiny.safetensors"), *options]


def start(command: list[str], output: Path, log: Path) -> int:
    """Run the command in a child process; returns its number."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        code = ccsr([*command, "-o", f"{output}/"])
    except BaseException:  # all that a command may raise would end in this parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def finish(child: int) -> int:
    """Exit code of a child; negative for a signal."""
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise TimeoutError(f"a run took longer than {LONGEST} s")


def content(folder: Path) -> dict[str, bytes]:
    """All files below a folder, but those that are being written."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".part")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def problems(
    code: int, stop: int, log: str, inside: dict[str, bytes], expected: dict[str, bytes], parts: int
) -> list[str]:
    """What is wrong after a run that was sent `stop`."""
    found = [f"{name} is not whole" for name, data in inside.items() if expected[name] != data]
    if stop == signal.SIGKILL:
        return found + ([] if code in (0, -signal.SIGKILL) else [f"exit code {code}: {log}"])
    if code == 0 or (code == 130 and not inside):  # stopped after the work, or before it
        return found
    remain = f"{PICTURES - len(inside)} remain"
    if code != 130 or "Traceback" in log or remain not in log:
        found.append(f"exit code {code}, {len(inside)} outputs, expected {remain!r}: {log}")
    return found + ([f"{parts} partial files are left"] if parts else [])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    folder = Path(tempfile.mkdtemp(prefix="ccsr-kill-"))
    command, log = prepare(folder), folder / "log"
    inputs = content(folder / "in")
    torch.set_num_threads(1)  # a pool of threads would not live on in a fork
    warm = ccsr([*command, "-o", f"{folder / 'whole'}/"])
    expected = content(folder / "whole")
    began = time.monotonic()
    code = finish(start(command, folder / "again", log))
    takes = time.monotonic() - began
    if warm or code or len(expected) != PICTURES or content(folder / "again") != expected:
        print(f"exit codes {warm} and {code}: {log.read_text()}", file=sys.stderr)
        return 1
    wrong: list[str] = []
    stopped = 0
    for trial in range(args.trials):
        out = folder / f"out{trial}"
        stop = rng.choice((signal.SIGKILL, signal.SIGINT))
        child = start(command, out, log)
        time.sleep(rng.uniform(0.1, 1.1) * takes)
        os.kill(child, stop)
        code = finish(child)
        inside, parts = content(out), len(list(out.rglob(".*.part")))
        stopped += 0 < len(inside) < PICTURES
        found = problems(code, stop, log.read_text(), inside, expected, parts)
        if finish(start(command, out, log)) or content(out) != expected:
            found.append(f"the second run did not complete the folder: {log.read_text()}")
        if content(folder / "in") != inputs:
            found.append("an input has changed")
        wrong += [f"trial {trial}, {stop.name}: {problem}" for problem in found]
        shutil.rmtree(out)
    print(f"{args.trials} runs stopped, {stopped} of them half way; {takes:.1f} s if not stopped")
    for problem in wrong[:20]:
        print(problem, file=sys.stderr)
    shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
