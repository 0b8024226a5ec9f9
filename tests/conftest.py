"""What all tests share: threads where processes share the cores, and benchmark images.

The benchmark images may be measured with but not passed on: they are used where they are.
"""

import os
from pathlib import Path

import pytest

if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    # Read when torch is imported, here and in the processes that tests start.
    threads = max(1, (os.cpu_count() or 1) // int(workers))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))

_DEFAULT = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def benchmarks() -> Path:
    """The folder with `test/Set5`, `reference/Set5/x2` and so on: `CCSR_DATA`, or beside us."""
    folder = Path(os.environ.get("CCSR_DATA", _DEFAULT))
    if not (folder / "test").is_dir():
        pytest.skip(f"no benchmark images in {folder}: set CCSR_DATA")
    return folder
