"""What `ccsr evaluate` takes."""

import argparse
import textwrap
from pathlib import Path
from typing import Any, get_args

from ccsr.choices import Table
from ccsr.cli import arguments, options
from ccsr.evaluation.names import LARGEST_SCALE
from ccsr.grid import Pair
from ccsr.image.degrade import Degrade
from ccsr.protocols import PROTOCOLS, EvaluationProtocol, by_name

_EPILOG = """\
protocols:
{protocols}

Folders are read as they are distributed: images directly, HR/, GTmod12/, test/, DIV2K with its
halves beside each other (of which the validation images are taken),
image_SRF_2/img_001_SRF_2_HR.png. With --out DIR this writes results.json, results.csv,
curve.png and crops.png there (pictures need: pip install 'ccsr[evaluate]'), and keeps what is
measured in DIR/cache, so that the same command goes on where it was stopped; without --out,
--cache and --dump nothing is written. Exit code 1 if any image had to be left out.

examples:
  ccsr evaluate --data Set5 --scales 2,3.5,4x1.5 --model light light@4+lanczos lanczos
  ccsr evaluate --data Set5 --model mine=runs/FOLDER --results theirs=FOLDER --compare mine theirs
"""


def parser() -> arguments.Parser:
    """The flags of `ccsr evaluate`."""
    listing = "\n".join(
        textwrap.fill(
            f"{each.name}: {each.definition}", 96, initial_indent="  ", subsequent_indent="    "
        )
        for each in PROTOCOLS.values()
    )
    flags = arguments.Parser(
        "ccsr evaluate",
        description="Measure networks, fixed kernels and other programs' pictures side by side, by "
        "named protocols.",
        epilog=_EPILOG.format(protocols=listing),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_images(flags.add_argument)
    _add_contenders(flags.add_argument_group("what is measured").add_argument)
    _add_results(flags.add_argument_group("what comes of it").add_argument)
    options.for_programs(flags.add_argument, "what results.json would hold")
    options.debug(flags.add_argument)
    return flags


def _add_images(add: options.Add) -> None:
    add(
        "--data", nargs="+", action="extend", type=arguments.path, required=True, metavar="DIR",
        help="folders of test images in high resolution",
    )  # fmt: skip
    add(
        "--lr", type=arguments.path, metavar="DIR",
        help="take low-resolution images from there, paired by name, instead of making them",
    )  # fmt: skip
    add(
        "--scales", type=_scales, action="extend", metavar="S[,S...]",
        help="the factors to measure at, or WIDTHxHEIGHT pairs of them; default: 2,3,4",
    )  # fmt: skip
    add(
        "--degrade", type=_degrade, action=_Once, metavar="CHAIN",
        help="send the low-resolution images through jpeg:QUALITY, webp:QUALITY, noise:LEVELS or "
        "blur:PIXELS, or several, as in jpeg:40+noise:3; the scale 1 is allowed then",
    )  # fmt: skip
    add(
        "--protocol", nargs="+", action="extend", type=_protocol, metavar="NAME",
        help="how images are reduced and compared: one or several of those below, or "
        "package.module:NAME of your own; default: benchmark-y",
    )  # fmt: skip
    add(
        "--limit", type=arguments.whole, metavar="N",
        help="measure only the first N images of each folder",
    )  # fmt: skip


def _add_contenders(add: options.Add) -> None:
    add(
        "--model", nargs="+", action="extend", metavar="MODEL",
        help="a model's name or file; a run's folder; that of a sweep, whose jobs are told as mean "
        "and standard deviation over seeds; liif:FILE, the file that LIIF's authors "
        "published for EDSR-baseline; bicubic; lanczos; NAME+flips, which is the "
        "network's mean over flips and quarter turns; or NAME@4+lanczos, which is the network at "
        "4, not rounded, then Lanczos to the size. LABEL=MODEL names it in tables. bicubic is "
        "always added; default: light",
    )  # fmt: skip
    options.trust(add)
    add(
        "--results", nargs="+", action="extend", type=_results, default=[], metavar="NAME=FOLDER",
        help="pictures that another program wrote, found by their names: Set5/X2/babyx2.png, "
        "X2/baby.png, baby_x2_SR.png and the like",
    )  # fmt: skip
    options.device(add, default="auto")
    options.precision(add, default="fp32")


def _add_results(add: options.Add) -> None:
    add(
        "--out", type=arguments.folder, metavar="DIR",
        help="the folder for the results, which is made if it is missing",
    )  # fmt: skip
    add(
        "--table", choices=get_args(Table), default="text",
        help="how the table is printed; LaTeX needs the package booktabs; default: text",
    )  # fmt: skip
    add(
        "--compare", nargs=2, action="append", default=[], metavar=("A", "B"),
        help="two models as the table calls them: their differences on the same images, with a "
        "95 %% bootstrap interval; may be repeated",
    )  # fmt: skip
    add(
        "--dump", type=arguments.folder, metavar="FOLDER",
        help="write the outputs there, as FOLDER/MODEL/PROTOCOL/Set5/X2/babyx2.png, and what they "
        "were made from in FOLDER/LR; --results takes FOLDER/MODEL",
    )  # fmt: skip
    add(
        "--cache", type=arguments.folder, metavar="FOLDER",
        help="keep what is measured there, and measure nothing again that has not changed; "
        "several runs may share it; default: the folder cache in --out",
    )  # fmt: skip
    add(
        "--lpips", action="store_true",
        help="measure LPIPS too, which needs: pip install 'ccsr[metrics]'",
    )  # fmt: skip
    add("--quiet", action="store_true", help="say nothing about progress")


def _protocol(name: str) -> EvaluationProtocol:
    try:
        return by_name(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _results(text: str) -> tuple[str, Path]:
    """`NAME=FOLDER`."""
    name, _, folder = text.partition("=")
    if not name or not folder:
        raise argparse.ArgumentTypeError(f"expected NAME=FOLDER, got {text!r}")
    return name, Path(folder).expanduser()


def _scales(text: str) -> list[Pair]:
    """`1.5,2,4x1.5` -> (vertical, horizontal) pairs."""
    pairs = [arguments.scale(part) for part in text.split(",")]
    for pair in pairs:
        if not 1 <= min(pair) <= max(pair) <= LARGEST_SCALE:
            raise argparse.ArgumentTypeError(
                f"expected factors of 1 to {LARGEST_SCALE}, got {text!r}"
            )
    return pairs


class _Once(argparse.Action):
    """An option that may stand once: the last of several would be all that is heard."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Keep the value."""
        if getattr(namespace, self.dest) is not None:
            raise argparse.ArgumentError(
                self, "given twice: join the steps of one chain, as in jpeg:40+noise:3"
            )
        setattr(namespace, self.dest, values)


def _degrade(text: str) -> Degrade:
    try:
        return Degrade.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
