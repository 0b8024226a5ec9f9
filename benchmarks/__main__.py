"""`make bench`, or `make bench ARGS="memory --gigapixel"`: measures and writes RESULTS.md."""

import argparse
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import command, consistency, engines, memory, plans, report, speed, training, views


def main(argv: Sequence[str] | None = None) -> int:
    """Run one kind of benchmark."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser("make bench ARGS=...", description=__doc__)
    kinds = ("speed", "memory", "command", "training", "plans", "consistency", "views", "engines")
    parser.add_argument("kind", nargs="?", default="speed", choices=kinds)
    parser.add_argument(
        "--rounds", type=int, default=5, help="of the benchmarks of speed, views and engines"
    )
    parser.add_argument("--gigapixel", action="store_true", help="memory: a streamed one too")
    args = parser.parse_args(words)
    found = {
        "command": " ".join(["make bench", *([f'ARGS="{" ".join(words)}"'] if words else [])]),
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
        case "memory":
            found |= memory.measure(args.gigapixel, say)
        case "command":
            found |= command.measure(say)
        case "views":
            found |= views.measure(args.rounds, say)
        case "engines":
            found |= engines.measure(args.rounds, say)
        case "training":
            found |= training.measure(say)
        case "plans":
            found |= plans.measure(say)
        case _:
            found |= consistency.measure(say)
    report.save(args.kind, found)
    say(f"written to {report.FOLDER / 'RESULTS.md'}")
    return 0


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    match = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    kind = torch.backends.cpu.get_cpu_capability()
    return f"{match[1] if match else platform.processor()} ({kind}, {os.cpu_count()} cores)"


if __name__ == "__main__":
    sys.exit(main())
