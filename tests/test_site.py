"""The page of `make site` in a browser: its pixels are those of ccsr, and no server makes them."""

import io
import random
import runpy
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ccsr import Upscaler, image
from ccsr.bundled import resource_dir
from ccsr.grid import choose_grid
from ccsr.image.coding import coding
from ccsr.resample import resize
from ccsr.web import requests
from documents import ROOT

SITE = runpy.run_path(str(ROOT / "site" / "build.py"), run_name="site")
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, with the runtime that an earlier build fetched, or one that npm gives now."""
    out = tmp_path_factory.mktemp("site") / "page"
    try:
        SITE["build"](out, ROOT / "build" / "vendor")
    except RuntimeError as error:
        pytest.skip(str(error))
    return out


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def url(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def opened(browser: Any, url: str) -> Iterator[tuple[Any, list[str]]]:
    """The page in a browser, and what it asked for."""
    page = browser.new_page(viewport={"width": 900, "height": 600})
    page.set_default_timeout(120_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: asked.append(f"error: {error}"))
    page.goto(url)
    yield page, asked
    page.close()


def to_levels(x: Any) -> Any:
    return np.floor(x.clip(0, 1) * 255 + 0.5).transpose(1, 2, 0).astype(int)


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    with Image.open(resource_dir("samples") / "chelsea.png") as picture:
        picture.convert("RGB").crop((100, 60, 260, 180)).save(tmp_path / "cat.png")
    return tmp_path / "cat.png"


def enlarged(page: Any, size: str, model: str) -> tuple[str, Any]:
    """Name and pixels of the file that the page gives."""
    page.fill("#factor", size)
    page.press("#factor", "Enter")
    page.select_option("#model", model)
    page.click("#start")
    done = page.get_by_role("button", name="Download").first
    done.wait_for()
    with page.expect_download() as download:
        done.click()
    with Image.open(download.value.path()) as result:
        return download.value.suggested_filename, np.asarray(result.convert("RGB"))


@pytest.mark.parametrize(
    ("size", "model", "wanted", "name"),
    [
        ("2.37", "light", {"scale": 2.37}, "cat_2.37x.png"),
        ("3x1.5", "light", {"scale": (1.5, 3)}, "cat_3x1.5x.png"),
        ("500x333", "photo", {"size": (333, 500)}, "cat_500x333.png"),
        ("0.6", "light", {"scale": 0.6}, "cat_0.6x.png"),
        ("cover 250x250", "light", {"size": (250, 333)}, "cat_250x250cover.png"),
    ],
)
def test_a_download_has_the_pixels_of_the_command(
    size: str,
    model: str,
    wanted: dict[str, Any],
    name: str,
    opened: tuple[Any, list[str]],
    cat: Path,
    url: str,
) -> None:
    page, asked = opened
    page.set_input_files("#files", str(cat))
    page.locator("#pictures .name").wait_for()
    got_name, got = enlarged(page, size, model)
    upscaler = Upscaler.load(model, device="cpu", precision="fp32")
    expected = upscaler.levels(image.read(cat).frames[0], **wanted)
    assert got_name == name
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).max() <= 1
    assert (got != expected).mean() < 0.01
    assert not [each for each in asked if not each.startswith((url, f"blob:{url}"))]


def test_the_network_that_cleans_is_told_what_a_jpeg_says(
    opened: tuple[Any, list[str]], cat: Path
) -> None:
    """The page decodes as the browser does, within a level or two; what it is told changes more."""
    page, _ = opened
    path = cat.with_suffix(".jpg")
    with Image.open(cat) as picture:
        picture.save(path, quality=35, subsampling=0)
    page.set_input_files("#files", str(path))
    page.locator("#pictures .name").wait_for()
    _, got = enlarged(page, "2", "photo")
    upscaler = Upscaler.load("photo", device="cpu", precision="fp32")
    expected = upscaler(image.read(path), scale=2).frames[0].astype(int)
    untold = upscaler.at_quality(None).levels(image.read(path).frames[0], scale=2)
    assert np.abs(got - expected).mean() < 0.3 * np.abs(untold - expected).mean()


def test_the_quality_of_a_jpeg_is_that_of_its_tables(opened: tuple[Any, list[str]]) -> None:
    page, _ = opened
    files: list[tuple[list[int], int]] = [([], 0), ([0xFF, 0xD8, 0xFF], 0)]
    with Image.open(resource_dir("samples") / "chelsea.png") as picture:
        small = picture.convert("RGB").resize((24, 16))
    for quality in range(1, 101):
        for more in ({}, {"exif": b"Exif\0\0" + bytes(999)}, {"progressive": True}):
            stream = io.BytesIO()
            small.save(stream, "JPEG", quality=quality, **more)
            with Image.open(stream) as read:
                told = coding(read)
            assert told is not None
            files.append((list(stream.getvalue()), round(told.quality)))
    whole = files[-1][0]
    filled = [*whole[:2], 255, 255, *whole[2:]]
    files += [(whole[:20], 0), (list(b"\x89PNG") + whole, 0), (filled, files[-1][1])]
    found = page.evaluate(
        """async (files) => {
          const { quality } = await import("./quality.js");
          return files.map((file) => quality(Uint8Array.from(file).buffer));
        }""",
        [bytes_ for bytes_, _ in files],
    )
    assert found == [expected for _, expected in files]


SIZES = ((120, 160), (451, 300), (1, 7), (4000, 6000))  # (height, width)
TEXTS = (
    "2,5", " 2 x 1.5 ", "64", "65", "48px", "48x50 px", "1920×1080", "Width 5", "height 5px",
    "longest 7", "shortest 800", "fit 1920x1080", "cover 19*10", "at  least 190x10",
    "12.5mp", ".3 megapixels", "30x20cm@300", "print 10.5x8in@299.5", "210x297mm@1",
    "0.001", "1x.5", "longest 1000000",
    "", "big", "-2", "0", "2x", "70.5", "longest 2.5", "width 1000000000000", "fit 3", "12x3 mp",
    "fit 12 mp", "1e9", "12 mp 3", "0 mp", "2px3", "30x20cm@0", "30x20km@300", "1.2.3x4cm@300",
    ".x.in@5", "0x3cm@300", "2147483647", "999999x1000001", "1000000 mp",
)  # fmt: skip


def meaning(text: str, size: tuple[int, int]) -> Any:
    """The name and the size that the server finds, or what it says is wrong."""
    try:
        target = requests.typed(text).target
        return [target.label, list(target.size(size))]
    except ValueError as error:
        return str(error)


def test_a_typed_size_means_what_it_means_to_the_server(opened: tuple[Any, list[str]]) -> None:
    page, _ = opened
    draw = random.Random(0)
    numbers = [f"{draw.uniform(0.5, 3000):.{draw.randrange(3)}f}" for _ in range(300)]
    kinds = ("shortest {}", "fit {0}x{0}1", "{} mp", "{}x7.3cm@{}", "{}")
    drawn = [draw.choice(kinds).format(n, m) for n, m in pairwise(numbers)]
    texts = [*TEXTS, *drawn]
    told = page.evaluate(
        """async ([texts, sizes]) => {
          const { typed } = await import("./sizes.js");
          const meaning = (text, [height, width]) => {
            try {
              const wanted = typed(text);
              return [wanted.label, wanted.size({ width, height })];
            } catch (error) {
              return error.message;
            }
          };
          return texts.map((text) => sizes.map((size) => meaning(text, size)));
        }""",
        [texts, SIZES],
    )
    expected = [[meaning(text, size) for size in SIZES] for text in texts]
    assert dict(zip(texts, told, strict=True)) == dict(zip(texts, expected, strict=True))
    assert sum(isinstance(each, list) for one in told for each in one) > len(texts)


def test_what_is_on_the_screen_is_the_enlargement(opened: tuple[Any, list[str]], cat: Path) -> None:
    page, _ = opened
    page.set_input_files("#files", str(cat))
    page.locator("#pictures .name").wait_for()
    page.fill("#factor", "2.37")
    page.press("#factor", "Enter")
    page.wait_for_selector("#stage[aria-busy=true]")
    page.wait_for_selector("#stage[aria-busy=false]")
    assert page.inner_text("#status").startswith("Exact, 379 × 284 pixels")
    page.evaluate(
        "for (const each of document.querySelectorAll('#status, .tag, #divider'))"
        " each.style.visibility = 'hidden'"
    )
    with Image.open(io.BytesIO(page.locator("#canvas").screenshot())) as shot:
        screen = np.asarray(shot.convert("RGB")).astype(int)
    values = image.read(cat).frames[0]
    sides = [
        Upscaler.load("light", device="cpu", precision="fp32").levels(values, scale=2.37),
        to_levels(resize(values.transpose(2, 0, 1) / 255, choose_grid((120, 160), 2.37))),
    ]
    height, width = screen.shape[:2]
    top, left = round(height / 2 - 284 / 2), round(width / 2 - 379 / 2)
    for part, side, columns, most in (
        (screen, sides[1], slice(20, 150), 1),
        (screen, sides[0], slice(230, 360), 1),
    ):
        found = [
            np.abs(part[y : y + 284, x : x + 379][:, columns] - side[:, columns]).max()
            for y in (top - 1, top, top + 1)
            for x in (left - 1, left, left + 1)
        ]
        assert min(found) <= most


def test_what_it_does_not_do_it_says(opened: tuple[Any, list[str]], tmp_path: Path) -> None:
    page, _ = opened
    Image.new("RGBA", (20, 20), (10, 20, 30, 40)).save(tmp_path / "clear.png")
    (tmp_path / "text.png").write_bytes(b"no picture")
    page.set_input_files("#files", [str(tmp_path / "clear.png"), str(tmp_path / "text.png")])
    rows = page.locator("#pictures .name")
    rows.nth(1).wait_for()
    assert "cannot read clear.png: it is transparent in parts" in rows.nth(0).inner_text()
    assert "cannot read text.png: it is not a picture" in rows.nth(1).inner_text()


def test_sides_that_no_browser_has_are_refused_before_anything_is_computed(
    opened: tuple[Any, list[str]], tmp_path: Path
) -> None:
    page, _ = opened
    Image.new("RGB", (40_000, 3)).save(tmp_path / "long.png")
    Image.new("RGB", (1000, 3)).save(tmp_path / "short.png")
    page.set_input_files("#files", [str(tmp_path / "long.png"), str(tmp_path / "short.png")])
    rows = page.locator("#pictures .name")
    rows.nth(1).wait_for()
    assert "cannot read long.png: 40000x3 is too large for a browser" in rows.nth(0).inner_text()
    page.fill("#factor", "40")
    page.press("#factor", "Enter")
    page.click("#start")
    page.wait_for_selector("#results >> text=40000x120 is too large for a browser")


def test_a_network_that_cannot_run_is_said(opened: tuple[Any, list[str]], cat: Path) -> None:
    page, _ = opened
    page.route("**/ort/*", lambda route: route.abort())
    page.reload()
    page.set_input_files("#files", str(cat))
    page.wait_for_selector("#status:has-text('the network cannot run in this browser')")
    page.click("#start")
    page.wait_for_selector("#results >> text=the network cannot run in this browser")


def test_what_is_chosen_before_the_page_is_ready_is_taken(
    opened: tuple[Any, list[str]], cat: Path
) -> None:
    page, _ = opened
    held: list[Any] = []
    page.route("**/models.json", lambda route: held.append(route))
    page.reload()
    page.set_input_files("#files", str(cat))
    while not held:
        page.wait_for_timeout(50)
    held[0].continue_()
    page.locator("#pictures .name").wait_for()


def test_a_folder_with_other_things_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_text("precious")
    with pytest.raises(ValueError, match="holds other things than such a page"):
        SITE["build"](tmp_path, ROOT / "build" / "vendor")
    assert (tmp_path / "photo.txt").read_text() == "precious"


def test_a_package_that_is_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime-web-1.30.0.tgz").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"expected onnxruntime-web@1\.30\.0 with the SHA-512 "):
        SITE["fetched"](tmp_path)
