"""`ccsr completion SHELL`: print a script that makes a shell complete the command line's words."""

import argparse
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import get_args

from ccsr import terminal
from ccsr.choices import Shell
from ccsr.cli import arguments, options
from ccsr.cli.main import COMMANDS

_PATHS = (
    arguments.path, arguments.folder, arguments.place, arguments.source, arguments.anywhere,
)  # fmt: skip
_NAMED = {"model"}  # may be files too
_HYDRA = "train"  # whose words are Hydra's
_EPILOG = """\
bash: ccsr completion bash > ~/.local/share/bash-completion/completions/ccsr
zsh:  ccsr completion zsh > _ccsr, in a folder of $fpath
tcsh: ccsr completion tcsh > ~/.ccsr.tcsh, and the line source ~/.ccsr.tcsh in ~/.tcshrc
"""


def parser() -> arguments.Parser:
    """The options of `ccsr completion`."""
    parser = arguments.Parser(
        "ccsr completion",
        description="Print a script that makes a shell complete commands, options and paths.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=get_args(Shell), help="the shell that will read it")
    options.debug(parser.add_argument)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run `ccsr completion` with the arguments after that word; returns the exit code.

    Raises:
        ModuleNotFoundError: if the package shtab is not installed.
    """
    args = parser().parse_args(argv)

    import shtab

    terminal.tell(shtab.complete(_whole(), shell=args.shell))
    return 0


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands that have a parser, with it; without those whose packages are not installed."""
    for name in COMMANDS:
        if name == _HYDRA:
            continue
        try:
            module = import_module(f"ccsr.cli.{'upscale_options' if name == 'upscale' else name}")
        except ModuleNotFoundError:
            continue
        yield name, module.parser()


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The words and options of a command, and of the commands below it."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)


def _whole() -> argparse.ArgumentParser:
    """One parser of all commands."""
    import shtab

    whole = argparse.ArgumentParser("ccsr")
    whole.add_argument("--version", action="store_true", help="print the version")
    commands = whole.add_subparsers()
    for name, own in parsers():
        for action in _actions(own):
            if action.type in _PATHS or action.dest in _NAMED:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
        commands.add_parser(name, parents=[own], add_help=False, help=own.description)
    commands.add_parser(_HYDRA, help=COMMANDS[_HYDRA].text)
    return whole
