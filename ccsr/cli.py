"""The command line. The first word decides before anything is parsed or imported.

`ccsr train` speaks Hydra (`key=value`); what consumes a trained model speaks flags. User errors
end in one line and exit code 1 (2 for usage); `--debug` shows the traceback.
"""

import argparse
import json
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Never

from ccsr import __version__, arguments
from ccsr.names import near

TRAINING_PACKAGES = {"hydra", "omegaconf", "pytorch_lightning", "torchvision", "rich", "wandb"}
EXAMPLE = "ccsr upscale photo.jpg --scale 2.37"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage(), file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    name, *rest = words
    if name == "--version":
        print(f"ccsr {__version__}")
        return 0
    if name not in COMMANDS:
        print(f"ccsr: error: unknown command {name!r}: {near(name, COMMANDS)}", file=sys.stderr)
        return 2
    command, _ = COMMANDS[name]
    try:
        return command(rest)
    except KeyboardInterrupt:
        print("\nccsr: interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        if "--debug" in rest:
            raise
        print(f"ccsr: error: {error}", file=sys.stderr)
        return 1


def upscale(argv: Sequence[str]) -> int:
    """`ccsr upscale INPUT... [options]`."""
    parser = _upscale_parser()
    args = parser.parse_args(argv)
    _check_one_size(args, parser.error)

    from ccsr import batch
    from ccsr.upscale import Upscaler

    height, width = args.size or (args.height, args.width)
    target = batch.Target(args.scale, height, width)
    jobs = batch.plan(args.inputs, args.output, target, args.exists)
    if not jobs:
        if not args.quiet:
            print("nothing to do: all outputs exist", file=sys.stderr)
        return 0
    upscaler = Upscaler.load(
        args.model,
        device=args.device,
        precision=args.precision,
        tile=args.tile,
        memory=args.memory,
        warn=lambda text: print(f"ccsr: warning: {text}", file=sys.stderr),
    )
    failures = batch.run(jobs, target, upscaler, quiet=args.quiet, debug=args.debug)
    return 1 if failures else 0


def models(argv: Sequence[str]) -> int:
    """`ccsr models [--json]`."""
    parser = argparse.ArgumentParser(
        "ccsr models", description="List the models that come with ccsr.", allow_abbrev=False
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    args = parser.parse_args(argv)

    from ccsr.checkpoint import read_header, shipped

    found = {name: (path, read_header(path)) for name, path in shipped().items()}
    if args.json:
        listed = [
            {"name": name, "parameters": header.parameters, "file": str(path)}
            | {"summary": header.summary}
            for name, (path, header) in found.items()
        ]
        print(json.dumps(listed, indent=2, ensure_ascii=False))
        return 0
    for name, (path, header) in found.items():
        print(f"{name}: {header.parameters:,} parameters, {path}")
        for key, value in header.summary.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            print(f"    {key}: {text}")
    if not found:
        print("no models come with this installation: train one with `ccsr train`")
    return 0


def evaluate(argv: Sequence[str]) -> int:
    """`ccsr evaluate ...`."""
    from ccsr import evaluate

    return evaluate.main(argv)


def train(argv: Sequence[str]) -> int:
    """`ccsr train key=value ...`, as `python -m ccsr.train`: DDP can launch that again."""
    kept = sys.argv
    sys.argv = ["ccsr train", *argv]
    try:
        runpy.run_module("ccsr.train", run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAINING_PACKAGES:
            raise
        raise RuntimeError(
            f"training needs the package {error.name}, which is not installed: "
            "run pip install 'ccsr[train]'"
        ) from error
    finally:
        sys.argv = kept
    return 0


COMMANDS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "upscale": (upscale, "enlarge pictures by any factor"),
    "models": (models, "list the models that come with ccsr"),
    "evaluate": (evaluate, "measure models on test images"),
    "train": (train, "train a model: key=value, as Hydra takes them"),
}


def _usage() -> str:
    commands = "\n".join(f"  {name:<10}{text}" for name, (_, text) in COMMANDS.items())
    return (
        f"usage: ccsr COMMAND ...\n\ncommands:\n{commands}\n\n"
        f"example: {EXAMPLE}\n`ccsr COMMAND --help` explains a command; --version, --help"
    )


def _upscale_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "ccsr upscale",
        description="Enlarge (or reduce) pictures to any size.",
        epilog=f"x stands between width and height, in this order. Example: {EXAMPLE}",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("inputs", metavar="INPUT", nargs="+", type=Path, help="image file, or folder of them")
    add(
        "-o", "--output", metavar="OUT",
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
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    add("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    add(
        "--tile", type=_tile, default="auto", metavar="auto|off|N", help="side of pieces, in pixels"
    )
    add(
        "--memory", type=arguments.memory, metavar="AMOUNT",
        help="2GB, 500MB: what pieces may take, and a .tif that takes more is written in strips; "
        "default: a quarter of what is free",
    )  # fmt: skip
    add(
        "--exists", default="error", choices=("error", "skip", "overwrite"),
        help="what to do about outputs that exist; default: error",
    )  # fmt: skip
    add("--quiet", action="store_true", help="print errors only")
    add("--debug", action="store_true", help="show tracebacks")
    return parser


def _check_one_size(args: argparse.Namespace, error: Callable[[str], Never]) -> None:
    by_side = args.width is not None or args.height is not None
    if (args.scale is not None) + (args.size is not None) + by_side != 1:
        error(f"give one of --scale, --size, or --width and --height; for example: {EXAMPLE}")


def _tile(text: str) -> int | str:
    return text if text in ("auto", "off") else arguments.whole(text)
