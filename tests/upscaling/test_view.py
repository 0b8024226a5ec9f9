"""Windows from features that are kept are those of the whole enlargement."""

import random
from typing import Any

import numpy as np
import pytest
import torch

from ccsr import Upscaler
from ccsr.grid import ProjectedGrid, choose_grid
from ccsr.model import build
from ccsr.model.residual import Encoded
from ccsr.upscaling import features as features_module
from ccsr.upscaling.features import Features, blocks
from networks import tiny

SCALES = [1.1, 2, 2.37, 3, 8, (0.6, 3.0), (1.5, 4.0), 0.5, 1]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features_module, "SIDE", 8)


def part(n: int, rng: random.Random) -> slice:
    start, stop = sorted(rng.sample(range(n + 1), 2))
    return slice(start, stop)


def elastic() -> Any:
    torch.manual_seed(0)
    field = {"name": "fourier", "kernel_size": 3, "basis": 4}
    encoder = {"name": "elastic", "channels": 6, "blocks": 1, "field": field}
    stack = {"name": "friendly", "channels": 6, "field": field}
    model = build(encoder, stack, {"name": "identity"})
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return model


@pytest.mark.thinned(2)
@pytest.mark.parametrize(
    ("model", "options"),
    [
        (tiny, {}),
        (tiny, {"tile": 16}),
        (tiny, {"ensemble": "flips"}),
        (elastic, {}),
        (elastic, {"effort": 0.5}),
        (elastic, {"effort": 0.25, "ensemble": "flips", "tile": 48}),
    ],
)
def test_random_windows_at_random_scales(model: Any, options: dict[str, Any]) -> None:
    x, rng = torch.rand(2, 3, 23, 15), random.Random(0)
    upscaler = Upscaler(model(), precision="fp32", **options)
    view = upscaler.view(x)
    for scale in SCALES:
        whole = upscaler.tensor(x, scale=scale)
        for _ in range(2):
            rows, columns = (part(n, rng) for n in whole.shape[2:])
            got = view.window(rows, columns, scale=scale)
            torch.testing.assert_close(got, whole[..., rows, columns], rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_levels_of_every_kind(channels: int, kind: type[np.unsignedinteger]) -> None:
    values = np.random.default_rng(0).integers(np.iinfo(kind).max, size=(23, 30, channels))
    levels = values.astype(kind)
    if channels in (2, 4):
        levels[5:14, 3:20, -1] = 0
    upscaler = Upscaler(tiny(), precision="fp32")
    view, rng = upscaler.view(levels), random.Random(1)
    for scale in (1.3, 2.37, 4, 0.7):
        whole = upscaler.levels(levels, scale=scale)
        rows, columns = part(whole.shape[0], rng), part(whole.shape[1], rng)
        got = view.window(rows, columns, scale=scale)
        assert got.dtype == kind
        assert np.abs(got.astype(int) - whole[rows, columns]).max() <= 1


def test_a_grid_of_any_place_and_a_size() -> None:
    x = torch.rand(3, 20, 30)
    upscaler = Upscaler(tiny(), precision="fp32")
    view = upscaler.view(x)
    whole = ProjectedGrid.project((20, 30), (50, 77), (2.5, 2.61), "topleft").shifted(3, -2)
    part = slice(10, 40)
    got = view.window(part, part, grid=whole)
    assert got.shape == (3, 30, 30)
    torch.testing.assert_close(
        got, upscaler.tensor(x, grid=whole)[:, 10:40, 10:40], rtol=0, atol=1e-5
    )
    torch.testing.assert_close(
        view.window(slice(None), slice(-9, None), size=(40, 51)),
        upscaler.tensor(x, size=(40, 51))[..., -9:],
        rtol=0,
        atol=1e-5,
    )


def test_the_encoder_runs_once_for_all_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    upscaler = Upscaler(tiny(), precision="fp32")
    view, calls = upscaler.view(torch.rand(3, 20, 30)), list[int]()
    compute = upscaler.model.features

    def counted(*args: Any) -> torch.Tensor:
        calls.append(1)
        return compute(*args)

    monkeypatch.setattr(upscaler.model, "features", counted)
    view.window(slice(0, 40), slice(0, 60), scale=2)
    assert len(calls) == 1
    assert view.kept == 20 * 30 * upscaler.model.encoder.channels * 4
    for scale in (2, 3.3, 8):
        view.window(slice(0, 22), slice(0, 33), scale=scale)
    assert len(calls) == 1


def test_features_keep_to_their_memory_and_go_the_oldest_first() -> None:
    x = torch.rand(3, 32, 32)
    upscaler = Upscaler(tiny(), precision="fp32")
    tile = 64 * upscaler.model.encoder.channels * 4
    view = upscaler.view(x, memory=3 * tile)
    whole = upscaler.tensor(x, scale=2)
    for top in range(0, 64, 9):
        rows = slice(top, top + 9)
        got = view.window(rows, slice(None), scale=2)
        torch.testing.assert_close(got, whole[:, rows], rtol=0, atol=1e-5)
        assert view.kept <= 3 * tile
    assert view.kept == 3 * tile
    none = upscaler.view(x, memory=0)
    torch.testing.assert_close(none.window(slice(9), slice(9), scale=2), whole[:, :9, :9])
    assert none.kept == 0


def test_the_least_recently_used_tile_goes() -> None:
    asked: list[int] = []

    def compute(rows: slice, columns: slice) -> Encoded:
        asked.append(columns.start // 8)
        return Encoded(torch.full((1, 1, 8, 8), float(columns.start)))

    kept = Features(2 * 64 * 4, 64)
    for number in (0, 1, 0, 2, 0, 1):
        got = kept.window("a", slice(0, 8), slice(8 * number, 8 * number + 8), (8, 24), compute)
        assert (got.features == 8 * number).all()
    assert asked == [0, 1, 2, 1]
    kept.window("b", slice(0, 8), slice(0, 8), (8, 24), compute)
    assert asked == [0, 1, 2, 1, 0]


@pytest.mark.parametrize("most", [1, 2, 5, 100])
def test_blocks_cover_every_tile_once(most: int) -> None:
    rng = random.Random(most)
    places = [(r, c) for r in range(6) for c in range(7) if rng.random() < 0.7]
    covered = [(r, c) for block in blocks(places, most) for r in block[0] for c in block[1]]
    assert sorted(covered) == places
    assert all(len(r) * len(c) <= most for r, c in blocks(places, most))
    assert len(list(blocks([(r, c) for r in range(3) for c in range(4)], 12))) == 1


def test_bfloat16_that_is_not_finite_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(3, 9, 9)
    said: list[str] = []
    upscaler = Upscaler(tiny(), precision="bf16", warn=said.append)
    compute = upscaler.model.read
    monkeypatch.setattr(
        upscaler.model,
        "read",
        lambda *args: compute(*args) * (torch.nan if torch.is_autocast_enabled("cpu") else 1),
    )
    got = upscaler.view(x).window(slice(18), slice(18), scale=2)
    torch.testing.assert_close(got, Upscaler(tiny(), precision="fp32").tensor(x, scale=2))
    assert "computed again in float32" in said[0]


def test_progress_may_end_the_work() -> None:
    class CancelledError(Exception):
        pass

    def cancel(share: float) -> None:
        raise CancelledError

    view = Upscaler(tiny(), precision="fp32", tile=16).view(torch.rand(3, 30, 30))
    with pytest.raises(CancelledError):
        view.window(slice(0, 60), slice(0, 60), scale=2, progress=cancel)
    shares: list[float] = []
    view.window(slice(0, 60), slice(0, 30), scale=2, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_windows_that_are_none() -> None:
    view = Upscaler(tiny(), precision="fp32").view(torch.rand(3, 8, 8))
    for rows in (slice(3, 3), slice(16, 20), slice(0, 8, 2)):
        with pytest.raises(ValueError, match="expected a window of the pixels 0 to 16, got slice"):
            view.window(rows, slice(None), scale=2)
    with pytest.raises(ValueError, match="exactly one of scale"):
        view.window(slice(3), slice(3))
    with pytest.raises(ValueError, match="floating-point tensor"):
        Upscaler(tiny()).view(torch.zeros(3, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"levels \(h, w, C\)"):
        Upscaler(tiny()).view(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="a view works at one effort"):
        Upscaler(elastic(), effort="auto:1").view(torch.rand(3, 4, 4))


def test_choose_grid_is_that_of_the_upscaler() -> None:
    view = Upscaler(tiny(), precision="fp32").view(torch.rand(3, 7, 9))
    assert view.size == (7, 9)
    height, width = choose_grid((7, 9), 1.15).size
    assert view.window(slice(None), slice(None), scale=1.15).shape == (3, height, width)
