"""`make bench`, or `make bench ARGS="memory --gigapixel"`: measures and writes RESULTS.md."""

import argparse
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import (
    command,
    consistency,
    engines,
    front,
    many,
    memory,
    plans,
    report,
    speed,
    training,
    views,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one kind of benchmark."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser("make bench ARGS=...", description=__doc__)
    kinds = (
        "speed", "front", "memory", "command", "training", "plans", "consistency", "views",
        "engines", "many",
    )  # fmt: skip
    parser.add_argument("kind", nargs="?", default="speed", choices=kinds)
    parser.add_argument(
        "--rounds", type=int, default=5, help="of the benchmarks of speed, front, views and engines"
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

    match args.kind:
        case "speed":
            found |= speed.measure(args.rounds, say)
        case "front":
            found |= front.measure(args.data, args.model, args.others, args.rounds, say)
        case "memory":
            found |= memory.measure(args.gigapixel, say)
        case "command":
            found |= command.measure(say)
        case "views":
            found |= views.measure(args.rounds, say)
        case "engines":
            found |= engines.measure(args.rounds, say)
        case "many":
            found |= many.measure(say)
        case "training":
            found |= training.measure(say)
        case "plans":
            found |= plans.measure(say)
        case _:
            found |= consistency.measure(say)
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
