"""The shipped models: what a person who never trains one relies on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ccsr import Upscaler, image
from ccsr.analysis.borders import bends, border_ratio
from ccsr.bundled import resource_dir
from ccsr.grid import ProjectedGrid
from ccsr.model.checkpoint import shipped
from ccsr.model.whole import LEVELS
from ccsr.protocols import PROTOCOLS
from ccsr.resample import reduce_uint8, resize
from ccsr.training.dots import dotted

BENCHMARK = PROTOCOLS["benchmark-y"]
LIIF = PROTOCOLS["liif-y"]  # allows any scale
MODELS = ["base", "elastic", "light"]
PHOTOS = ["astronaut.png", "coffee.png"]
ALL_PHOTOS = [*PHOTOS, "chelsea.png", "rocket.jpg", "grass.png", "gravel.png"]

pytestmark = pytest.mark.parametrize("name", MODELS)


def test_these_are_shipped_and_no_others(name: str) -> None:
    assert name in shipped()
    assert set(shipped()) == {*MODELS, "photo", "photo-base"}  # see test_automatic.py


def photo(name: str, side: int = 192) -> torch.Tensor:
    """The middle of a bundled photo, uint8 (3, side, side)."""
    pixels = image.to_uint8(image.to_tensor(image.read(resource_dir("samples") / name)))
    top, left = (pixels.shape[1] - side) // 2, (pixels.shape[2] - side) // 2
    return pixels[:3, top : top + side, left : left + side]


def gain(upscaler: Upscaler, hr: torch.Tensor, scale: tuple[float, float]) -> float:
    """PSNR in dB above bicubic."""
    size, (height, width) = LIIF.crop((hr.shape[1], hr.shape[2]), scale)
    hr = hr[:, :height, :width]
    lr = image.to_float(LIIF.reduce(hr, size, scale))
    grid = ProjectedGrid.project(size, (height, width))
    truth = image.to_float(hr)
    ours = LIIF.psnr(upscaler.tensor(lr, grid=grid), truth, scale)
    return ours - LIIF.psnr(resize(lr, grid).clamp(0, 1), truth, scale)


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    "scale",
    [
        *(pytest.param(scale, marks=pytest.mark.long) for scale in (1.3, 1.5, 2, 2.37, 3)),
        *(4, 6, 8, (1.5, 4), (4, 1.5)),
    ],
)
def test_better_than_bicubic_at_every_scale(name, scale):
    upscaler = Upscaler.load(name, precision="fp32")
    pair = scale if isinstance(scale, tuple) else (scale, scale)
    gains = [gain(upscaler, photo(each), pair) for each in PHOTOS]
    assert min(gains) > (0.5 if max(pair) <= 4 else 0.2)


@pytest.mark.long
@pytest.mark.parametrize(("scale", "least"), [(2, 2.8), (3, 2.4), (4, 2.0)])
def test_gain_on_set5(name, scale, least, benchmarks: Path):
    upscaler = Upscaler.load(name, precision="fp32")
    gains = []
    for path in sorted((benchmarks / "test" / "Set5").iterdir()):
        hr = image.to_uint8(image.to_tensor(image.read(path)))
        size, (height, width) = BENCHMARK.crop((hr.shape[1], hr.shape[2]), (scale, scale))
        hr = hr[:, :height, :width]
        lr = BENCHMARK.reduce(hr, size, (scale, scale))
        grid, truth = ProjectedGrid.project(size, (height, width)), image.to_float(hr)
        ours = BENCHMARK.finish(upscaler.tensor(image.to_float(lr), grid=grid))
        bicubic = image.to_float(reduce_uint8(lr, grid))
        pair = (scale, scale)
        gains.append(BENCHMARK.psnr(ours, truth, pair) - BENCHMARK.psnr(bicubic, truth, pair))
    assert sum(gains) / len(gains) >= least


@pytest.mark.long
def test_every_effort_is_better_than_bicubic(name):
    efforts = Upscaler.load(name).model.efforts
    upscalers = [Upscaler.load(name, precision="fp32", effort=effort) for effort in efforts]
    for scale in (1.5, 2, 3):
        gains = [sum(gain(each, photo(p), (scale, scale)) for p in PHOTOS) for each in upscalers]
        assert gains == sorted(gains)
        assert gains[0] > 0.5 * len(PHOTOS)


def test_scale_1_gives_the_picture_back(name):
    x = image.to_float(photo(PHOTOS[0], 96))
    assert torch.equal(Upscaler.load(name, precision="fp32").tensor(x, scale=1.0), x)


def test_tiles_do_not_show(name):
    x = image.to_float(photo(PHOTOS[0], 48))
    for scale in (2.37, (1.5, 4.0)):
        whole, tiled = (
            Upscaler.load(name, precision="fp32", tile=tile).tensor(x, scale=scale)
            for tile in ("off", 70)
        )
        torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


def dense(pattern: str, side: int = 48) -> torch.Tensor:
    """What no photo looks like, float (3, side, side)."""
    index = torch.arange(side)
    bits = {
        "noise": torch.rand(side, side, generator=torch.Generator().manual_seed(0)) > 0.5,
        "checkers": (index[:, None] + index) % 2 == 0,
        "lines": (index % 2 == 0).expand(side, side),
        "lines of two": (index // 2 % 2 == 0).expand(side, side),
    }
    return bits[pattern].float().expand(3, side, side)


@pytest.mark.thinned(2)
@pytest.mark.parametrize("pattern", ["noise", "checkers", "lines", "lines of two"])
@pytest.mark.parametrize(
    "scale", [1.25, 8, *(pytest.param(scale, marks=pytest.mark.long) for scale in (2, 4))]
)
def test_no_pattern_makes_it_explode(name, pattern, scale):
    """Trained with dots it hardly does; where it does all the same, bicubic stands."""
    model, x = Upscaler.load(name, precision="fp32").model, dense(pattern)[None]
    side = round(48 * scale)
    grid = ProjectedGrid.project((48, 48), (side, side))
    with torch.no_grad():
        answer = model.enlarge(x, grid)
    assert LEVELS[0] <= answer.min()
    assert answer.max() <= LEVELS[1]
    assert model(x, grid).isfinite().all()


@pytest.mark.long
@pytest.mark.parametrize("scale", [1.5, 2, 3, 4])
def test_dots_are_enlarged_better_than_by_bicubic(name, scale):
    upscaler = Upscaler.load(name, precision="fp32")
    rng, gains = np.random.default_rng(0), []
    for each in ALL_PHOTOS * 3:
        hr = dotted(photo(each, 96).expand(3, -1, -1), rng)
        if hr.flatten(1).float().std(1).max() > 1:  # in one colour there is nothing to gain
            gains.append(gain(upscaler, hr, (scale, scale)))
    assert min(gains) > -0.3  # the smallest dots are gone from the input
    assert sum(gains) / len(gains) > 1


@pytest.mark.long
@pytest.mark.parametrize("factor", [8, 10, 16])
def test_no_grid_shows(name, factor):
    """Cell borders bend as much as the cells, to a tenth."""
    upscaler = Upscaler.load(name, precision="fp32")
    pictures = [image.to_float(photo(each, 96)) for each in ALL_PHOTOS]
    smallest, largest = border_ratio(bends(upscaler, pictures, factor))
    assert largest <= 1.1
    assert smallest >= 0.9
