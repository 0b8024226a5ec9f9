"""What is said: names that cannot command a terminal, and one place where it is written."""

import ast
import json
from pathlib import Path

import pytest

from ccsr.terminal import as_json, say, shown, tell

PACKAGE = Path(__file__).resolve().parents[1] / "ccsr"
HOSTILE = "a\x1b[2Jb\n\r\x07 \x9b31m \u202egnp.exe \x7f \u2028 latin-\udce9 \U000e0041"


@pytest.mark.parametrize(
    ("text", "as_shown"),
    [
        ("ü é 日本 😀.png", "ü é 日本 😀.png"),
        ("a\x1b[2Jb\n\r\x07", r"a\x1b[2Jb\n\r\x07"),
        ("latin-\udce9", r"latin-\udce9"),
        ("left\u202eright", r"left\u202eright"),
        ("next\x85line\x9b", r"next\x85line\x9b"),
    ],
)
def test_names_cannot_command_the_terminal(text: str, as_shown: str) -> None:
    assert shown(text) == as_shown
    assert shown(text).encode()
    assert shown(shown(text)) == shown(text)


def test_json_is_safe_to_show_and_says_the_same() -> None:
    value = {HOSTILE: [HOSTILE, 1.5, None, "ü 日本"]}
    assert json.loads(as_json(value)) == value
    assert as_json(value).isprintable()
    assert "ü 日本" in as_json(value)
    assert json.loads(as_json(value, indent=1)) == value
    assert all(map(str.isprintable, as_json(value, indent=1).split("\n")))


def test_lines_stay_lines(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb\x1b")
    tell("c\nd\x9b")
    tell("\x1b[1mbold\x1b[0m", styled=True)
    printed = capsys.readouterr()
    assert printed.err == "a\nb\\x1b\n"
    assert printed.out == "c\nd\\x9b\n\x1b[1mbold\x1b[0m\n"


def test_nothing_is_printed_elsewhere() -> None:
    """Who prints past these functions shows names as they come."""
    printing = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "print",
                "sys.stdout.write",
                "sys.stderr.write",
                "traceback.print_exc",
                "traceback.print_exception",
            ):
                printing.add(path.relative_to(PACKAGE).as_posix())
    assert printing == {"terminal.py", "cli/progress.py"}
