"""The engine onnx against torch: time, start, and what must be installed for it."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from statistics import median
from typing import Any

import torch
from packaging.requirements import Requirement

from benchmarks import cases
from benchmarks.command import THUMBNAIL
from ccsr import Upscaler, image

ENGINES = ("torch", "onnx")
SCALES = (1.3, 2.0, 2.37, 3.0, 4.0, 8.0)
LARGE = (1000, 1000)
FLOOR = 1.2  # times torch's time
START = 0.8  # seconds of one thumbnail
ROOM = 300  # MB of what is installed
PACKAGES = ("onnxruntime", "pillow", "numpy", "tifffile")  # as deploy/onnx/pyproject.toml has them
CCSR = 4  # MB


def measure(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of the processor on one thread, in float32; the engines take turns."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    upscalers = {
        engine: Upscaler.load("light", engine=engine, device="cpu", precision="fp32")
        for engine in ENGINES
    }
    found = []
    runs = [(cases.SMALL, scale) for scale in SCALES] + [(LARGE, 2.0)]
    for size, scale in runs:
        values = image.Picture.of(cases.photo(size)).frames[0]
        taken: dict[str, list[float]] = {engine: [] for engine in ENGINES}
        for number in range(rounds + 1):  # the first sets things up
            for engine, upscaler in upscalers.items():
                started = time.process_time()
                upscaler.levels(values, scale=scale)
                if number:
                    taken[engine].append(time.process_time() - started)
        one = {engine: median(times) for engine, times in taken.items()}
        found.append({"size": size, "scale": scale, **one})
        say(f"{size[1]}x{size[0]} x{scale:g}: {one['onnx'] / one['torch']:.2f} times torch's time")
    return {"rounds": rounds, "runs": found, "start": _starts(rounds), "room": _room()}


def _starts(rounds: int) -> dict[str, tuple[float, float]]:
    """Seconds of one thumbnail from the shell: on the clock, and of the processor."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "one.png")
        cases.photo(THUMBNAIL).save(path)
        for engine in ENGINES:
            options = ["--scale", "2", "--engine", engine, "--exists", "overwrite", "--quiet"]
            words = [sys.executable, "-m", "ccsr", "upscale", str(path), *options]
            times = []
            for _ in range(rounds):
                started, before = time.perf_counter(), _children()
                subprocess.run(words, check=True)
                times.append((time.perf_counter() - started, _children() - before))
            clock, processor = (median(each) for each in zip(*times, strict=True))
            found[engine] = (clock, processor)
    return found


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _room() -> float:
    """Megabytes of the packages that the engine needs, and of those that they need."""
    waiting, sizes = [*PACKAGES], dict[str, int]()
    while waiting:
        package: Distribution = distribution(waiting.pop())
        if package.name in sizes:
            continue
        files = [Path(str(file.locate())) for file in package.files or ()]
        sizes[package.name] = sum(file.stat().st_size for file in files if file.is_file())
        wanted = map(Requirement, package.requires or ())
        waiting += [
            each.name for each in wanted if not each.marker or each.marker.evaluate({"extra": ""})
        ]
    return sum(sizes.values()) / 1e6 + CCSR


def section(found: dict[str, Any]) -> Iterator[str]:
    """Lines of RESULTS.md."""
    yield "`light` in float32, one thread each, seconds of the processor, so that what else runs"
    yield f"counts little; medians of {found['rounds']} rounds in which the engines take turns."
    yield from (
        "",
        "| picture | scale | torch | onnx | onnx / torch |",
        "|---|---:|---:|---:|---:|",
    )
    for one in found["runs"]:
        height, width = one["size"]
        cells = [f"{width}x{height}", f"{one['scale']:g}"]
        cells += [f"{one[engine]:.2f}" for engine in ENGINES]
        yield f"| {' | '.join(cells)} | {one['onnx'] / one['torch']:.2f} |"
    yield from ("", "| wanted | measured | |", "|---|---|---|")
    worst = max(each["onnx"] / each["torch"] for each in found["runs"])
    clock, own = found["start"]["onnx"]
    checks = [
        (
            f"every picture in {FLOOR} times torch's time: the worst",
            worst,
            FLOOR,
            "",
        ),
        (f"one thumbnail from the shell in {START} s", clock, START, " s"),
        (f"installed: at most {ROOM} MB", found["room"], ROOM, " MB"),
    ]
    for text, value, most, unit in checks:
        yield f"| {text} | {value:.2f}{unit} | {'yes' if value <= most else '**no**'} |"
    other = found["start"]["torch"]
    yield ""
    yield f"The thumbnail took {own:.2f} s of the processor; with torch, {other[1]:.2f} s of it and"
    yield f"{other[0]:.2f} s on the clock. Installed: the package and what it needs but Python."
