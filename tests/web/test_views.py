"""Windows that the server computes: the bytes of the whole enlargement, in pieces."""

import struct
import threading
import time

import numpy as np
import pytest
from PIL import Image

from ccsr import image
from ccsr.grid import choose_grid
from ccsr.image.modes import reduced, to_srgb
from ccsr.model import CCSR
from ccsr.resample import resize
from ccsr.web import requests
from ccsr.web.entry import Limits
from ccsr.web.views import Window

NETWORK = "tiny.safetensors"
HEADER = struct.Struct("<5I")


def wanted(client, width, height, /, **fields):
    """A view of the first picture on the shelf."""
    number = client.get("/api/state").json()["pictures"][0]["id"]
    common = {"tab": "a", "picture": number, "target": {"scale": [2, 2]}, "left": 0, "top": 0}
    common |= {"width": width, "height": height, "divider": width // 2}
    return common | {"methods": ["bicubic", NETWORK]} | fields


def parts(content):
    """What a view's bytes say: (sides, left, top, pixels) in order, and the sentence at the end."""
    found = []
    while True:
        sides, left, top, width, height = HEADER.unpack_from(content)
        content = content[HEADER.size :]
        if not sides:
            assert len(content) == width
            return found, content.decode()
        count = 4 * width * height
        pixels = np.frombuffer(content[:count], np.uint8).reshape(height, width, 4)
        found.append((sides, left, top, pixels))
        content = content[count:]


def painted(client, width, height, **fields):
    """Both sides of a view, as a page would paint them."""
    answer = client.post("/api/view", json=wanted(client, width, height, **fields))
    assert answer.status_code == 200, answer.json()
    found, error = parts(answer.content)
    assert error == ""
    sheets = np.zeros((2, height, width, 4), np.uint8)
    for sides, left, top, pixels in found:
        for number in (0, 1):
            if sides & 1 << number:
                sheets[number, top : top + len(pixels), left : left + pixels.shape[1]] = pixels
    return sheets


def close(shown, exact, highest=255):
    """Whether levels are floats in [0, 1], rounded."""
    return np.abs(shown / 255 - exact.clip(0, 1)).max() <= 0.5 / 255 + 1e-5


@pytest.mark.parametrize(
    ("target", "wish"),
    [
        ({"scale": [2.371, 2.371]}, {"scale": 2.371}),
        ({"scale": [1.5, 3.25]}, {"scale": (1.5, 3.25)}),
        ({"text": "width 777"}, {"size": (583, 777)}),
        ({"text": "640x600"}, {"size": (600, 640)}),
        ({"scale": [0.7, 1.6]}, {"scale": (0.7, 1.6)}),
    ],
)
def test_a_view_is_a_window_of_the_enlargement(client, served, cat, upscaler, target, wish):
    served.app.shelf.take([cat])
    left, top, width, height = 11, 7, 290, 91
    sheets = painted(client, width, height, left=left, top=top, target=target)
    x = image.from_array(image.read(cat).frames[0])
    grid = choose_grid((150, 200), **wish)
    window = slice(top, top + height), slice(left, left + width)
    for sheet, whole in zip(sheets, (resize(x, grid), upscaler.tensor(x, grid=grid)), strict=True):
        assert close(sheet[..., :3], whole[:, *window].permute(1, 2, 0).numpy())
        assert (sheet[..., 3] == 255).all()


def test_a_reduction_is_bicubic_at_once(client, served, cat):
    served.app.shelf.take([cat])
    answer = client.post("/api/view", json=wanted(client, 90, 60, target={"scale": [0.5, 0.5]}))
    found, _ = parts(answer.content)
    assert [(sides, pixels.shape) for sides, _, _, pixels in found] == [(3, (60, 90, 4))]


def test_the_middle_comes_first_and_what_is_hidden_last(client, served, cat, network):
    served.app.shelf.take([cat])
    methods = [NETWORK, "light"]
    view = wanted(client, 1600, 1200, target={"scale": [8, 8]}, methods=methods, divider=600)
    found, error = parts(client.post("/api/view", json=view).content)
    assert error == ""
    assert found[0][0] == 3  # bicubic, for both
    assert found[0][3].shape == (1200, 1600, 4)
    boxes = [(sides, left, top, *pixels.shape[1::-1]) for sides, left, top, pixels in found[1:]]
    hidden = [
        left >= 600 if sides == 1 else left + width <= 600 for sides, left, _, width, _ in boxes
    ]
    assert hidden == sorted(hidden)
    assert 0 < sum(hidden) < len(hidden)
    for part in (False, True):
        distances = [
            (left + width / 2 - 800) ** 2 + (top + height / 2 - 600) ** 2
            for (_, left, top, width, height), is_hidden in zip(boxes, hidden, strict=True)
            if is_hidden is part
        ]
        assert distances == sorted(distances)


@pytest.mark.parametrize(("quality", "name"), [(50, "photo"), (None, "light")])
def test_auto_shows_what_the_network_for_the_picture_makes(client, served, cat, quality, name):
    with Image.open(cat) as photo:
        photo.save(cat.with_suffix(".jpg" if quality else ".bmp"), quality=quality or 0)
    served.app.shelf.take([cat.with_suffix(".jpg" if quality else ".bmp")])
    automatic, chosen = painted(
        client, 500, 375, methods=["auto", name], target={"text": "width 500"}
    )
    assert (automatic == chosen).all()


def test_another_zoom_needs_no_other_features(client, served, cat, monkeypatch):
    served.app.shelf.take([cat])
    encoded, features = [], CCSR.features
    monkeypatch.setattr(CCSR, "features", lambda *given: encoded.append(1) or features(*given))
    painted(client, 600, 450, target={"scale": [3, 3]})
    first = len(encoded)
    assert first
    painted(client, 940, 705, target={"scale": [4.7, 4.7]})
    painted(client, 300, 200, target={"scale": [11.3, 1.7]}, left=20)
    assert len(encoded) == first


@pytest.mark.parametrize("depth", [8, 16])
def test_transparency_and_depth_reach_the_screen(client, served, tmp_path, upscaler, depth):
    generator = np.random.default_rng(0)
    highest = 2**depth - 1
    kind = np.uint8 if depth == 8 else np.uint16
    values = generator.integers(0, highest, (40, 50, 4), kind, endpoint=True)
    values[:10, :10, 3] = 0
    image.write(image.Picture((values,)), tmp_path / "clear.png")
    served.app.shelf.take([tmp_path / "clear.png"])
    sheets = painted(client, 100, 80)
    expected = reduced(upscaler.levels(values, scale=2))
    assert np.abs(sheets[1].astype(int) - expected).max() <= 1
    assert (sheets[1] != expected).mean() < 1e-3
    assert (sheets[:, :14, :14, 3] == 0).all()


def test_grey_is_grey(client, served, tmp_path):
    Image.radial_gradient("L").save(tmp_path / "grey.png")
    served.app.shelf.take([tmp_path / "grey.png"])
    for sheet in painted(client, 300, 200):
        assert (sheet[..., :1] == sheet[..., :3]).all()


def test_colours_of_a_profile_are_shown_as_they_are(client, served, tmp_path, wide_profile, cat):
    """Against Pillow's conversion of what the network gives."""
    with Image.open(cat) as photo:
        photo.save(tmp_path / "wide.png", icc_profile=wide_profile)
        photo.load()
    served.app.shelf.take([tmp_path / "wide.png"])
    bicubic, _ = painted(client, 400, 300)
    plain = resize(image.to_tensor(photo), choose_grid((150, 200), 2.0))
    expected = np.asarray(to_srgb(image.to_image(plain), wide_profile))
    assert np.abs(bicubic[..., :3].astype(int) - expected).max() <= 1
    assert np.abs(bicubic[..., :3].astype(int) - np.asarray(image.to_image(plain))).max() > 5


def test_a_view_that_makes_no_sense_is_refused(client, served, cat):
    served.app.shelf.take([cat])
    for fields, sentence in (
        ({"left": 350}, "a window must lie within 400x300, got 100x80 at 350, 0"),
        ({"target": {"text": "width 99"}}, "a window must lie within 99x74, got 100x80"),
        ({"methods": ["bicubic", "../light"]}, "model must be one of"),
        ({"picture": 99}, "there is no picture 99 any more"),
        ({"left": -1}, "left must be a whole number from 0"),
    ):
        answer = client.post("/api/view", json=wanted(client, 100, 80, **fields))
        assert answer.status_code == 400
        assert sentence in answer.json()["error"]


def test_what_is_no_json_object_is_refused(client):
    for content in (b"", b"[]", b"{", b"\xff", b"[" * 100_000):
        answer = client.post("/api/view", content=content)
        assert answer.status_code == 400
        assert answer.json()["error"]


def test_a_long_request_is_refused(client):
    assert client.post("/api/view", content=b"[" * (1 << 19)).status_code == 413


@pytest.mark.parametrize("limits", [Limits(view=5000)])
def test_a_view_of_too_many_pixels_is_refused(client, served, cat, limits):
    served.app.shelf.take([cat])
    answer = client.post("/api/view", json=wanted(client, 100, 80))
    assert answer.status_code == 413
    assert "at most 5000 pixels, got 100x80" in answer.json()["error"]


def test_a_damaged_picture_ends_its_view_with_a_sentence(client, served, tmp_path, cat):
    whole = cat.read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    served.app.shelf.take([tmp_path / "half.png"])
    answer = client.post("/api/view", json=wanted(client, 100, 80))
    found, error = parts(answer.content)
    assert found == []
    assert error.startswith("cannot read half.png: ")
    assert "image file is truncated" in error


def test_a_browser_that_goes_away_frees_the_worker(client, served, cat, monkeypatch):
    served.app.shelf.take([cat])
    begun, taken = threading.Event(), []

    def endless(view):
        while True:
            taken.append(1)
            begun.set()
            time.sleep(0.02)
            yield next(tiles(view))

    tiles = served.app.views.tiles
    monkeypatch.setattr(served.app.views, "tiles", endless)
    with client.stream("POST", "/api/view", json=wanted(client, 100, 80)) as answer:
        next(answer.iter_raw())
        assert begun.wait(10)
    monkeypatch.undo()
    painted(client, 100, 80, tab="b")
    steps = len(taken)
    time.sleep(0.3)
    assert len(taken) == steps


def test_nothing_is_kept_of_a_picture_that_was_removed(client, served, cat):
    served.app.shelf.take([cat])
    asked = wanted(client, 100, 80, methods=["auto", NETWORK])
    assert parts(client.post("/api/view", json=asked).content)[1] == ""
    views = served.app.views
    assert (len(views._kept), len(views._suited)) == (2, 1)
    assert client.delete("/api/pictures/1").status_code == 204
    until = time.monotonic() + 10
    while (views._kept or views._suited) and time.monotonic() < until:
        time.sleep(0.01)
    assert not views._kept
    assert not views._suited


def test_the_view_of_a_picture_that_is_removed_ends(served, cat):
    served.app.shelf.take([cat])
    target = requests.target({"scale": [2, 2]})
    pieces = served.app.views.tiles(Window(1, target, 0, 0, 100, 80, ("bicubic", NETWORK), 0))
    assert next(pieces).sides == 3
    served.app.shelf.remove(1)
    with pytest.raises(ValueError, match="there is no picture 1 any more"):
        next(pieces)
    assert not served.app.views._kept


def test_the_frame_of_an_animation_is_what_was_shown_then(client, served, tmp_path):
    frames = [np.full((16, 20, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255))]
    image.write(image.Picture(tuple(frames), durations=(50, 50)), tmp_path / "dance.gif")
    served.app.shelf.take([tmp_path / "dance.gif"])
    number = client.post("/api/pictures/1/frames", json={"frame": 2}).json()["id"]
    shown, _ = painted(client, 40, 32, picture=number)
    assert (shown[..., :3] == (0, 0, 255)).all()
