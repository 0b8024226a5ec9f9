"""What all tests share: threads, random numbers, benchmark images, and a browser.

Of many cases of one kind `thinned(3)` leaves a third to `make test`, the others are long.

The benchmark images may be measured with but not passed on: they are used where they are.
"""

import math
import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    # Read when torch is imported, here and in the processes that tests start.
    threads = max(1, (os.cpu_count() or 1) // int(workers))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))

_DEFAULT = Path(__file__).parents[2] / "shared" / "data"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as long what a test that is thinned does not leave; the same whenever it is run."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for name, group in cases.items():
        if thinned := group[0].get_closest_marker("thinned"):
            kept = random.Random(name).sample(group, math.ceil(len(group) / thinned.args[0]))
            for item in group:
                if item not in kept:
                    item.add_marker("long")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin every test with the same random numbers, whatever was drawn before it."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def benchmarks() -> Path:
    """The folder with `test/Set5`, `reference/Set5/x2` and so on: `CCSR_DATA`, or beside us."""
    folder = Path(os.environ.get("CCSR_DATA", _DEFAULT))
    if not (folder / "test").is_dir():
        pytest.skip(f"no benchmark images in {folder}: set CCSR_DATA")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium of the system: one for all tests, as Playwright runs once in a process."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if not found:
        pytest.skip(f"no browser: none of {', '.join(_BROWSERS)} is installed")
    from playwright.sync_api import sync_playwright  # not needed by most modules

    with sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--force-color-profile=srgb", "--disable-dev-shm-usage"],
        )
        yield started
        started.close()
