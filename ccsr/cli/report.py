"""`ccsr report FILE.jsonl...`: sum up what came of runs of `ccsr upscale`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ccsr import terminal
from ccsr.cli import arguments, options

if TYPE_CHECKING:  # slow to import
    from ccsr.jobs.summary import Summary

LISTED = 20  # shards without a report that are named


def parser() -> arguments.Parser:
    """The options of `ccsr report`."""
    parser = arguments.Parser(
        "ccsr report",
        description="Sum up the reports of one or more runs of `ccsr upscale --report`: what is "
        "done, what failed and why, what is missing, and how fast it went. The exit code is 1 "
        "unless everything is done.",
        epilog="Example: ccsr report run-*.jsonl",
    )
    add = parser.add_argument
    add(
        "reports", metavar="FILE.jsonl", nargs="+", type=arguments.anywhere,
        help="the reports, of all shards and repetitions; a picture in several counts once",
    )  # fmt: skip
    options.for_programs(add, "the sums as a JSON object")
    options.debug(add)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run `ccsr report` with the arguments after that word; returns the exit code.

    Raises:
        ValueError: for a file that is no report.
        OSError: for a file that cannot be read.
    """
    args = parser().parse_args(argv)

    from ccsr.jobs.summary import summed_up

    found = summed_up(args.reports)
    if args.json:
        terminal.tell(terminal.as_json(asdict(found) | {"complete": found.complete}, indent=2))
    else:
        terminal.tell("\n".join(_lines(found)))
    return 0 if found.complete else 1


def _lines(found: "Summary") -> list[str]:
    missing = f", {found.missing} missing" if found.missing else ""
    lines = [f"{found.pictures} pictures: {found.done} done, {len(found.failed)} failed{missing}"]
    lines += [f"failed: {why}" for why in map(terminal.shown, found.failed)]
    lines += map(terminal.shown, found.notes)
    lines += [f"there is no report of shard {shard}" for shard in found.absent[:LISTED]]
    if len(found.absent) > LISTED:
        lines.append(f"nor of {len(found.absent) - LISTED} further shards of them")
    if found.missing or found.absent or found.silent:
        lines.append("the same commands with --exists skip do what is missing")
    if found.seconds:
        each, together = found.pixels / found.seconds, found.pixels / found.span
        lines.append(
            f"{found.pixels / 1e6:,.1f} million pixels: {each / 1e6:.2f} million in a second of "
            f"work, {together / 1e6:.2f} million a second from the first begin to the last end"
        )
    return lines
