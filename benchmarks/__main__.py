"""`make bench`, or `make bench ARGS="memory --gigapixel"`: measures and writes RESULTS.md."""

import argparse
import os
import platform
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import (
    command,
    consistency,
    drop,
    engines,
    front,
    many,
    memory,
    page,
    plans,
    report,
    speed,
    training,
    views,
)

Say = Callable[[str], None]

KINDS: dict[str, Callable[[argparse.Namespace, Say], dict[str, Any]]] = {
    "speed": lambda args, say: speed.measure(args.rounds, say),
    "front": lambda args, say: front.measure(args.data, args.model, args.others, args.rounds, say),
    "memory": lambda args, say: memory.measure(args.gigapixel, say),
    "command": lambda _, say: command.measure(say),
    "training": lambda _, say: training.measure(say),
    "plans": lambda _, say: plans.measure(say),
    "consistency": lambda _, say: consistency.measure(say),
    "views": lambda args, say: views.measure(args.rounds, say),
    "drop": lambda args, say: drop.measure(args.rounds, say),
    "engines": lambda args, say: engines.measure(args.rounds, say),
    "many": lambda _, say: many.measure(say),
    "page": lambda _, say: page.measure(say),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one kind of benchmark."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser("make bench ARGS=...", description=__doc__)
    parser.add_argument("kind", nargs="?", default="speed", choices=KINDS)
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        help="of the benchmarks of speed, front, views, drop and engines",
    )
    parser.add_argument("--data", type=Path, help="front: a folder of images to measure on")
    parser.add_argument("--model", nargs="+", default=[], help="front: further networks")
    parser.add_argument("--others", type=Path, help="front: a folder of other packages' weights")
    parser.add_argument("--gigapixel", action="store_true", help="memory: a streamed one too")
    args = parser.parse_args(words)
    found = {
        "command": _command(words),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load": os.getloadavg()[0],
    }

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    found |= KINDS[args.kind](args, say)
    report.save(args.kind, found)
    say(f"written to {report.FOLDER / 'RESULTS.md'}")
    return 0


def _command(words: Sequence[str]) -> str:
    """What was asked for, with paths as names."""
    told = " ".join(Path(word).name if "/" in word else word for word in words)
    return f'make bench ARGS="{told}"' if told else "make bench"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    match = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    kind = torch.backends.cpu.get_cpu_capability()
    return f"{match[1] if match else platform.processor()} ({kind}, {os.cpu_count()} cores)"


if __name__ == "__main__":
    sys.exit(main())
