"""The manual page: all commands and options, in macros that man understands."""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ccsr.cli.completion import parsers
from ccsr.cli.main import COMMANDS
from documents import ROOT


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("man") / "new" / "ccsr.1"
    command = [sys.executable, str(ROOT / "docs" / "man.py"), str(path)]
    subprocess.run(command, check=True, cwd=ROOT)
    return path


def section(text: str, name: str) -> str:
    return re.split(r"^\.SH ", text.split(f'.SH "{name}"\n')[1], flags=re.MULTILINE)[0]


@pytest.mark.long
def test_it_names_every_command_and_every_option(page: Path) -> None:
    text = page.read_text().replace("\\-", "-")
    for name, command in COMMANDS.items():
        assert f"\\fB{name}\\fR\n{command.text}\n" in text
    told = dict(parsers())
    assert set(COMMANDS) - set(told) == {"train"}
    for name, parser in told.items():
        own = section(text, f"CCSR {name.upper()}")
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for below in action.choices:
                    assert section(text, f"CCSR {name.upper()} {below.upper()}")
            elif not isinstance(action, argparse._HelpAction):
                assert all(f"\\fB{option}\\fR" in own for option in action.option_strings)
                assert action.option_strings or "\\fI" in own


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_groff_reads_it_without_a_warning(page: Path) -> None:
    command = ["groff", "-man", "-Tutf8", "-ww", "-z", str(page)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""
