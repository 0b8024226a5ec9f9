"""A server of the page in a thread, and tabs of a browser that open it."""

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageCms

from ccsr import image
from ccsr.bundled import resource_dir
from ccsr.model import checkpoint
from ccsr.upscaling.upscaler import Upscaler
from ccsr.web.app import App
from ccsr.web.entry import Limits
from ccsr.web.guard import Guard
from ccsr.web.models import Models
from ccsr.web.server import Server, bind
from ccsr.web.shelf import Shelf
from networks import tiny

TOKEN = "token-of-the-tests"
OPTIONS: dict[str, Any] = {"device": "cpu", "precision": "fp32"}


class Tab:
    """A tab of the browser with the page."""

    def __init__(self, page: Any, requests: list[Any]) -> None:
        self.page = page
        self.requests = requests

    def send(self, *paths: Path) -> None:
        """Choose pictures, and wait until they are listed."""
        rows = self.page.locator("#pictures .name")
        wanted = rows.count() + len(paths)
        self.page.set_input_files("#files", [str(path) for path in paths])
        rows.nth(wanted - 1).wait_for()

    def type(self, size: str) -> None:
        """Type a factor or a size, and wait for the view."""
        self.page.fill("#factor", size)
        self.page.press("#factor", "Enter")
        self.settle()

    def compare(self, left: str, right: str) -> None:
        """Choose what is compared, and wait for the view."""
        self.page.select_option("#left", left)
        self.page.select_option("#right", right)
        self.settle()

    def settle(self) -> None:
        """Wait until the exact view is on the screen."""
        self.page.wait_for_selector("#stage[aria-busy=false]")
        told = self.page.inner_text("#status")
        assert told.startswith("Exact"), told

    def after(self, action: Callable[[], object]) -> None:
        """Do something that moves the view, and wait until it was computed."""
        count, until = len(self.views), time.monotonic() + 20
        action()
        while len(self.views) == count:
            assert time.monotonic() < until
            self.page.wait_for_timeout(20)
        self.settle()

    def screen(self) -> Any:
        """The stage's pixels (h, w, 3) as they are on the screen, without what lies over them."""
        self.page.evaluate(
            "for (const each of document.querySelectorAll('#status, .tag, #divider'))"
            " each.style.visibility = 'hidden'"
        )
        with Image.open(io.BytesIO(self.page.locator("#canvas").screenshot())) as shot:
            return np.asarray(shot.convert("RGB"))

    @property
    def views(self) -> list[dict[str, Any]]:
        """What it asked the server to compute."""
        asked = [request for request in self.requests if request.url.endswith("/api/view")]
        return [json.loads(request.post_data) for request in asked]


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest network, with random weights, so that it is unlike bicubic."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    checkpoint.save(path, tiny(0.05), {"licence": "MIT"})
    return path


@pytest.fixture(scope="session")
def upscaler(network: Path) -> Upscaler:
    """That network, as the server has it."""
    return Upscaler.load(network, **OPTIONS)


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    """A photo of 200 by 150 pixels."""
    with Image.open(resource_dir("samples") / "chelsea.png") as picture:
        picture.convert("RGB").crop((100, 60, 300, 210)).save(tmp_path / "cat.png")
    return tmp_path / "cat.png"


@pytest.fixture(scope="session")
def wide_profile() -> bytes:
    """An ICC profile whose primaries are wider than those of sRGB (its red and green swapped)."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"tmp0").replace(b"gXYZ", b"rXYZ").replace(b"tmp0", b"gXYZ")


@pytest.fixture
def pages() -> list[Any]:
    """Three pages, the last of another size, of 16 bits and partly transparent."""
    rng = np.random.default_rng(0)
    levels = [rng.integers(0, 256, (60, 80, 3), np.uint8) for _ in range(2)]
    deep = rng.integers(0, 65536, (90, 70, 4), np.uint16)
    deep[..., 3] |= 0x8000
    return [*levels, deep]


@pytest.fixture
def booklet(tmp_path: Path, pages: list[Any], wide_profile: bytes) -> Path:
    """A TIFF of these pages, with a profile, each with a resolution of its own."""
    told = tuple(
        image.Metadata(wide_profile, dpi=(100.0 * number, 100.0 * number))
        for number in range(1, len(pages) + 1)
    )
    image.write(image.Picture(tuple(pages), told[0], pages=told), tmp_path / "booklet.tif")
    return tmp_path / "booklet.tif"


@pytest.fixture
def limits() -> Limits:
    """Those of the session; a test may ask for others by parametrizing it."""
    return Limits()


@contextmanager
def serving(folder: Path, network: Path, limits: Limits) -> Iterator[SimpleNamespace]:
    """A running server: its `app`, `url` (with the token), `base`, `port` and `folder`."""
    app = App(Shelf(folder, limits), Models(str(network), OPTIONS), folder)
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        base = f"http://127.0.0.1:{port}"
        server = Server(app, Guard(app.asgi(), TOKEN, "127.0.0.1", port))
        app.start()
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield SimpleNamespace(
                app=app, folder=folder, port=port, base=base, url=f"{base}/#{TOKEN}"
            )
        finally:
            server.should_exit = True
            thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def served(tmp_path: Path, network: Path, limits: Limits) -> Iterator[SimpleNamespace]:
    """A server of this test alone."""
    folder = tmp_path / "session"
    folder.mkdir()
    with serving(folder, network, limits) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, network: Path) -> Iterator[SimpleNamespace]:
    """A server of all tests of a file that leave it as it is."""
    with serving(tmp_path_factory.mktemp("session"), network, Limits()) as running:
        yield running


@pytest.fixture
def client(served) -> Iterator[httpx.Client]:
    """Talks to the server as the page does."""
    with httpx.Client(base_url=served.base, headers={"X-Token": TOKEN}, timeout=30) as talker:
        yield talker


@pytest.fixture
def open_tab(browser, served):
    """Opens a tab at the server's page; options are those of a context of Playwright.

    What a page writes to the console as an error fails the test.
    """
    contexts, errors = [], []

    def start(**options: Any) -> Tab:
        context = browser.new_context(**{"viewport": {"width": 900, "height": 600}} | options)
        contexts.append(context)
        context.set_default_timeout(20_000)
        page, requests = context.new_page(), []
        page.on("request", lambda request: requests.append(request))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        page.goto(served.url)
        return Tab(page, requests)

    yield start
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def tab(open_tab):
    """One tab."""
    return open_tab()
