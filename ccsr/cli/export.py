"""`ccsr export`: write a model as an ONNX file."""

import argparse
import os
from collections.abc import Sequence

from ccsr import terminal
from ccsr.cli import arguments, options


def parser() -> argparse.ArgumentParser:
    """The options of `ccsr export`."""
    parser = arguments.Parser(
        "ccsr export",
        description="Write a model as an ONNX file that takes pictures of any size, or of one.",
        epilog="Example: ccsr export --scale 2.5 -o light_2.5x.onnx",
    )
    add = parser.add_argument
    scale = parser.add_mutually_exclusive_group(required=True)
    scale.add_argument(
        "--scale", type=arguments.scale, metavar="S|WxH",
        help="the factor that the file enlarges by: 2.5, or 2x1.5 (WIDTHxHEIGHT)",
    )  # fmt: skip
    scale.add_argument(
        "--dynamic-scale", action="store_true",
        help="let the file take the factor as a second input, (vertical, horizontal)",
    )  # fmt: skip
    scale.add_argument(
        "--window", action="store_true",
        help="let the file take the factor and a window of the result, by further inputs: origin "
        "and size say where the window begins and how large it is, corner and whole which part of "
        "the picture is given (zeros: all of it)",
    )  # fmt: skip
    add(
        "--input-size", type=arguments.size, metavar="WxH",
        help="take pictures of this size only, for programs that ask for fixed sizes; the names "
        "are then input and output, not image and enlarged; with --scale",
    )  # fmt: skip
    add(
        "-o", "--output", required=True, type=arguments.path, metavar="FILE.onnx",
        help="the file to write",
    )  # fmt: skip
    add(
        "--quality", type=arguments.percent, metavar="1-100",
        help="make the file for pictures that were JPEGs of this quality, as libjpeg counts, of a "
        "model that is conditioned on it, such as photo; default: for those whose quality is not "
        "known, and with --window it is a further input",
    )  # fmt: skip
    options.model(add)
    options.trust(add)
    add(
        "--exists", default="error", choices=("error", "overwrite"),
        help="what to do if the file exists already; default: error",
    )  # fmt: skip
    options.for_programs(add, "what was written as a JSON object")
    options.debug(add)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run `ccsr export` with the arguments after that word; returns the exit code.

    Raises:
        ValueError: for a model or file that cannot be taken.
        OSError: for files that cannot be read or written.
    """
    words = parser()
    args = words.parse_args(argv)
    if args.input_size and args.scale is None:
        words.error("--input-size: a file for one size takes one factor too, give --scale")
    if args.exists == "error" and os.path.lexists(args.output):
        raise ValueError(f"{args.output} exists already: use --exists overwrite")

    from ccsr.export import save
    from ccsr.model.checkpoint import load, resolve

    path = resolve(args.model)
    model, summary = load(path, args.trust)
    written = save(
        args.output, model, args.scale, window=args.window, size=args.input_size,
        quality=args.quality, name=path.stem, summary=summary,
    )  # fmt: skip
    inputs, outputs = ([each.name for each in side] for side in (written.input, written.output))
    length = args.output.stat().st_size
    if args.json:
        document = {"file": str(args.output), "model": path.stem, "bytes": length}
        terminal.tell(terminal.as_json(document | {"inputs": inputs, "outputs": outputs}, indent=2))
    else:
        names = f"input {', '.join(inputs)}, output {', '.join(outputs)}"
        terminal.tell(f"{args.output}: {names}, {length / 1e6:.1f} MB")
    return 0
