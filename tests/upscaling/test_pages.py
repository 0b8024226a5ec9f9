"""Pages that mix photos, text and patterns: a pattern does not damage what is beside it."""

import numpy as np
import pytest
import torch

from ccsr import Upscaler
from ccsr.model.checkpoint import shipped
from ccsr.model.whole import LEVELS as ANSWERS
from pages import LEVELS, SIDE, compose, damage, page_of

NETWORKS = [
    *((name, 1.0) for name in ("elastic", "light", "photo")),
    *(("elastic", effort) for effort in (0.25, 0.69)),
    *(pytest.param(name, 1.0, marks=pytest.mark.long) for name in ("base", "photo-base")),
]
PAGES = {  # those of `base` are the worst of 400 before its guard cut out what it finds
    "base": (50, 99, 300),
    "elastic": (173, 282),
    "light": (252, 270),
    "photo": (188, 258),
    "photo-base": (4, 30),
}

each_network = pytest.mark.parametrize(("name", "effort"), NETWORKS)


def check(upscaler: Upscaler, seed: int, scales: tuple[float, ...]) -> None:
    found = damage(upscaler, seed, scales)
    assert found.levels <= LEVELS, found
    assert ANSWERS[0] <= found.least <= found.most <= ANSWERS[1], found


@each_network
def test_patterns_leave_the_rest_of_a_page_alone(name: str, effort: float) -> None:
    upscaler = Upscaler.load(name, precision="fp32", effort=effort)
    for seed in PAGES[name]:
        check(upscaler, seed, (2.0,))


@pytest.mark.long
@each_network
def test_many_pages(name: str, effort: float) -> None:
    """`make pages` takes more of them."""
    upscaler = Upscaler.load(name, precision="fp32", effort=effort)
    for seed in range(20 if "base" in name else 50):
        check(upscaler, seed, (1.5, 4.0))


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(shipped()))
def test_tiles_of_pages_give_the_whole(name: str) -> None:
    rng = np.random.default_rng(2)
    whole, tiled = (Upscaler.load(name, precision="fp32", tile=tile) for tile in ("off", 64))
    for x in (page_of(PAGES[name][0]).pixels, *(compose(rng, 96, 2).pixels for _ in range(3))):
        torch.testing.assert_close(
            tiled.tensor(x, scale=2), whole.tensor(x, scale=2), rtol=0, atol=1e-5
        )


@pytest.mark.long
def test_the_guard_of_an_exported_file_finds_the_same() -> None:
    """In `base`, whose guard has something to do on this page."""
    ort = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from ccsr.export.network import to_onnx

    upscaler, page = Upscaler.load("base", precision="fp32"), page_of(PAGES["base"][0])
    model = upscaler.model
    with torch.inference_mode():
        cut = model.features(page.pixels[None], model.encoder.grid((SIDE, SIDE))).trust
    assert cut is not None
    assert cut.min() == 0
    session = ort.InferenceSession(to_onnx(model, 2.0).SerializeToString())
    (found,) = session.run(None, {"image": page.pixels[None].numpy()})
    expected = upscaler.tensor(page.pixels, scale=2)
    assert np.abs(found[0] - expected.numpy()).max() < 1 / 255
