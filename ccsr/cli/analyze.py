"""`ccsr analyze NAME`: run one analysis, print its tables, write them, its records and pictures."""

import argparse
import shlex
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from ccsr import terminal
from ccsr.analysis import ANALYSES
from ccsr.analysis.findings import Findings, Options
from ccsr.atomic import replacing
from ccsr.choices import Encoder
from ccsr.cli import arguments, options
from ccsr.distribution import remedy
from ccsr.evaluation import plots
from ccsr.evaluation.results import environment, json_text, write_json
from ccsr.model.checkpoint import called
from ccsr.suggest import near

# those that not every analysis reads, and what they are called among its options
FLAGS = {
    "model": "models",
    "trust": "trust",
    "data": "data",
    "test": "test",
    "encoder": "encoder",
    "limit": "limit",
    "steps": "steps",
}


def parser() -> argparse.ArgumentParser:
    """The flags of `ccsr analyze`."""
    listing = "\n".join(f"  {name:<13}{analysis.text}" for name, analysis in ANALYSES.items())
    flags = arguments.Parser(
        "ccsr analyze",
        description="Study continuous convolution layers, and networks that are made of them.",
        epilog=f"analyses:\n{listing}\n\nexample:\n  ccsr analyze alignment --out results",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = flags.add_argument
    add("name", type=_name, metavar="NAME", help="the analysis, one of those below")
    add(
        "--out", type=arguments.folder, metavar="DIR",
        help="the folder for NAME.json, NAME.md and pictures, which is made if it is missing",
    )  # fmt: skip
    add(
        "--model", nargs="+", action="extend", default=[], metavar="NAME|FILE",
        help="the networks to analyse; default: light (effort: elastic and light; degradation: "
        "light, base, photo and photo-base). heads compares these finished runs, "
        "given as folders or files, instead of training its own. alignment and gradual take none",
    )  # fmt: skip
    options.trust(add)
    add(
        "--data", type=arguments.path, metavar="PATH", help="equivariance and "
        "consistency: the image to measure on; degradation, ensembles and effort: the folder of "
        "images to measure on; gradual and heads: the folder of photos to train on; default: "
        "pictures that come with ccsr",
    )  # fmt: skip
    add(
        "--test", type=arguments.path, metavar="PATH", help="heads: the folder of images to "
        "measure on; default: pictures that come with ccsr",
    )  # fmt: skip
    add(
        "--encoder", choices=get_args(Encoder), help="heads: the encoder that all of them "
        "share, that of `light` (for a GPU) or a small one with smaller batches (for a CPU); "
        f"default: {Options.encoder}",
    )  # fmt: skip
    add("--limit", type=arguments.whole, metavar="N", help="measure on the first N images only")
    add(
        "--steps", type=arguments.whole, metavar="N",
        help=f"gradual and heads: the steps of each training; default: {Options.steps}",
    )  # fmt: skip
    options.for_programs(add, "what NAME.json would hold")
    options.debug(add)
    return flags


def main(argv: Sequence[str]) -> int:
    """Run `ccsr analyze` with the arguments after that word; returns the exit code.

    Raises:
        ValueError: for input that cannot be analysed.
        OSError: for files that cannot be read or written.
    """
    args = parser().parse_args(argv)
    analysis = ANALYSES[args.name]
    reads = {*analysis.reads, *(["trust"] if "model" in analysis.reads else [])}
    given = {flag: value for flag in FLAGS if (value := getattr(args, flag))}
    unread = [flag for flag in given if flag not in reads]
    if unread:
        raise ValueError(f"{args.name} has no use for --{' and --'.join(unread)}: leave that out")
    unread = [flag for flag in given if args.model and flag in analysis.trains]
    if unread:
        raise ValueError(
            f"{args.name} trains nothing where --model gives its networks, so it has no use for "
            f"--{' and --'.join(unread)}: leave that out"
        )
    names = [called(model) for model in args.model]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"--model: expected different names, got {', '.join(twice)} twice: rename a file"
        )
    if args.out:
        _check_out(args.out, [each for each in (args.data, args.test) if each])
        args.out.mkdir(parents=True, exist_ok=True)
        if not plots.available():
            terminal.say(f"ccsr: pictures need matplotlib: {remedy('evaluate')}")
    start = time.monotonic()
    chosen = {FLAGS[flag]: value for flag, value in given.items()}
    findings = analysis.run(Options(out=args.out, **chosen))
    document = {
        "analysis": args.name,
        "command": shlex.join(["ccsr", "analyze", *argv]),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - start, 1),
        "environment": environment(),
        "records": [dict(record) for record in findings.records],
    }
    try:  # first what is written, then what is printed: one of them may fail
        if args.out:
            _write(args.out, args.name, document, findings)
    finally:
        if args.json:
            terminal.tell(json_text(document))
        else:
            terminal.tell("\n\n".join(map(str, findings.tables)))
    return 0


def _check_out(out: Path, sources: Sequence[Path]) -> None:
    """See that pictures of results, and of runs, will not be found as images to measure on."""
    for each in sources:
        if each.is_dir() and out.resolve().is_relative_to(each.resolve()):
            raise ValueError(
                f"--out: the pictures in {out} would count as images of {each} the next time: "
                "choose a folder beside it"
            )


def _write(out: Path, name: str, document: dict[str, object], findings: Findings) -> None:
    write_json(out / f"{name}.json", document)
    with replacing(out / f"{name}.md") as temporary:
        text = "\n".join(table.markdown() for table in findings.tables)
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    if plots.available():
        for file, draw in findings.pictures.items():
            draw(out / file)


def _name(text: str) -> str:
    if text not in ANALYSES:
        raise argparse.ArgumentTypeError(f"unknown analysis {text!r}: {near(text, ANALYSES)}")
    return text
