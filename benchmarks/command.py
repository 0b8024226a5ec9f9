"""The command as people start it: how long until it helps, enlarges one picture, and a folder."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import cases
from ccsr import Upscaler, image

THUMBNAIL = (120, 160)
COUNT = 200
SCALE = 2.0
ROUNDS = 5


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of `--help`, of one thumbnail, of a folder, and of the network alone on that folder.

    Medians of `ROUNDS`, the folder and the network alone once each.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        one = folder / "one.png"
        cases.photo(THUMBNAIL).save(one)
        for number in range(COUNT):
            (folder / "in" / f"{number}.png").write_bytes(one.read_bytes())
        options = ("--scale", f"{SCALE:g}", "--precision", "fp32", "--quiet")
        to_one = ("upscale", str(one), "-o", str(folder / "out.png"), "--exists", "overwrite")
        to_all = ("upscale", str(folder / "in"), "-o", str(folder / "out"))
        found = {
            "thumbnails": COUNT,
            "help": median(_run("--help") for _ in range(ROUNDS)),
            "one": median(_run(*to_one, *options) for _ in range(ROUNDS)),
        }
        say("started alone")
        found["folder"] = _run(*to_all, *options)
        found["network"] = _network(image.read(one).frames[0])
        return found


def _run(*arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "ccsr", *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


def _network(levels: np.ndarray[Any, Any]) -> float:
    upscaler = Upscaler.load("light", precision="fp32")
    upscaler.levels(levels, scale=SCALE)
    started = time.perf_counter()
    for _ in range(COUNT):
        upscaler.levels(levels, scale=SCALE)
    return time.perf_counter() - started
