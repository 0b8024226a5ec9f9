"""The page in a real browser: what is on the screen is what the network computes."""

import math

import numpy as np
import pytest

from ccsr import image
from ccsr.grid import choose_grid
from ccsr.resample import resize

NETWORK = "tiny.safetensors"


def window(whole, view):
    """The part of an enlargement, floats (3, H, W), that a view shows, as levels (h, w, 3)."""
    rows = slice(view["top"], view["top"] + view["height"])
    columns = slice(view["left"], view["left"] + view["width"])
    return 255 * whole[:, rows, columns].clamp(0, 1).permute(1, 2, 0).numpy()


def is_rounded(shown, exact):
    """Whether levels are the nearest to exact ones, up to float rounding."""
    return shown.shape == exact.shape and bool((np.abs(shown - exact) <= 0.5 + 1e-3).all())


def position(view, pixel):
    """The image position (x, y) that a view shows at a point of a stage which it fills."""
    sy, sx = view["target"]["scale"]
    found = []
    for n, s, first, at in (
        (200, sx, view["left"], pixel[0]), (150, sy, view["top"], pixel[1])
    ):  # fmt: skip
        whole = math.floor(n * s + 0.5)
        found.append((first + at + (n * s - whole) / 2) / s)
    return found


@pytest.fixture
def whole(cat, upscaler):
    """The photo enlarged to a grid, by kernel or network."""
    x = image.from_array(image.read(cat).frames[0])

    def enlarged(method, **wish):
        grid = choose_grid((150, 200), **wish)
        if method == NETWORK:
            return upscaler.tensor(x, grid=grid)
        return resize(x, grid, {"bicubic": "cubic", "lanczos": "lanczos"}[method])

    return enlarged


def test_the_screen_shows_what_the_network_computes(tab, cat, whole):
    tab.send(cat)
    tab.compare(NETWORK, NETWORK)
    tab.type("5.12345")
    shown = tab.screen()
    assert shown.shape == (600, 570, 3)
    assert tab.views[-1]["target"] == {"scale": [5.12345, 5.12345]}
    assert is_rounded(shown, window(whole(NETWORK, scale=5.12345), tab.views[-1]))


@pytest.mark.long
def test_each_side_of_the_divider_shows_its_method(tab, cat, whole):
    tab.send(cat)
    tab.compare("lanczos", NETWORK)
    tab.type("6")
    tab.page.mouse.move(290, 100)
    tab.page.mouse.down()
    tab.page.mouse.move(347, 120, steps=4)
    tab.page.mouse.up()
    assert tab.page.input_value("#divider") == "60.9"
    shown, cut = tab.screen(), 347
    left, right = (window(whole(name, scale=6.0), tab.views[-1]) for name in ("lanczos", NETWORK))
    assert is_rounded(shown[:, :cut], left[:, :cut])
    assert is_rounded(shown[:, cut:], right[:, cut:])


@pytest.mark.long
def test_a_screen_of_high_density_shows_a_pixel_as_a_pixel(open_tab, cat, whole):
    tab = open_tab(device_scale_factor=2)
    tab.send(cat)
    tab.compare(NETWORK, NETWORK)
    tab.type("9")
    view, shown = tab.views[-1], tab.screen()
    assert shown.shape == (1200, 1140, 3)
    assert (view["width"], view["height"]) == (1140, 1200)
    assert is_rounded(shown, window(whole(NETWORK, scale=9.0), view))


@pytest.mark.long
def test_a_reduction_lies_in_the_middle(tab, cat, whole):
    tab.send(cat)
    tab.type("0.7")
    view, shown = tab.views[-1], tab.screen()
    assert (view["left"], view["top"], view["width"], view["height"]) == (0, 0, 140, 105)
    left, top = 215, 248  # (570 - 140) / 2, and (600 - 105) / 2 to the nearest, halves up
    exact = window(whole("bicubic", scale=0.7), view)
    assert is_rounded(shown[top : top + 105, left : left + 140], exact)


@pytest.mark.long
@pytest.mark.parametrize(
    ("typed", "target", "wish"),
    [
        pytest.param(
            "1000x2000", {"text": "1000x2000"}, {"size": (2000, 1000)}, marks=pytest.mark.long
        ),
        ("1234", {"text": "1234"}, {"size": (926, 1234)}),
        ("cover 1000x1000", {"text": "cover 1000x1000"}, {"size": (1000, 1333)}),
        ("30x20cm@150", {"text": "30x20cm@150"}, {"size": (1181, 1575)}),
        ("4x5.5", {"scale": [5.5, 4]}, {"scale": (5.5, 4.0)}),
    ],
)
def test_a_typed_size_moves_the_view_there(tab, cat, whole, typed, target, wish):
    tab.send(cat)
    tab.compare(NETWORK, NETWORK)
    tab.type(typed)
    view = tab.views[-1]
    assert view["target"] == target
    enlarged = whole(NETWORK, **wish)
    height, width = enlarged.shape[1:]
    assert tab.page.inner_text("#size").startswith(f"{width} × {height} pixels")
    assert is_rounded(tab.screen(), window(enlarged, view))


@pytest.mark.long
def test_what_is_no_size_is_refused(tab, cat):
    tab.send(cat)
    tab.settle()
    before = len(tab.views)
    for typed in ("big", "-2", "0", "2x", "70.5", "99999999999"):
        tab.page.fill("#factor", typed)
        tab.page.press("#factor", "Enter")
        tab.page.wait_for_selector("#message:has-text('Type a factor such as 2.37')")
        tab.type("3" if typed == "big" else "2.9")  # and a sentence goes when it is heeded
        assert tab.page.inner_text("#message") == ""
        tab.type("3")
    before = len(tab.views)
    tab.type("4")
    assert tab.page.inner_text("#message") == ""
    assert len(tab.views) == before + 1


@pytest.mark.long
@pytest.mark.parametrize("pointer", [(100, 480), (300, 200), (441, 333)])
def test_zooming_keeps_what_is_under_the_pointer(tab, cat, pointer):
    tab.send(cat)
    tab.type("4.3")
    tab.page.mouse.move(*pointer)
    for delta in (-100, -300, 200, 120, -500):
        before = position(tab.views[-1], pointer)
        count = len(tab.views)
        tab.after(lambda delta=delta: tab.page.mouse.wheel(0, delta))
        assert len(tab.views) == count + 1
        after = position(tab.views[-1], pointer)
        scale = tab.views[-1]["target"]["scale"][0]
        assert np.abs(np.subtract(after, before)).max() * scale <= 0.5 + 1e-3


@pytest.mark.long
def test_thirty_ticks_of_the_wheel_are_few_views(tab, cat, served, monkeypatch):
    tab.send(cat)
    tab.settle()
    computed, tiles = [], served.app.views.tiles

    def counted(view):
        computed.append(view)
        yield from tiles(view)

    monkeypatch.setattr(served.app.views, "tiles", counted)
    tab.page.mouse.move(250, 250)
    tab.after(lambda: [tab.page.mouse.wheel(0, -20) for _ in range(30)])
    assert 1 <= len(computed) <= 3
    assert computed[-1].target.scale[0] == pytest.approx(2.85 * math.exp(0.9), rel=1e-4)


@pytest.mark.long
def test_dragging_moves_the_picture_by_whole_pixels(tab, cat, whole):
    tab.send(cat)
    tab.compare(NETWORK, NETWORK)
    tab.type("7.7")
    before = tab.views[-1]
    tab.page.mouse.move(300, 300)
    tab.page.mouse.down()
    tab.page.mouse.move(250, 280, steps=5)
    tab.page.mouse.move(237, 311, steps=3)
    tab.page.mouse.up()
    tab.settle()
    after = tab.views[-1]
    assert (after["left"] - before["left"], after["top"] - before["top"]) == (63, -11)
    asked = len(tab.views)
    tab.page.mouse.down(button="right")  # whose menu may swallow the end of it
    tab.page.mouse.move(200, 200)
    tab.page.wait_for_timeout(200)
    assert len(tab.views) == asked
    assert is_rounded(tab.screen(), window(whole(NETWORK, scale=7.7), after))


@pytest.mark.long
def test_the_last_view_is_stretched_while_moving(tab, cat, served, monkeypatch):
    """Nothing is computed, and yet the screen shows the photo at the new factor."""
    tab.send(cat)
    tab.compare("bicubic", "bicubic")
    tab.type("6")
    monkeypatch.setattr(served.app.views, "tiles", lambda view: iter(()))
    before = tab.screen()
    tab.page.mouse.move(285, 300)
    tab.page.mouse.wheel(0, -400)
    tab.page.wait_for_timeout(400)
    after = tab.screen()
    factor = math.exp(0.6)
    inner = before[300 - 100 : 300 + 100, 285 - 100 : 285 + 100].mean((0, 1))
    reach = round(100 * factor)
    outer = after[300 - reach : 300 + reach, 285 - reach : 285 + reach].mean((0, 1))
    assert np.abs(inner - outer).max() < 1
    assert np.abs(before.astype(int) - after).mean() > 1


@pytest.mark.long
def test_transparency_lies_on_a_chequered_ground(tab, tmp_path):
    values = np.full((20, 30, 4), 90, np.uint8)
    values[..., 3] = 255
    values[:10, :, 3] = 0
    image.write(image.Picture((values,)), tmp_path / "half.png")
    tab.send(tmp_path / "half.png")
    tab.compare("bicubic", "bicubic")
    tab.type("10")
    shown = tab.screen()[202:398, 137:433]  # the 300 by 200 pixels without their edges
    assert {tuple(colour) for colour in shown[:70].reshape(-1, 3)} == {(204,) * 3, (255,) * 3}
    assert {tuple(colour) for colour in shown[130:].reshape(-1, 3)} == {(90,) * 3}


@pytest.mark.long
def test_the_loupe_magnifies_what_is_under_the_pointer(tab, cat):
    tab.send(cat)
    tab.compare("bicubic", "bicubic")
    tab.type("4")
    plain = tab.screen()
    tab.page.mouse.move(300, 300)
    tab.page.focus("#canvas")
    tab.page.keyboard.press("l")
    tab.page.wait_for_selector("#loupe", state="visible")
    lens = tab.screen()[300 - 60 : 300 + 60, 300 - 60 : 300 + 60]
    expected = np.repeat(np.repeat(plain[288:312, 288:312], 5, 0), 5, 1)
    assert (lens == expected).all()
    tab.page.keyboard.press("l")
    tab.page.wait_for_selector("#loupe", state="hidden")
    inside = slice(5, -5)  # of the ring that shows where the keys go
    assert (tab.screen()[inside, inside] == plain[inside, inside]).all()


def test_the_screen_shows_the_page(tab, tmp_path):
    """Without a profile, which would change the levels."""
    rng = np.random.default_rng(0)
    frames = tuple(rng.integers(0, 256, (60, 80, 3), np.uint8) for _ in range(2))
    image.write(image.Picture(frames), tmp_path / "two.tif")
    tab.send(tmp_path / "two.tif")
    tab.compare("bicubic", "bicubic")
    tab.type("11")
    tab.page.fill("#frame", "2")
    tab.after(lambda: tab.page.press("#frame", "Enter"))
    whole = resize(image.from_array(frames[1]), choose_grid((60, 80), 11.0), "cubic")
    assert is_rounded(tab.screen(), window(whole, tab.views[-1]))
