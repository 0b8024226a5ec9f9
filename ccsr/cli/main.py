"""The command line. The first word decides before anything is parsed or imported.

`ccsr train` speaks Hydra (`key=value`); what consumes a trained model speaks flags. User errors
end in one line and exit code 1 (2 for usage); `--debug` shows the traceback.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from ccsr import __version__, terminal
from ccsr.cli import upscale_options
from ccsr.cli.interrupts import ended_as_interrupted
from ccsr.distribution import remedy
from ccsr.suggest import near


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    Args:
        argv: the words of the command; None takes those of the process, whose standard streams are
            then made fit for whatever the shell made of them.
    """
    if argv is None:
        terminal.prepare()
    words = list(sys.argv[1:] if argv is None else argv)
    with terminal.for_programs("--json" in words):
        return _guarded(words)


def _guarded(words: Sequence[str]) -> int:
    """Run a command; what people can cause ends in a line, not in a traceback."""
    try:
        try:
            return _run(words)
        finally:  # of the exits of argparse and Hydra too
            sys.stdout.flush()
    except BrokenPipeError:  # who reads has seen enough: ccsr models | head
        return 141
    except KeyboardInterrupt as error:
        text = f"interrupted{f': {error}' if str(error) else ''}"
        if terminal.is_for_programs():
            terminal.complain(text)
        else:
            terminal.say(f"\nccsr: {text}")
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        if "--debug" in words:
            raise
        terminal.complain(str(error))
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
        terminal.complain(f"unknown command {name!r}: {hint}")
        return 2
    if name in _OWN_SIGNALS:
        return _call(name, rest)
    with ended_as_interrupted():
        return _call(name, rest)


class Command(NamedTuple):
    """A word of the command line; the module of that name in `ccsr.cli` has its `main`.

    Attributes:
        text: what it does.
        packages: those that it needs beyond what is always installed.
        extra: what brings them.
    """

    text: str
    packages: frozenset[str] = frozenset()
    extra: str = ""


_TRAINING = frozenset({"hydra", "omegaconf", "pytorch_lightning", "torchvision", "rich", "wandb"})
COMMANDS = {
    "upscale": Command("enlarge pictures by any factor"),
    "report": Command("sum up the reports of runs of upscale"),
    "serve": Command(
        "zoom into pictures in the browser, and enlarge them there",
        frozenset({"starlette", "uvicorn"}),
        "web",
    ),
    "models": Command("list the models that come with ccsr"),
    "train": Command("train a model on your own photos: key=value words", _TRAINING, "train"),
    "evaluate": Command("measure models on test images"),
    "analyze": Command("study continuous convolution layers and heads", _TRAINING, "train"),
    "export": Command("write a model as an ONNX file", frozenset({"onnx"}), "export"),
    "data": Command(
        "build training and test sets from where they are published",
        frozenset({"requests"}),
        "data",
    ),
    "completion": Command(
        "print a script that completes ccsr's words in your shell",
        frozenset({"shtab"}),
        "completion",
    ),
}


_OWN_SIGNALS = {"train", "serve"}  # commands that end otherwise at SIGTERM: after a step, at once


def _call(name: str, words: Sequence[str]) -> int:
    """Run a command; a package that is not there is named with the extra that brings it."""
    command = COMMANDS[name]
    try:
        code: int = import_module(f"ccsr.cli.{name}").main(words)
    except ModuleNotFoundError as error:
        if error.name in ("torch", "safetensors"):
            raise RuntimeError(
                f"ccsr {name} needs torch, which is not installed: run {remedy()}"
            ) from error
        if (error.name or "").partition(".")[0] not in command.packages:
            raise
        raise RuntimeError(
            f"ccsr {name} needs the package {error.name}, which is not installed: "
            f"run {remedy(command.extra)}"
        ) from error
    return code


def _usage() -> str:
    commands = "\n".join(f"  {name:<12}{command.text}" for name, command in COMMANDS.items())
    return (
        "usage: ccsr COMMAND ...\n\n"
        "Enlarge images by any factor, with one small network for all of them.\n\n"
        f"commands:\n{commands}\n\n"
        f"example: {upscale_options.EXAMPLE}\n"
        "`ccsr COMMAND --help` explains a command, `ccsr --version` tells the version"
    )
