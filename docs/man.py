"""Write the manual page `ccsr.1` from the parsers of the commands: `make man`."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import ccsr
from ccsr.cli.completion import parsers
from ccsr.cli.main import COMMANDS

HEAD = r"""
.TH CCSR 1 "" "ccsr {version}" "User Commands"
.SH NAME
ccsr \- enlarge images by any factor with continuous convolution layers
.SH SYNOPSIS
.B ccsr
.I COMMAND
\&...
.br
.B ccsr \-\-help
|
.B \-\-version
.SH COMMANDS
""".lstrip()
FOOT = r"""
.SH EXIT STATUS
.TP
0
All went well.
.TP
1
Something could not be read, done or written; a line on standard error says what.
.TP
2
The words of the command make no sense.
.TP
130
It was interrupted.
.TP
141
Nobody reads its output any longer.
.SH SEE ALSO
.B ccsr COMMAND \-\-help
explains a command, training too.
""".lstrip()
_NOT_TOLD = (argparse._HelpAction, argparse._SubParsersAction)


def page() -> str:
    """The manual page, in the macros of man."""
    told = dict(parsers())
    lines = [HEAD.format(version=ccsr.__version__).rstrip("\n")]
    for name, command in COMMANDS.items():
        lines += [".TP", rf"\fB{_plain(name)}\fR", _plain(command.text)]
    for name in COMMANDS:
        if name in told:  # not what speaks Hydra
            lines += _command(f"ccsr {name}", told[name])
    return "\n".join([*lines, FOOT])


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """What a command is, its groups of options, its examples; then the commands below it."""
    formatter = argparse.HelpFormatter(parser.prog)
    below: dict[str, argparse.ArgumentParser] = {}
    yield f'.SH "{_plain(name.upper())}"'
    yield from _text(parser.description)
    for group in parser._action_groups:
        asked = [each for each in group._group_actions if each.help != argparse.SUPPRESS]
        for each in asked:
            below |= each.choices if isinstance(each, argparse._SubParsersAction) else {}
        asked = [each for each in asked if not isinstance(each, _NOT_TOLD)]
        if asked:
            yield f'.SS "{_plain(group.title or "")}"'
            yield from _text(group.description)
            for each in asked:
                yield from _action(formatter, each)
    if parser.epilog:
        yield from (".PP", ".nf", *map(_plain, parser.epilog.strip().splitlines()), ".fi")
    for word, command in below.items():
        yield from _command(f"{name} {word}", command)


def _action(formatter: argparse.HelpFormatter, action: argparse.Action) -> Iterator[str]:
    """One option, or one word of the command."""
    yield ".TP"
    if action.option_strings:
        names = ", ".join(rf"\fB{_plain(name)}\fR" for name in action.option_strings)
        value = formatter._format_args(action, action.dest.upper())
        yield names + (rf" \fI{_plain(value)}\fR" if value else "")
    else:
        name = formatter._get_default_metavar_for_positional(action)
        yield rf"\fI{_plain(formatter._format_args(action, name))}\fR"
    yield _plain(formatter._expand_help(action)) if action.help else r"\&"


def _text(text: str | None) -> Iterator[str]:
    """Paragraphs, each on a line."""
    for paragraph in re.split(r"\n\s*\n", (text or "").strip()):
        if paragraph:
            yield ".PP"
            yield _plain(" ".join(paragraph.split()))


def _plain(text: str) -> str:
    """Text that man shows as it is, and from which options can be copied."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq")
    return re.sub(r"^(?=[.'])", r"\\&", text)


if __name__ == "__main__":
    words = argparse.ArgumentParser(description="Write the manual page of ccsr.")
    words.add_argument("file", type=Path, help="where it goes, such as build/ccsr.1")
    path = words.parse_args().file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(), encoding="utf-8")
