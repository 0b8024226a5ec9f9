from pathlib import Path

import pytest

from ccsr.cli.progress import Progress


def test_lines_elsewhere_than_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(2)
    progress.update(Path("a\n.png"), 0)
    progress.update(Path("a\n.png"), 0.5)
    progress.done(Path("a\n.png"), "b.png")
    progress.fail("cannot read c", "Traceback\n")
    progress.list(["x", "y"])
    assert capsys.readouterr().err == (
        "[1/2] a\\n.png -> b.png\nTraceback\nccsr: error: cannot read c\n  x\n  y\n"
    )


def test_quiet_says_errors_only(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(2, quiet=True)
    progress.update(Path("a"), 0)
    progress.done(Path("a"), "b")
    progress.fail("cannot read c")
    assert capsys.readouterr().err == "ccsr: error: cannot read c\n"
