"""What `ccsr upscale` takes."""

import argparse
from collections.abc import Callable
from typing import Never, get_args

from ccsr import sizes
from ccsr.choices import Engine, Exists, FileFormat, Policy
from ccsr.cli import arguments, options
from ccsr.cli.arguments import STANDARD, Parser

EXAMPLE = "ccsr upscale photo.jpg --scale 2.37"
RULES = ("longest", "shortest", "fit", "cover", "at_least", "megapixels", "print")


def parser() -> Parser:
    """The options of `ccsr upscale`."""
    parser = Parser(
        "ccsr upscale",
        description="Enlarge (or reduce) pictures to any size.",
        epilog=f"x stands between width and height, in this order. Example: {EXAMPLE}",
    )
    add = parser.add_argument
    add(
        "inputs", metavar="INPUT", nargs="+", type=arguments.source,
        help="a picture file, a folder of them, a URL such as s3://bucket/in/, or - for a picture "
        "from standard input",
    )  # fmt: skip
    add(
        "-o", "--output", type=arguments.place, metavar="OUT",
        help="where the result goes: a file, a folder (end it with /), a URL of either, or - for "
        "standard output; "
        "default: NAME_2.37x.png beside the input",
    )  # fmt: skip
    size = parser.add_argument_group(
        "the size of the result (choose one)",
        "It is that of the picture as it is seen, upright. Pictures keep their aspect ratio, "
        "except with --size, with --width and --height together, and with two factors.",
    )
    _add_sizes(size.add_argument)
    _add_computing(parser.add_argument_group("computing").add_argument)
    _add_file_options(parser.add_argument_group("the files that are written").add_argument)
    _add_folder_options(parser.add_argument_group("folders and many pictures").add_argument)
    add("--quiet", action="store_true", help="say nothing but errors")
    options.for_programs(add, "what came of each picture, a JSON object a line as in --report")
    options.debug(add)
    return parser


def _add_sizes(add: options.Add) -> None:
    add("--scale", type=arguments.scale, metavar="S|WxH", help="a factor: 2.37, or 2x1.5")
    add("--size", type=arguments.size, metavar="WxH", help="width and height in pixels: 1920x1080")
    add(
        "--width", type=arguments.whole, metavar="N",
        help="the width in pixels",
    )  # fmt: skip
    add("--height", type=arguments.whole, metavar="N", help="the height in pixels")
    side, box = arguments.whole, arguments.size
    add(
        "--longest", type=arguments.rule(sizes.longest, side), metavar="N",
        help="the longer side in pixels",
    )  # fmt: skip
    add(
        "--shortest", type=arguments.rule(sizes.shortest, side), metavar="N",
        help="the shorter side in pixels",
    )  # fmt: skip
    add(
        "--fit", type=arguments.rule(sizes.fit, box), metavar="WxH",
        help="as large as fits into that many pixels",
    )  # fmt: skip
    add(
        "--cover", type=arguments.rule(sizes.cover, box), metavar="WxH",
        help="as small as covers that many pixels; nothing is cut off",
    )  # fmt: skip
    add(
        "--at-least", type=arguments.rule(sizes.at_least, box), metavar="WxH",
        help="as --cover, but a picture that is larger already keeps its size",
    )  # fmt: skip
    add(
        "--megapixels", type=arguments.rule(sizes.megapixels, arguments.positive), metavar="N",
        help="about so many million pixels in all",
    )  # fmt: skip
    add(
        "--print", type=arguments.paper, metavar="WxHcm@DPI",
        help="as large as fits on paper, with that resolution: 30x20cm@300, 8x10in@300, in cm, mm "
        "or in",
    )  # fmt: skip


def _add_computing(add: options.Add) -> None:
    options.model(add, "auto", "; auto: light for clean pictures, photo for JPEG, WebP and noise")
    options.trust(add)
    add(
        "--engine", default=argparse.SUPPRESS, choices=get_args(Engine),
        help="what computes: torch, onnx (onnxruntime: small, starts fast, on the processor), or "
        "auto: torch where it is installed; default: auto",
    )  # fmt: skip
    options.device(add)
    options.precision(add)
    options.memory(add)
    add(
        "--tile", type=_tile, default=argparse.SUPPRESS, metavar="auto|off|N",
        help="compute the result in squares of N pixels a side, as a whole (off), or as --memory "
        "allows (auto); the pixels are the same; default: auto",
    )  # fmt: skip
    add(
        "--ensemble", default=argparse.SUPPRESS, metavar="WHAT",
        help="flips: average over flips and quarter turns, which takes 8 times the work; "
        "default: no averaging",
    )  # fmt: skip
    add(
        "--effort", default=argparse.SUPPRESS, metavar="0.25..1|auto:SECONDS",
        help="the share of the work to do, which the model elastic offers, or as much as fits "
        "into that time for each picture; default: 1",
    )  # fmt: skip


def _add_file_options(add: options.Add) -> None:
    add(
        "--format", default=argparse.SUPPRESS, choices=get_args(FileFormat),
        help="the format of files that get their name from ccsr; same takes the input's; "
        "default: png, or what the name of -o says",
    )  # fmt: skip
    add(
        "--quality", type=arguments.percent, default=argparse.SUPPRESS, metavar="1-100",
        help="the quality of jpg, webp and avif; default: 95, for avif 90",
    )  # fmt: skip
    add(
        "--lossless", action="store_true", default=argparse.SUPPRESS,
        help="lose no detail in webp either; png and tiff never lose any, jpg, avif and gif are "
        "refused",
    )  # fmt: skip
    add(
        "--background", type=arguments.colour, default=argparse.SUPPRESS, metavar="COLOUR",
        help="the colour behind transparent pixels in jpg, bmp and pfm, which have none: white, "
        "'#f0f0f0'; without it such a picture is refused",
    )  # fmt: skip
    add(
        "--metadata", default=argparse.SUPPRESS, choices=get_args(Policy),
        help="keep EXIF, XMP and resolution, leave out the place (no-gps), or leave out "
        "everything but the colours (strip); default: keep",
    )  # fmt: skip
    add(
        "--dpi", type=arguments.dots, default=argparse.SUPPRESS, metavar="N",
        help="the resolution that the file tells printers, in pixels an inch; default: the input's",
    )  # fmt: skip
    options.limits(add)


def _add_folder_options(add: options.Add) -> None:
    add(
        "--recursive", action="store_true",
        help="take pictures in subfolders too, and make the same subfolders in the output folder",
    )  # fmt: skip
    add(
        "--name", metavar="TEMPLATE",
        help="the name of each result, without its suffix, such as '{stem}_{width}x{height}'. "
        "{stem} is the input's name, {label} the size as it was asked for (2.37x, 1920w), "
        "{width}, {height} and {scale} are numbers, {model} is --model; default: "
        "'{stem}_{label}'",
    )  # fmt: skip
    add(
        "--exists", default="error", choices=get_args(Exists),
        help="what to do if an output exists already: refuse to begin, skip that picture, which "
        "goes on with a run that was stopped, or overwrite it; default: error",
    )  # fmt: skip
    add(
        "--shard", type=arguments.shard, metavar="I/N",
        help="do only one of N parts of the pictures, so that N machines share the work",
    )  # fmt: skip
    add(
        "--on", type=arguments.cluster, metavar="ray|ray://HOST:PORT",
        help="let a cluster do it: ray starts one on this machine, with a worker for each core; "
        "default: this process alone",
    )  # fmt: skip
    add(
        "--dry-run", action="store_true",
        help="see that all can be done, print what would be written, with the sizes, and write "
        "nothing",
    )  # fmt: skip
    add(
        "--report", type=arguments.anywhere, metavar="FILE.jsonl",
        help="write there what came of each picture, one JSON object a line; `ccsr report` sums "
        "it up",
    )  # fmt: skip


def check(args: argparse.Namespace, error: Callable[[str], Never]) -> None:
    """Call `error` for options that contradict each other."""
    by_side = args.width is not None or args.height is not None
    names = ("scale", "size", *RULES)
    if sum(getattr(args, name) is not None for name in names) + by_side != 1:
        known = ", ".join(f"--{name.replace('_', '-')}" for name in names)
        error(f"give one of {known}, or --width and --height; for example: {EXAMPLE}")
    if args.print and "dpi" in args:
        error("--print says the resolution already: leave out --dpi")
    if args.dry_run and args.report:
        error("--dry-run writes nothing: leave out --report")
    if args.on and (alone := _alone(args)):
        error(alone)
    if STANDARD in args.inputs and len(args.inputs) > 1:
        error("- stands for standard input, which is one picture: leave out the other inputs")
    if STANDARD in args.inputs and args.output is None:
        args.output = STANDARD
    if args.shard and STANDARD in (*args.inputs, args.output):
        error("a standard stream is one picture, which cannot be shared: leave out --shard")
    if args.json and args.output == STANDARD:
        error("--json and the picture both want standard output: name a file by -o, or --report")


def _tile(text: str) -> int | str:
    return text if text in ("auto", "off") else arguments.whole(text)


def _alone(args: argparse.Namespace) -> str:
    """What workers of a cluster could not do as it is asked for; empty if they can."""
    if STANDARD in (*args.inputs, args.output):
        return "a cluster cannot reach standard input or output: leave out --on"
    places = [str(text) for text in (*args.inputs, args.output, args.report)]
    if any(text.startswith("memory://") for text in places):
        return "memory:// is the memory of one process, which a cluster cannot reach"
    if getattr(args, "device", "auto") not in ("auto", "cpu", "cuda"):
        return "with --on the cluster deals out the devices: say --device auto, cpu or cuda"
    return ""
