"""The command line. The first word decides before anything is parsed or imported.

`ccsr train` speaks Hydra (`key=value`); what consumes a trained model speaks flags. User errors
end in one line and exit code 1 (2 for usage); `--debug` shows the traceback.
"""

import os
import runpy
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from ccsr import __version__, terminal
from ccsr.cli import arguments, options
from ccsr.suggest import near

WEB_PACKAGES = {"starlette", "uvicorn"}
TRAINING_PACKAGES = {"hydra", "omegaconf", "pytorch_lightning", "torchvision", "rich", "wandb"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    Args:
        argv: the words of the command; None takes those of the process, whose standard streams are
            then made fit for whatever the shell made of them.
    """
    if argv is None:
        terminal.prepare()
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        try:
            return _run(words)
        finally:  # of the exits of argparse and Hydra too
            sys.stdout.flush()
    except BrokenPipeError:  # who reads has seen enough: ccsr models | head
        return 141
    except KeyboardInterrupt as error:
        terminal.say(f"\nccsr: interrupted{f': {error}' if str(error) else ''}")
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        if "--debug" in words:
            raise
        terminal.say(f"ccsr: error: {error}")
        return 1


def _run(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        if words:
            terminal.tell(_usage())
            return 0
        terminal.say(_usage())
        return 2
    name, *rest = words
    if name == "--version":
        terminal.tell(f"ccsr {__version__}")
        return 0
    if name not in COMMANDS:
        hint = near(name, [*COMMANDS, "--help", "--version"])
        terminal.say(f"ccsr: error: unknown command {name!r}: {hint}")
        return 2
    command, _ = COMMANDS[name]
    return command(rest)


def upscale(argv: Sequence[str]) -> int:
    """`ccsr upscale INPUT... [options]`."""
    parser = options.upscale()
    args = parser.parse_args(argv)
    options.check_one_size(args, parser.error)
    if args.dry_run and args.report:
        parser.error("--dry-run writes nothing: leave out --report")

    from ccsr import image
    from ccsr.cli import report
    from ccsr.jobs.plan import make_plan
    from ccsr.jobs.target import Target
    from ccsr.upscaling.upscaler import Upscaler

    height, width = args.size or (args.height, args.width)
    target = Target(args.scale, height, width)
    files = image.Output(args.format, args.quality, args.lossless, args.background, args.metadata)
    image.limit_pixels(args.max_pixels)
    plan = make_plan(args.inputs, args.output, target, args.exists, files, recursive=args.recursive)
    if not args.quiet:
        for line in plan.notes:
            terminal.say(line)
    if args.dry_run:
        return 1 if report.preview(plan, target, files) else 0
    upscaler = Upscaler.load(
        args.model,
        trust=args.trust,
        device=args.device,
        precision=args.precision,
        tile=args.tile,
        memory=args.memory,
        ensemble=args.ensemble,
        effort=args.effort,
        warn=lambda text: terminal.say(f"ccsr: warning: {text}"),
    )
    kept = report.Report(args.report, plan)
    failures = report.enlarge(
        plan, target, upscaler, kept, files, quiet=args.quiet, debug=args.debug
    )
    return 1 if failures else 0


def models(argv: Sequence[str]) -> int:
    """`ccsr models [--json]`."""
    parser = arguments.Parser("ccsr models", description="List the models that come with ccsr.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    args = parser.parse_args(argv)

    from ccsr.model.checkpoint import read_header, shipped

    found = {name: (path, read_header(path)) for name, path in shipped().items()}
    if args.json:
        listed = [
            {"name": name, "parameters": header.parameters, "file": str(path)}
            | {"summary": header.summary}
            for name, (path, header) in found.items()
        ]
        terminal.tell(terminal.as_json(listed, indent=2))
        return 0
    for name, (path, header) in found.items():
        terminal.tell(f"{name}: {header.parameters:,} parameters, {path}")
        for key, value in header.summary.items():
            text = value if isinstance(value, str) else terminal.as_json(value)
            terminal.tell(f"    {key}: {text}")
    if not found:
        terminal.tell("no models come with this installation: train one with `ccsr train`")
    return 0


def evaluate(argv: Sequence[str]) -> int:
    """`ccsr evaluate ...`."""
    from ccsr.cli import evaluate

    return evaluate.main(argv)


def analyze(argv: Sequence[str]) -> int:
    """`ccsr analyze NAME`."""
    from ccsr.cli import analyze

    with _needing(TRAINING_PACKAGES, "training", "train"):
        return analyze.main(argv)


def data(argv: Sequence[str]) -> int:
    """`ccsr data NAME FOLDER`."""
    with _needing({"requests"}, "fetching data", "data"):
        from ccsr.cli import data

        return data.main(argv)


def train(argv: Sequence[str]) -> int:
    """`ccsr train key=value ...`, as `python -m ccsr.training.train`: DDP can launch that again."""
    kept = sys.argv
    sys.argv = ["ccsr train", *argv]
    try:
        with _needing(TRAINING_PACKAGES, "training", "train"):
            runpy.run_module("ccsr.training.train", run_name="__main__", alter_sys=True)
    finally:
        sys.argv = kept
    return 0


def serve(argv: Sequence[str]) -> int:
    """`ccsr serve [PICTURE|FOLDER ...] [options]`."""
    from ccsr.cli import serve

    with _needing(WEB_PACKAGES, "the page", "web"):
        return serve.main(argv)


def export(argv: Sequence[str]) -> int:
    """`ccsr export --scale S -o FILE.onnx [options]`."""
    args = options.export().parse_args(argv)
    if args.exists == "error" and os.path.lexists(args.output):
        raise ValueError(f"{args.output} exists already: use --exists overwrite")
    with _needing({"onnx"}, "export", "export"):
        from ccsr.export import save
    from ccsr.model.checkpoint import load, resolve

    path = resolve(args.model)
    model, summary = load(path, args.trust)
    save(args.output, model, args.scale, window=args.window, name=path.stem, summary=summary)
    terminal.tell(
        f"{args.output}: input image, output enlarged, {args.output.stat().st_size / 1e6:.1f} MB"
    )
    return 0


COMMANDS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "upscale": (upscale, "enlarge pictures by any factor"),
    "serve": (serve, "zoom into pictures in the browser, and enlarge them there"),
    "models": (models, "list the models that come with ccsr"),
    "evaluate": (evaluate, "measure models on test images"),
    "analyze": (analyze, "measure what continuous convolution promises"),
    "export": (export, "write a model as an ONNX file"),
    "data": (data, "build training and test sets from where they are published"),
    "train": (train, "train a model: key=value, as Hydra takes them"),
}


@contextmanager
def _needing(packages: Collection[str], purpose: str, extra: str) -> Iterator[None]:
    """Name the extra that brings a package which an import does not find."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in packages:
            raise
        raise RuntimeError(
            f"{purpose} needs the package {error.name}, which is not installed: "
            f"run pip install 'ccsr[{extra}]'"
        ) from error


def _usage() -> str:
    commands = "\n".join(f"  {name:<10}{text}" for name, (_, text) in COMMANDS.items())
    return (
        f"usage: ccsr COMMAND ...\n\ncommands:\n{commands}\n\n"
        f"example: {options.EXAMPLE}\n`ccsr COMMAND --help` explains a command; --version, --help"
    )
