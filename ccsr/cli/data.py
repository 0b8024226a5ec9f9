"""`ccsr data`: build data sets on this machine, from where they are published."""

import argparse
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ccsr import terminal
from ccsr.cli import arguments, options
from ccsr.cli.progress import StatusLine
from ccsr.clock import Clock
from ccsr.datasets import archives, open_tiles
from ccsr.datasets.gather import Task, gather
from ccsr.datasets.remote import Mirror, Source, Web

LISTED_FAILURES = 20
_DESCRIPTIONS = {
    "open": "Build the open training set: tiles of openly licensed pictures, in train/ and val/.",
    "div2k": "Build DIV2K from its official archives: 800 training and 100 validation photos.",
    "benchmarks": "Build the usual test sets, in the layout in which they are distributed.",
}


def parser() -> argparse.ArgumentParser:
    """The flags of `ccsr data`."""
    top = arguments.Parser(
        "ccsr data",
        description="Build data sets from where they are published. What is there already stays; "
        "the same command goes on after an interruption.",
    )
    commands = top.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, text in _DESCRIPTIONS.items():
        command = commands.add_parser(name, description=text, help=text)
        add = command.add_argument
        add("folder", type=arguments.path, metavar="FOLDER", help="the folder to build it in")
        if name == "open":
            add(
                "--tiles", type=arguments.whole, metavar="N",
                help="build only the N tiles that teach most; default: all",
            )  # fmt: skip
        if name == "benchmarks":
            add(
                "--sets",
                nargs="+",
                choices=list(archives.BENCHMARKS),
                default=list(archives.BENCHMARKS),
                help="which test sets to build; default: all",
            )
        if name != "open":
            add("--accept", action="store_true", help="agree to the licences that are shown")
        add(
            "--dry-run",
            action="store_true",
            help="say what would be fetched, how large it is and its licences, and stop",
        )
        add(
            "--mirror",
            type=arguments.path,
            metavar="DIR",
            help="take files from clones of the repositories, OWNER/NAME, and archives in DIR",
        )
        add(
            "--server", default="", metavar="URL",
            help="fetch from that web server instead, which holds the same paths",
        )  # fmt: skip
        add(
            "--jobs",
            type=arguments.whole,
            default=8,
            metavar="N",
            help="how many files to fetch at the same time; default: %(default)s",
        )
        add("--quiet", action="store_true", help="say nothing about progress")
        options.for_programs(add, "what was fetched and what failed as a JSON object")
        options.debug(add)
    return top


def main(argv: Sequence[str]) -> int:
    """Run `ccsr data` with the arguments after that word; returns the exit code.

    Raises:
        ValueError: for arguments that contradict each other, or licences that are not agreed to.
        OSError: for a folder that cannot be read or written.
    """
    args = parser().parse_args(argv)
    if args.mirror and args.server:
        raise ValueError("--mirror and --server are two places to fetch from: give one of them")
    folder: Path = args.folder
    chosen = open_tiles.tiles()[: args.tiles] if args.name == "open" else []
    if args.name == "open":
        tasks = open_tiles.tasks(chosen, folder)
        licences = [f"{n} x {name}" for name, n in Counter(t.licence for t in chosen).most_common()]
    elif args.name == "div2k":
        tasks, licences = archives.div2k_tasks(folder), [archives.DIV2K_TERMS]
    else:
        tasks = archives.benchmark_tasks(args.sets, folder)
        licences = [f"{name}: {archives.BENCHMARKS[name][0]}" for name in args.sets]
    size = sum(task.file.size for task in tasks)
    told = {"folder": str(folder), "files": len(tasks), "bytes": size, "licences": licences}
    if not args.json:
        terminal.tell(f"{len(tasks)} files to fetch, {size / 1e6:,.0f} MB, into {folder}")
        terminal.tell("\n".join(["licences:", *(f"  {line}" for line in licences)]))
    if args.dry_run:
        return _finish(args, told)
    restricted = args.name == "div2k" or any(
        archives.BENCHMARKS[name][1] for name in getattr(args, "sets", [])
    )
    if tasks and restricted and not args.accept:
        _ask(may=not args.json)
    if tasks and folder.exists() and shutil.disk_usage(folder).free < size:
        raise OSError(f"{folder} has not {size / 1e6:,.0f} MB free: make room, or choose another")
    failures = _fetch(tasks, args)
    if args.name == "open":
        open_tiles.write_attribution(chosen, folder)
        if not args.json:
            terminal.tell(f"whom to credit: {folder / open_tiles.ATTRIBUTION}")
    return _finish(args, told, len(tasks) - len(failures), failures)


def _finish(
    args: argparse.Namespace, told: dict[str, Any], done: int = 0, failures: Sequence[str] = ()
) -> int:
    """Tell programs what came of it; returns the exit code."""
    if args.json:
        terminal.tell(terminal.as_json(told | {"done": done, "failed": failures}, indent=2))
    return 1 if failures else 0


def _fetch(tasks: list[Task], args: argparse.Namespace) -> list[str]:
    """Do the tasks and say which failed; returns a sentence for each."""
    line = StatusLine(args.quiet)
    stop = threading.Event()
    received, finished, clock, since = 0, 0, Clock(), time.monotonic()
    ended = 0  # bytes of the files that are finished, also of what had come before
    total = sum(task.file.size for task in tasks)

    def show(count: int) -> None:
        nonlocal received
        received += count
        rate = received / max(time.monotonic() - since, 1e-3)
        line.rewrite(
            f"{finished}/{len(tasks)} files, {max(received, ended) / 1e6:,.0f} of "
            f"{total / 1e6:,.0f} MB, {rate / 1e6:.1f} MB/s, "
            f"{clock.left(max(received, ended) / max(total, 1))} left"
        )

    def done(task: Task) -> None:
        nonlocal finished, ended
        finished, ended = finished + 1, ended + task.file.size
        show(0)

    source: Source = Mirror(args.mirror) if args.mirror else Web(args.server, show, stop)
    try:
        failures = gather(tasks, source, args.folder, args.jobs, done, stop)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("the same command goes on from here") from error
    if not args.quiet:
        line.say(f"{len(tasks) - len(failures)} of {len(tasks)} files done")
    for failure in failures[:LISTED_FAILURES]:
        line.complain(failure)
    if len(failures) > LISTED_FAILURES:
        line.complain(f"and {len(failures) - LISTED_FAILURES} more")
    if failures:
        line.say("ccsr: the same command tries these again and keeps what is there")
    return failures


def _ask(may: bool) -> None:
    """Go on only if the user agrees to what was shown, and may be asked.

    Raises:
        ValueError: if not, or nobody can be asked.
    """
    if may and sys.stdin.isatty():
        terminal.say("Agree to these terms? Type yes:")
        if sys.stdin.readline().strip().lower() == "yes":
            return
        raise ValueError("not agreed to, so nothing was fetched")
    raise ValueError("these licences must be agreed to: give --accept")
