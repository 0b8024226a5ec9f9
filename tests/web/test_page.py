"""The page in a real browser: lists, downloads, tabs, typed sizes, other sites."""

import re
import time
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from ccsr import image
from ccsr.cli.main import main
from ccsr.grid import output_size
from ccsr.web.enlarging import Enlargement

NETWORK = "tiny.safetensors"


def choose(tab, **fields):
    for name, value in fields.items():
        tab.page.select_option(f"#{name}", value)


def wait(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_download_is_what_upscale_writes(tab, cat, tmp_path, network):
    tab.send(cat)
    tab.type("2.718")
    choose(tab, format="webp", metadata="strip")
    tab.page.fill("#quality", "77")
    tab.page.click("#start")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "cat_2.718x.webp"
    words = ["--scale", "2.718", "--metadata", "strip", "--quality", "77", "--device", "cpu"]
    written = tmp_path / "cat_2.718x.webp"
    words += ["--precision", "fp32", "--model", str(network), "-o", str(written), "--quiet"]
    assert main(["upscale", str(cat), *words]) == 0
    assert Path(download.value.path()).read_bytes() == written.read_bytes()


@pytest.mark.long
def test_several_pictures_have_their_states_and_one_zip(tab, cat, tmp_path):
    (tmp_path / "half.png").write_bytes(cat.read_bytes()[:20_000])
    (tmp_path / "text.png").write_bytes(b"no picture")
    (tmp_path / "other.png").write_bytes(cat.read_bytes())
    tab.send(cat, tmp_path / "half.png", tmp_path / "text.png", tmp_path / "other.png")
    listed = tab.page.locator("#pictures .name")
    assert "cannot read text.png: not an image" in listed.nth(2).inner_text()
    tab.type("1.5")
    choose(tab, which="all")
    tab.page.click("#start")
    tab.page.wait_for_selector("#results >> text=Remove")
    results = tab.page.inner_text("#results")
    assert re.search(r"cannot read half.png: .*image file is truncated", results)
    assert results.count("300x225") == 2
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Download 2 as zip").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["cat_1.5x.png", "other_1.5x.png"]


def test_a_damaged_picture_gets_a_sentence_on_the_stage(tab, cat, tmp_path):
    (tmp_path / "half.png").write_bytes(cat.read_bytes()[:20_000])
    tab.send(tmp_path / "half.png")
    tab.page.wait_for_selector("#status:has-text('image file is truncated')")
    assert tab.page.inner_text("#status").startswith("cannot read half.png: ")


def test_a_file_that_is_too_large_gets_a_sentence(tab, served, cat, tmp_path):
    with (tmp_path / "huge.png").open("wb") as huge:
        huge.truncate(served.app.shelf.limits.sent + 1)
    tab.page.set_input_files("#files", [str(tmp_path / "huge.png")])
    tab.page.wait_for_selector("#message:has-text('huge.png is too large')")
    tab.send(cat)
    tab.settle()


@pytest.mark.long
def test_no_request_leaves_this_machine(tab, cat, served):
    tab.send(cat)
    tab.type("3")
    tab.page.click("#start")
    with tab.page.expect_download():
        tab.page.get_by_role("button", name="Download").click()
    hosts = {urlsplit(request.url).netloc for request in tab.requests}
    assert hosts == {f"127.0.0.1:{served.port}"}


def test_another_site_can_not_read_anything(browser, served, tab, cat):
    """A page of another origin, which a person has open beside it."""
    tab.send(cat)
    page = browser.new_page()
    page.route("http://evil.example/", lambda route: route.fulfill(body="<h1>evil</h1>"))
    page.goto("http://evil.example/")
    script = """(base) => Promise.allSettled([
        fetch(base + "/api/state", { headers: { "X-Token": "guess" } }), fetch(base + "/")])"""
    outcomes = page.evaluate(script, served.base)
    page.close()
    assert [outcome["status"] for outcome in outcomes] == ["rejected", "rejected"]


def test_the_address_needs_its_token(browser, served):
    page = browser.new_page()
    page.goto(f"{served.base}/#wrong")
    page.wait_for_selector("#message:has-text('open the one that ccsr serve printed')")
    page.close()


@pytest.mark.long
def test_a_view_that_ends_while_a_typed_size_is_understood_is_not_the_last(tab, cat):
    tab.page.evaluate(
        "const now = window.fetch; window.fetch = async (url, ...rest) => {"
        " if (String(url).includes('size')) await new Promise((done) => setTimeout(done, 700));"
        " return now(url, ...rest); }; null"
    )
    tab.send(cat)
    tab.type("4.3")
    assert tab.views[-1]["target"] == {"scale": [4.3, 4.3]}


@pytest.mark.long
def test_two_tabs_show_what_they_ask_for(open_tab, cat):
    first = open_tab()
    first.send(cat)
    second = open_tab()
    second.page.wait_for_selector("#pictures .name:has-text('cat.png')")
    first.type("5")
    second.type("7")
    first.type("6")
    second.settle()
    assert first.views[-1]["target"] == {"scale": [6, 6]}
    assert second.views[-1]["target"] == {"scale": [7, 7]}
    assert first.views[-1]["tab"] != second.views[-1]["tab"]


@pytest.mark.long
def test_a_closed_tab_frees_the_worker(open_tab, cat, served, monkeypatch):
    first, second = open_tab(), open_tab()
    first.send(cat)
    first.settle()
    taken, tiles = [], served.app.views.tiles

    def endless(view):
        while True:
            taken.append(1)
            time.sleep(0.02)
            yield next(tiles(view))

    monkeypatch.setattr(served.app.views, "tiles", endless)
    first.page.mouse.wheel(0, -100)
    wait(lambda: taken)
    first.page.close()
    monkeypatch.undo()
    second.page.reload()
    second.page.wait_for_selector("#pictures .name:has-text('cat.png')")
    second.type("4")
    steps = len(taken)
    time.sleep(0.3)
    assert len(taken) == steps


@pytest.mark.long
def test_what_runs_is_cancelled(tab, cat, monkeypatch):
    run = Enlargement.run

    def slowly(self, breathe):
        def step():
            breathe()
            time.sleep(0.1)

        run(self, step)

    monkeypatch.setattr(Enlargement, "run", slowly)
    tab.send(cat)
    tab.type("40")
    tab.page.click("#start")
    tab.page.wait_for_selector("#results progress")
    assert re.search(r"\d+%", tab.page.inner_text("#results"))
    tab.page.get_by_role("button", name="Cancel").click()
    tab.page.wait_for_selector("#results >> text=cancelled")
    tab.page.get_by_role("button", name="Remove", exact=True).click()
    tab.page.wait_for_selector("#results:empty", state="attached")


@pytest.mark.long
def test_views_come_while_an_enlargement_runs(tab, cat, monkeypatch):
    run, waiting = Enlargement.run, [True]

    def slowly(self, breathe):
        def step():
            while waiting:
                breathe()

        run(self, step)

    monkeypatch.setattr(Enlargement, "run", slowly)
    tab.send(cat)
    tab.type("2")
    tab.page.click("#start")
    tab.type("6")
    tab.page.wait_for_selector("#results progress")
    waiting.clear()
    tab.page.wait_for_selector("#results >> text=Download")


@pytest.mark.long
def test_what_is_typed_is_what_is_enlarged(tab, cat):
    """The button is pressed with the cursor still in the box."""
    tab.send(cat)
    tab.settle()
    tab.page.fill("#factor", "1,5")
    tab.page.click("#start")
    tab.page.wait_for_selector("#results >> text=cat_1.5x.png")
    assert tab.page.input_value("#factor") == "1.5"
    tab.page.fill("#factor", "large")
    tab.page.click("#start")
    tab.page.wait_for_selector("#message:has-text('Type a factor such as 2.37')")
    tab.page.fill("#factor", "2.5")
    tab.page.click("#start")
    tab.page.wait_for_selector("#results >> text=cat_2.5x.png")
    assert tab.page.locator("#results > li").count() == 2


@pytest.mark.long
def test_the_box_follows_the_view_though_the_cursor_is_in_it(tab, cat):
    tab.send(cat)
    tab.type("4")
    tab.page.mouse.move(300, 300)
    tab.after(lambda: tab.page.mouse.wheel(0, -100))
    factor = tab.views[-1]["target"]["scale"][0]
    assert factor > 4
    assert tab.page.evaluate("document.activeElement.id") == "factor"
    assert tab.page.input_value("#factor") == str(factor)
    tab.page.keyboard.type("9")  # and does not while one types
    tab.after(lambda: tab.page.mouse.wheel(0, 100))
    assert tab.page.input_value("#factor").startswith(str(factor))
    tab.page.click("#fit")
    tab.page.wait_for_function("document.getElementById('factor').value === '2.85'")


@pytest.mark.long
def test_a_picture_of_millions_of_pixels_in_a_row_is_fitted_as_far_as_it_can(
    tab, served, tmp_path, monkeypatch
):
    Image.new("L", (1, 7_000_000)).save(tmp_path / "line.png")
    monkeypatch.setattr(served.app.views, "tiles", lambda view: iter(()))
    tab.send(tmp_path / "line.png")
    tab.settle()
    assert tab.views[-1]["target"] == {"scale": [1e-4, 1e-4]}
    tab.after(lambda: tab.page.mouse.wheel(0, 100))
    assert tab.views[-1]["target"] == {"scale": [1e-4, 1e-4]}


def test_sizes_are_those_of_the_command_line(tab):
    """What the page computes of sizes equals what the package does."""
    given = [(h, w) for h in (1, 2, 7, 50, 333, 4000) for w in (1, 3, 50, 641, 6000)]
    scales = [0.01, 0.5, 1, 1.15, 1.3, 2, 2.37, 3.14159, 7.77777, 63.99999]
    script = """async ([sizes, scales]) => {
        const { side } = await import("/geometry.js");
        return sizes.map(([height, width]) =>
            scales.map((scale) => [side(height, scale), side(width, scale)]));
    }"""
    computed = tab.page.evaluate(script, [given, scales])
    for size, by_scale in zip(given, computed, strict=True):
        assert by_scale == [list(output_size(size, scale)) for scale in scales]


@pytest.mark.long
def test_a_picture_can_be_dropped_on_the_page(tab, cat):
    content = list(cat.read_bytes())
    script = """(content) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(content)], "dropped.png"));
        const drop = new DragEvent("drop", { bubbles: true, dataTransfer: data });
        document.getElementById("canvas").dispatchEvent(drop);
    }"""
    tab.page.evaluate(script, content)
    tab.page.wait_for_selector("#pictures .name:has-text('dropped.png')")
    tab.settle()
    assert tab.page.locator("#empty").is_hidden()
    tab.page.get_by_role("button", name="Remove dropped.png").click()
    tab.page.wait_for_selector("#empty", state="visible")


@pytest.mark.long
def test_a_page_is_chosen_seen_and_downloaded(tab, booklet, pages, tmp_path):
    tab.send(booklet)
    tab.compare("bicubic", "bicubic")
    assert tab.page.is_visible("#frames")
    assert tab.page.inner_text("#of") == "of 3"
    tab.type("9")
    before = tab.views[-1]

    def turn(page):
        def do():
            tab.page.fill("#frame", page)
            tab.page.press("#frame", "Enter")

        return do

    tab.after(turn("2"))
    view = tab.views[-1]
    assert view["picture"] != before["picture"]
    assert {**view, "picture": 0} == {**before, "picture": 0}  # the same place
    tab.after(turn("3"))
    assert (tab.views[-1]["width"], tab.views[-1]["height"]) != (view["width"], view["height"])
    choose(tab, which="frame", format="same")
    tab.page.click("#start")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename.startswith("booklet-3_")
    (got,) = image.read(download.value.path()).frames
    assert got.dtype == np.uint16
    choose(tab, which="this one")
    tab.page.click("#start")
    wait(lambda: tab.page.get_by_role("button", name="Download").count() == 2)
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Download").first.click()
    assert len(image.read(download.value.path()).frames) == 3


@pytest.mark.long
def test_a_single_picture_offers_no_frames(tab, cat, booklet):
    tab.send(booklet)
    tab.page.wait_for_selector("#frames", state="visible")
    tab.send(cat)
    tab.page.click("#pictures .name:has-text('cat.png')")
    tab.page.wait_for_selector("#frames", state="hidden")
