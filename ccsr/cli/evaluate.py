"""`ccsr evaluate`: networks and fixed kernels side by side, on any scales, by a named protocol."""

import argparse
import shlex
import sys
import textwrap
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from ccsr import terminal
from ccsr.cli import arguments, options
from ccsr.cli.progress import StatusLine
from ccsr.clock import Clock
from ccsr.evaluation import plots
from ccsr.evaluation.measure import Comparison, Findings, measure
from ccsr.evaluation.methods import BICUBIC, build
from ccsr.evaluation.results import LeftOut, environment, json_text, means, write_csv, write_json
from ccsr.evaluation.table import infinite, table
from ccsr.evaluation.testsets import find_all
from ccsr.grid import Pair
from ccsr.image.degrade import Degrade
from ccsr.metrics import load_lpips
from ccsr.protocols import PROTOCOLS, EvaluationProtocol, by_name

LARGEST_SCALE = 100
_EPILOG = """\
protocols:
{protocols}

Folders are read as they are distributed: images directly, HR/, GTmod12/, test/, DIV2K with its
halves beside each other (of which the validation images are taken),
image_SRF_2/img_001_SRF_2_HR.png. With --out DIR this writes results.json, results.csv,
curve.png and crops.png there (pictures need: pip install 'ccsr[evaluate]'); without it nothing
is written. Exit code 1 if any image had to be left out.

example:
  ccsr evaluate --data Set5 --scales 2,3.5,4x1.5 --model light light@4+lanczos lanczos
"""


def parser() -> argparse.ArgumentParser:
    """The flags of `ccsr evaluate`."""
    listing = "\n".join(
        textwrap.fill(
            f"{each.name}: {each.definition}", 96, initial_indent="  ", subsequent_indent="    "
        )
        for each in PROTOCOLS.values()
    )
    flags = arguments.Parser(
        "ccsr evaluate",
        description="Measure networks and fixed kernels side by side, by a named protocol.",
        epilog=_EPILOG.format(protocols=listing),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = flags.add_argument
    add(
        "--data", nargs="+", type=arguments.path, required=True, metavar="DIR",
        help="folders of test images in high resolution",
    )  # fmt: skip
    add(
        "--lr", type=arguments.path, metavar="DIR",
        help="take low-resolution images from there, paired by name, instead of making them",
    )  # fmt: skip
    add(
        "--scales", type=_scales, default=[(2.0, 2.0), (3.0, 3.0), (4.0, 4.0)],
        metavar="S[,S...]",
        help="the factors to measure at, or WIDTHxHEIGHT pairs of them; default: 2,3,4",
    )  # fmt: skip
    add(
        "--degrade", type=_degrade, metavar="CHAIN",
        help="send the low-resolution images through jpeg:QUALITY, webp:QUALITY, noise:LEVELS or "
        "blur:PIXELS, or several, as in jpeg:40+noise:3; the scale 1 is allowed then",
    )  # fmt: skip
    add(
        "--protocol", type=_protocol, default="benchmark-y", metavar="NAME",
        help="how images are reduced and compared: one of those below, or package.module:NAME of "
        "your own; default: %(default)s",
    )  # fmt: skip
    add(
        "--model", nargs="+", default=[BICUBIC, "light"], metavar="MODEL",
        help="what to measure: a model's name or file; liif:FILE, the file that LIIF's authors "
        "published for EDSR-baseline; bicubic; lanczos; NAME+flips, which is the "
        "network's mean over flips and quarter turns; or NAME@4+lanczos, which is the network at "
        "4, not rounded, then Lanczos to the size. bicubic is always added; default: light",
    )  # fmt: skip
    options.trust(add)
    add(
        "--out", type=arguments.path, metavar="DIR",
        help="the folder for the results, which is made if it is missing",
    )  # fmt: skip
    add(
        "--limit", type=arguments.whole, metavar="N",
        help="measure only the first N images of each folder",
    )  # fmt: skip
    add(
        "--lpips", action="store_true",
        help="measure LPIPS too, which needs: pip install 'ccsr[metrics]'",
    )  # fmt: skip
    options.device(add, default="auto")
    options.precision(add, default="fp32")
    add("--quiet", action="store_true", help="say nothing about progress")
    options.for_programs(add, "what results.json would hold")
    options.debug(add)
    return flags


def _protocol(name: str) -> EvaluationProtocol:
    try:
        return by_name(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main(argv: Sequence[str]) -> int:
    """Run `ccsr evaluate` with the arguments after that word; returns the exit code.

    Raises:
        ValueError: for input that cannot be evaluated.
        OSError: for files that cannot be read or written.
    """
    flags = parser()
    args = flags.parse_args(argv)
    if (1.0, 1.0) in args.scales and not args.degrade:
        flags.error("--scales: at 1 an image is its own enlargement: leave it out, or --degrade it")
    protocol = args.protocol
    for scale in args.scales:
        protocol.crop((10**6, 10**6), scale)  # a scale it cannot do is no image's fault
    testsets = find_all(args.data)
    images = [(testset, key) for testset in testsets for key in testset.names()[: args.limit]]
    if args.lr and not args.lr.is_dir():
        raise NotADirectoryError(f"--lr: expected a folder, got {args.lr}")
    names = args.model if BICUBIC in args.model else [BICUBIC, *args.model]
    comparison = Comparison(
        methods=build(names, protocol, args.device, args.precision, args.trust),
        scales=args.scales,
        protocol=protocol,
        lr=args.lr,
        lpips=load_lpips() if args.lpips else None,
        degrade=args.degrade,
        crop_scale=_crop_scale(args.scales) if args.out and len(names) > 1 else None,
    )
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        if not plots.available():
            terminal.say(
                "ccsr: curve.png and crops.png need matplotlib: pip install 'ccsr[evaluate]'"
            )
    with _Progress(len(images), args.quiet, args.debug) as progress:
        findings = measure(comparison, images, progress.show, progress.complain)
    if not findings.records:
        raise ValueError("no image could be evaluated: every one was left out")
    document = _document(findings, comparison, args, argv)
    if args.out:  # before anything is printed, which may fail
        _write(args.out, findings, comparison, document)
    if args.json:
        terminal.tell(json_text(document))
    else:
        _print(findings, comparison)
    return 1 if findings.left_out else 0


def _document(
    findings: Findings, comparison: Comparison, args: argparse.Namespace, argv: Sequence[str]
) -> dict[str, object]:
    """All that was found and how, for programs."""
    return {
        "protocol": {
            "name": comparison.protocol.name,
            "definition": comparison.protocol.definition,
        },
        "degrade": comparison.degrade
        and {"chain": comparison.degrade.text, "definition": comparison.degrade.definition},
        "command": shlex.join(["ccsr", "evaluate", *argv]),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": args.device,
        "precision": args.precision,
        "environment": environment(),
        "models": [
            {"name": m.name, "checkpoint": m.checkpoint and str(m.checkpoint), "sha256": m.sha256}
            for m in comparison.methods
        ],
        "means": [row.row() for row in means(findings.records)],
        "images": [record.row() for record in findings.records],
        "left_out": [asdict(image) for image in findings.left_out],
    }


def _write(
    folder: Path, findings: Findings, comparison: Comparison, document: dict[str, object]
) -> None:
    """Write the files of the folder that is given."""
    rows = means(findings.records)
    write_csv(folder / "results.csv", rows)
    write_json(folder / "results.json", document)
    if plots.available():
        plots.draw_curve(folder / "curve.png", rows, comparison.protocol.name)
        if comparison.crop_scale:
            plots.draw_crops(folder / "crops.png", findings.crops, comparison.crop_scale)


def _print(findings: Findings, comparison: Comparison) -> None:
    """Print the table."""
    definition = f"Protocol {comparison.protocol.name}. {comparison.protocol.definition}."
    if comparison.degrade:
        definition += f" {comparison.degrade.definition}."
    terminal.tell(textwrap.fill(definition, 96) + "\n")
    terminal.tell(table(means(findings.records), bold=sys.stdout.isatty()), styled=True)
    for line in infinite(findings.records):
        terminal.tell(f"\n{line}.")
    if findings.left_out:
        count = len(findings.left_out)
        terminal.tell(
            f"\n{count} image{'s' if count > 1 else ''} left out of every mean, see above."
        )


def _crop_scale(scales: Sequence[Pair]) -> Pair:
    """The scale to look at: the one nearest to 4 in area."""
    return min(scales, key=lambda scale: abs(scale[0] * scale[1] - 16))


def _scales(text: str) -> list[Pair]:
    """`1.5,2,4x1.5` -> (vertical, horizontal) pairs."""
    pairs = list(dict.fromkeys(arguments.scale(part) for part in text.split(",")))
    for pair in pairs:
        if not 1 <= min(pair) <= max(pair) <= LARGEST_SCALE:
            raise argparse.ArgumentTypeError(
                f"expected factors of 1 to {LARGEST_SCALE}, got {text!r}"
            )
    return pairs


def _degrade(text: str) -> Degrade:
    try:
        return Degrade.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


class _Progress:
    """Images done and time left; a line now and then where it is no terminal."""

    SECONDS_BETWEEN_LINES = 30

    def __init__(self, total: int, quiet: bool, debug: bool) -> None:
        self.total, self.quiet, self.debug = total, quiet, debug
        self.clock, self.last = Clock(), time.monotonic()
        self.line = StatusLine(quiet)

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self.line.rewrite("")

    def show(self, done: int) -> None:
        """Say that `done` images are done."""
        now = time.monotonic()
        text = f"{done} of {self.total} images, {self.clock.left(done / self.total)} left"
        self.line.rewrite(text)
        late = now - self.last > self.SECONDS_BETWEEN_LINES
        if late and not (self.quiet or self.line.rewritable):
            self.line.say(f"ccsr: {text}")
            self.last = now

    def complain(self, image: LeftOut, error: Exception) -> None:
        """Say that an image is left out, and why."""
        if self.debug:
            self.line.trace("".join(traceback.format_exception(error)))
        self.line.say(f"ccsr: {image.testset} {image.image}: left out: {image.reason}")
