"""Memory of the page without a server, in headless Chromium. Linux only."""

import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks import cases

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SITE = Path(__file__).resolve().parent.parent / "build" / "site"
WARM = ((120, 160), "2")  # after which the network is in memory
LARGE = (((5000, 8000), "1"), ((1118, 1118), "8"))  # the largest picture, the largest result
LIMIT = 1000  # MB
WAIT = 3600  # seconds


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """Peak memory of the tab for each of `LARGE`, in a browser of its own.

    Raises:
        RuntimeError: without the page or a browser.
    """
    from playwright.sync_api import sync_playwright

    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None or not SITE.is_dir():
        raise RuntimeError(f"expected Chromium and the page in {SITE}: run make site")
    found = []
    with _served() as url, tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        for size, factor in LARGE:
            path = Path(folder, "large.png")
            cases.photo(size).save(path, compress_level=1)
            cases.photo(WARM[0]).save(small := Path(folder, "small.png"))
            chromium = playwright.chromium.launch(
                executable_path=browser, args=["--no-sandbox"], timeout=WAIT * 1000
            )
            page = chromium.new_page()
            page.set_default_timeout(WAIT * 1000)
            page.goto(url)
            empty = _peak()
            _enlarge(page, small, WARM[1])
            page.get_by_role("button", name="Remove", exact=True).click()
            started = time.perf_counter()
            text = _enlarge(page, path, factor)
            seconds = time.perf_counter() - started
            peak = _peak()
            one = {"size": size, "factor": factor, "seconds": seconds, "peak": peak}
            found.append(one | {"empty": empty, "said": text})
            say(f"{size[1]}x{size[0]} x{factor}: {peak / 1e6:.0f} MB, {text}")
            chromium.close()
    return {"page": found}


def section(found: dict[str, Any]) -> Iterator[str]:
    """Lines of RESULTS.md."""
    yield "The tab's process at its highest, Chromium's own share of it included: an empty page"
    yield f"has {found['page'][0]['empty'] / 1e6:.0f} MB. The largest picture and result"
    yield "that the page takes, after `light` has enlarged a small one; at 1 it gives the picture"
    yield from ("itself.", "")
    yield from ("| picture | factor | result | peak, MB | at most |", "|---|---:|---|---:|---|")
    for one in found["page"]:
        height, width = one["size"]
        met = "yes" if one["peak"] <= LIMIT * 1e6 else "**no**"
        result = one["said"].partition(",")[0]
        peak = f"{one['peak'] / 1e6:.0f}"
        yield f"| {width}x{height} | {one['factor']} | {result} | {peak} | {LIMIT}: {met} |"


def _enlarge(page: Any, path: Path, factor: str) -> str:
    """What the page says when it is done."""
    page.set_input_files("#files", str(path))
    page.locator("#pictures .name[aria-current=true]", has_text=path.name).wait_for()
    page.fill("#factor", factor)
    page.press("#factor", "Enter")
    page.select_option("#model", "light")
    page.click("#start")
    page.get_by_role("button", name="Download").first.wait_for()
    return str(page.locator("#results small").nth(1).inner_text())


def _peak() -> int:
    """Bytes of the tab, the largest renderer that this process has started, at its highest."""
    told = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words, status = (folder / "cmdline").read_bytes(), (folder / "status").read_text()
        except OSError:  # it has ended
            continue
        fields = dict(re.findall(r"^(PPid|VmHWM):\s+(\d+)", status, re.MULTILINE))
        told[int(folder.name)] = (int(fields["PPid"]), int(fields.get("VmHWM", 0)), words)
    sizes = [0]
    for number, (_, peak, words) in told.items():
        while number in told and number != os.getpid():
            number = told[number][0]
        if b"--type=renderer" in words and number == os.getpid():
            sizes.append(peak * 1024)
    return max(sizes)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _served() -> Iterator[str]:
    handler = partial(_Quiet, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()
