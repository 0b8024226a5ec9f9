"""What the commands of pictures take: their parsers, without anything that is slow to import."""

import argparse
from collections.abc import Callable
from typing import Never

from ccsr.cli import arguments

EXAMPLE = "ccsr upscale photo.jpg --scale 2.37"


def upscale() -> argparse.ArgumentParser:
    """Those of `ccsr upscale`."""
    parser = argparse.ArgumentParser(
        "ccsr upscale",
        description="Enlarge (or reduce) pictures to any size.",
        epilog=f"x stands between width and height, in this order. Example: {EXAMPLE}",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "inputs",
        metavar="INPUT",
        nargs="+",
        type=arguments.path,
        help="image file, or folder of them",
    )
    add(
        "-o", "--output", type=arguments.place, metavar="OUT",
        help="file, or folder (end it with /); default: NAME_2.37x.png beside the input",
    )  # fmt: skip
    size = parser.add_argument_group("size, one of")
    size.add_argument(
        "--scale", type=arguments.scale, metavar="S|WxH", help="factor: 2.37, or 2x1.5"
    )
    size.add_argument("--size", type=arguments.size, metavar="WxH", help="pixels: 1920x1080")
    size.add_argument(
        "--width", type=arguments.whole, metavar="W", help="pixels; keeps the aspect ratio"
    )
    size.add_argument(
        "--height", type=arguments.whole, metavar="H", help="likewise; both together: --size"
    )
    add("--model", default="light", metavar="NAME|FILE", help="see ccsr models; default: light")
    add_trust(parser)
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    add(
        "--precision", default="auto", choices=("auto", "fp32", "bf16"),
        help="auto: bf16 where the processor computes in it, but fp32 for pictures of 16 bits; "
        "default: auto",
    )  # fmt: skip
    add(
        "--tile", type=_tile, default="auto", metavar="auto|off|N",
        help="side, in output pixels, of what is computed at once; auto: by --memory; "
        "default: auto",
    )  # fmt: skip
    add(
        "--ensemble", default="", metavar="WHAT",
        help="flips: average over flips and quarter turns (8 times the work)",
    )  # fmt: skip
    add(
        "--effort", default="1", metavar="0.25..1|auto:SECONDS",
        help="share of the work, for models that offer it; auto: what fits into a time a picture",
    )  # fmt: skip
    add(
        "--memory", type=arguments.memory, metavar="AMOUNT",
        help="2GB, 500MB: what pieces may take, and a .tif that takes more is written in strips; "
        "default: a quarter of what is free",
    )  # fmt: skip
    add("--quiet", action="store_true", help="print errors only")
    add("--debug", action="store_true", help="show tracebacks")
    _add_file_options(parser)
    _add_folder_options(parser)
    return parser


def _add_file_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("files").add_argument
    add(
        "--format", default="png", choices=("same", "png", "jpg", "webp", "tiff", "avif"),
        help="of outputs without a name of their own; same: as the input; default: png",
    )  # fmt: skip
    add(
        "--quality", type=arguments.percent, metavar="1-100",
        help="of jpg (default 95), webp (95) and avif (90)",
    )  # fmt: skip
    add("--lossless", action="store_true", help="webp too; png and tiff always are")
    add(
        "--background", type=arguments.colour, metavar="COLOUR",
        help="behind transparency where the format has none: white, '#f0f0f0'",
    )  # fmt: skip
    add(
        "--metadata", default="keep", choices=("keep", "no-gps", "strip"),
        help="EXIF, XMP, DPI; strip leaves the colour profile; default: keep",
    )  # fmt: skip
    add(
        "--max-pixels", type=arguments.whole, default=200_000_000, metavar="N",
        help="of an input with all its frames; more is refused; default: 200 million",
    )  # fmt: skip


def _add_folder_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("folders and many files").add_argument
    add(
        "--recursive",
        action="store_true",
        help="take subfolders too, and keep their tree in the output folder",
    )
    add(
        "--exists",
        default="error",
        choices=("error", "skip", "overwrite"),
        help="what to do about outputs that exist; skip goes on with a stopped run; default: error",
    )
    add("--dry-run", action="store_true", help="print the outputs and their sizes, write nothing")
    add(
        "--report", type=arguments.path, metavar="FILE.jsonl",
        help="write what came of each picture, one JSON object a line",
    )  # fmt: skip


def export() -> argparse.ArgumentParser:
    """Those of `ccsr export`."""
    parser = argparse.ArgumentParser(
        "ccsr export",
        description="Write a model as an ONNX file, for pictures of any size.",
        epilog="Example: ccsr export --scale 2.5 -o light_2.5x.onnx",
        allow_abbrev=False,
    )
    add = parser.add_argument
    scale = parser.add_mutually_exclusive_group(required=True)
    scale.add_argument(
        "--scale", type=arguments.scale, metavar="S|WxH", help="factor of the file: 2.5, or 2x1.5"
    )
    scale.add_argument(
        "--dynamic-scale", action="store_true",
        help="a second input instead, (vertical, horizontal), from 1.5 on",
    )  # fmt: skip
    scale.add_argument(
        "--window", action="store_true",
        help="likewise, and two more inputs: where a window of the result begins, and its size",
    )  # fmt: skip
    add("-o", "--output", required=True, type=arguments.path, metavar="FILE.onnx")
    add("--model", default="light", metavar="NAME|FILE", help="see ccsr models; default: light")
    add_trust(parser)
    add("--exists", default="error", choices=("error", "overwrite"), help="default: error")
    add("--debug", action="store_true", help="show tracebacks")
    return parser


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add `--trust`, for model files that name classes of other packages."""
    parser.add_argument(
        "--trust", nargs="+", default=[], metavar="PACKAGE",
        help="packages whose classes the model file may name; loading it runs their code",
    )  # fmt: skip


def check_one_size(args: argparse.Namespace, error: Callable[[str], Never]) -> None:
    """Call `error` unless one size is asked for."""
    by_side = args.width is not None or args.height is not None
    if (args.scale is not None) + (args.size is not None) + by_side != 1:
        error(f"give one of --scale, --size, or --width and --height; for example: {EXAMPLE}")


def _tile(text: str) -> int | str:
    return text if text in ("auto", "off") else arguments.whole(text)
