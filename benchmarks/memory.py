"""Peak memory and time of growing results, each in a process of its own."""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import cases


class Growth(NamedTuple):
    """One result: the factor, the side of the input, how often, the suffix, a limit in bytes."""

    factor: int
    side: int
    repeats: int
    suffix: str = ".png"
    memory: int | None = None


GROWTH = [
    Growth(4, 250, 5),
    Growth(4, 500, 3),
    Growth(4, 1250, 1),
    Growth(4, 2500, 1),
]
GIGAPIXEL = Growth(8, 4000, 1, ".tif", 1_000_000_000)


def measure(gigapixel: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Of the fastest of the repeats: megapixels, seconds, peak; and how time grows."""
    found = []
    for growth in [*GROWTH, *([GIGAPIXEL] if gigapixel else [])]:
        runs = [_run(growth) for _ in range(growth.repeats)]
        best = min(runs, key=lambda run: float(run["seconds"]))
        side = growth.side * growth.factor
        found.append({"megapixels": side * side / 1e6, "factor": growth.factor, **best})
        say(f"{side}x{side}: {best['seconds']:.1f} s, {best['peak'] / 1e6:.0f} MB")
    first, last = found[0], found[len(GROWTH) - 1]
    exponent = math.log(last["seconds"] / first["seconds"]) / math.log(
        last["megapixels"] / first["megapixels"]
    )
    return {"growth": found, "exponent": exponent}


def _run(growth: Growth) -> dict[str, Any]:
    side = growth.side * growth.factor
    with tempfile.TemporaryDirectory() as name:
        source, output = Path(name) / "source.png", Path(name) / f"output{growth.suffix}"
        cases.photo((growth.side, growth.side)).save(source)
        words = [str(source), str(output), str(side), str(side)]
        words += [str(growth.memory)] if growth.memory else []
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.peak", *words],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    result: dict[str, Any] = json.loads(done.stdout)
    return result
