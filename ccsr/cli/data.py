"""`ccsr data`: build data sets on this machine, from where they are published."""

import argparse
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ccsr import terminal
from ccsr.cli import arguments, options
from ccsr.cli.interrupts import ended_as_interrupted
from ccsr.cli.progress import StatusLine
from ccsr.clock import Clock
from ccsr.datasets import archives, open_tiles
from ccsr.datasets.gather import Task, gather, room_needed
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
                help="of those to train on build only the N that teach most; default: all",
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
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"expected a folder, or the name of a new one, got {folder}")
    tasks, licences = _wanted(args)
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
    _check_room(tasks, folder, mirrored=args.mirror is not None)
    fetching = _Fetching(tasks, args)
    try:
        fetching.run()
    except (OSError, KeyboardInterrupt) as error:
        with suppress(OSError):  # which is what went wrong
            _credit(args)
        how = "the same command goes on from here"
        if isinstance(error, KeyboardInterrupt):
            _finish(args, told, fetching)
            raise KeyboardInterrupt(how) from error
        _finish(args, told, fetching, str(error))
        raise OSError(f"{error} ({how} when that is mended)") from error
    fetching.tell()
    _credit(args)
    return _finish(args, told, fetching)


def _wanted(args: argparse.Namespace) -> tuple[list[Task], list[str]]:
    """What is to be done, and the licences of what is asked for, a line each."""
    if args.name == "div2k":
        return archives.div2k_tasks(args.folder), [archives.DIV2K_TERMS]
    if args.name == "benchmarks":
        sets = list(dict.fromkeys(args.sets))
        licences = [f"{name}: {archives.BENCHMARKS[name][0]}" for name in sets]
        return archives.benchmark_tasks(sets, args.folder), licences
    listed = open_tiles.tiles()
    teaching = [tile for tile in listed if not tile.kind]
    if args.tiles is not None and args.tiles > len(teaching):
        raise ValueError(f"--tiles: the list has {len(teaching)} to train on, got {args.tiles}")
    chosen = [*teaching[: args.tiles], *(tile for tile in listed if tile.kind)]
    licences = [f"{n} x {name}" for name, n in Counter(t.licence for t in chosen).most_common()]
    return open_tiles.tasks(chosen, args.folder), licences


def _check_room(tasks: Sequence[Task], folder: Path, mirrored: bool) -> None:
    """See that there is room for what is still to come, before anything is fetched.

    Raises:
        OSError: if not.
    """
    needed, place = room_needed(tasks, folder, mirrored), folder.absolute()
    while not place.exists():
        place = place.parent
    if tasks and (free := shutil.disk_usage(place).free) < needed:
        raise OSError(
            f"{folder} has not {needed / 1e6:,.0f} MB free: expected room for what is still to be "
            f"fetched and made, got {free / 1e6:,.0f} MB: make room, or choose another folder"
        )


def _credit(args: argparse.Namespace) -> None:
    """Write whom to credit for the open tiles, of all that are there."""
    if args.name != "open" or not args.folder.is_dir():
        return
    open_tiles.write_attribution(open_tiles.tiles(), args.folder)
    if not args.json:
        terminal.tell(f"whom to credit: {args.folder / open_tiles.ATTRIBUTION}")


def _finish(
    args: argparse.Namespace,
    told: dict[str, Any],
    fetching: "_Fetching | None" = None,
    stopped: str = "",
) -> int:
    """Tell programs what came of it, and what ended it early; returns the exit code."""
    done, failures = (fetching.succeeded, fetching.failures) if fetching else (0, [])
    if args.json:
        failed = [*failures, *filter(None, [stopped])]
        terminal.tell(terminal.as_json(told | {"done": done, "failed": failed}, indent=2))
    return 1 if failures else 0


class _Fetching:
    """Does the tasks, and says how far it is.

    Args:
        tasks: what is to be done.
        args: of the command.

    Attributes:
        failures: a sentence for each that failed, as far as it has run.

    Raises:
        ValueError: for a server that is none.
        OSError: for a mirror that is none.
    """

    def __init__(self, tasks: Sequence[Task], args: argparse.Namespace) -> None:
        self._tasks, self._args, self._line = tasks, args, StatusLine(args.quiet)
        self._total = sum(task.file.size for task in tasks)
        self._received = self._finished = 0
        self._ended = 0  # bytes of the files that are finished, also of what had come before
        self._clock, self._since = Clock(), time.monotonic()
        self.failures: list[str] = []
        self._stop, server = threading.Event(), args.server
        self._source: Source = (
            Mirror(args.mirror) if args.mirror else Web(server, self._show, self._stop)
        )

    def run(self) -> None:
        """Do them all.

        Raises:
            OSError: if something cannot be written.
            KeyboardInterrupt: on Ctrl-C, or SIGTERM.
        """
        args = self._args
        try:
            with ended_as_interrupted():
                self.failures = gather(
                    self._tasks, self._source, args.folder, args.jobs, self._done, self._stop,
                    self.failures.append,
                )  # fmt: skip
        finally:
            self._line.rewrite("")

    @property
    def succeeded(self) -> int:
        """How many of the tasks are done."""
        return self._finished - len(self.failures)

    def tell(self) -> None:
        """Say what failed."""
        if not self._args.quiet:
            self._line.say(f"{self.succeeded} of {len(self._tasks)} files done")
        for failure in self.failures[:LISTED_FAILURES]:
            self._line.complain(failure)
        if len(self.failures) > LISTED_FAILURES:
            self._line.complain(f"and {len(self.failures) - LISTED_FAILURES} more")
        if self.failures:
            self._line.say("ccsr: the same command tries these again and keeps what is there")

    def _show(self, count: int) -> None:
        self._received += count
        rate = self._received / max(time.monotonic() - self._since, 1e-3)
        come = max(self._received, self._ended)
        self._line.rewrite(
            f"{self._finished}/{len(self._tasks)} files, {come / 1e6:,.0f} of "
            f"{self._total / 1e6:,.0f} MB, {rate / 1e6:.1f} MB/s, "
            f"{self._clock.left(come / max(self._total, 1))} left"
        )

    def _done(self, task: Task) -> None:
        self._finished, self._ended = self._finished + 1, self._ended + task.file.size
        self._show(0)


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
