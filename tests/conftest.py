"""Benchmark images that may be measured with but not passed on: used where they are."""

import os
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def benchmarks() -> Path:
    """The folder with `test/Set5`, `reference/Set5/x2` and so on: `CCSR_DATA`, or beside us."""
    folder = Path(os.environ.get("CCSR_DATA", _DEFAULT))
    if not (folder / "test").is_dir():
        pytest.skip(f"no benchmark images in {folder}: set CCSR_DATA")
    return folder
