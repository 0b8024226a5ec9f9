from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ccsr.model import CCSR, build
from ccsr.upscaling.effort import Effort, extrapolated, largest_within
from ccsr.upscaling.flips import SYMMETRIES
from ccsr.upscaling.upscaler import Upscaler
from networks import tiny

EFFORTS = (0.25, 0.5, 1.0)
FIELD = {"name": "fourier", "kernel_size": 3, "basis": 4}


def elastic() -> CCSR:
    torch.manual_seed(0)
    encoder = {"name": "elastic", "channels": 6, "blocks": 1, "field": FIELD}
    stack = {"name": "friendly", "channels": 6, "field": FIELD}
    model = build(encoder, stack, {"name": "identity"})
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return model


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, Effort()),
        ("0.5", Effort(0.5)),
        (0.25, Effort(0.25)),
        ("auto:2", Effort(seconds=2)),
        (" auto:0.5", Effort(seconds=0.5)),
    ],
)
def test_the_words_of_the_command_line(value: float | str, expected: Effort) -> None:
    assert Effort.parse(value) == expected


@pytest.mark.parametrize(
    "value", ["", "0.2", 1.1, "nan", "half", "auto", "auto:", "auto:0", "auto:-1", "auto:inf", -1]
)
def test_words_that_mean_nothing(value: float | str) -> None:
    with pytest.raises(ValueError, match=r"effort must be 0\.25 to 1, or auto:SECONDS"):
        Effort.parse(value)


def test_times_are_linear_in_the_effort() -> None:
    times = extrapolated(EFFORTS, 1.0, 4.0, 10)
    assert times == {0.25: 10, 0.5: 20, 1.0: 40}
    assert extrapolated(EFFORTS, 2.0, 1.9, 1) == {0.25: 2, 0.5: 2, 1.0: 2}  # noise, not a gain


def test_more_time_never_means_less_effort() -> None:
    times = extrapolated(EFFORTS, 1.0, 4.0, 10)
    chosen = [largest_within(seconds, times) for seconds in range(1, 60)]
    assert chosen == sorted(chosen)
    assert [largest_within(seconds, times) for seconds in (5, 10, 19.9, 20, 40)] == [
        0.25, 0.25, 0.25, 0.5, 1.0,
    ]  # fmt: skip


class Trial:
    """Stands in for an enlargement at some effort: counts pixels, in memory for 40 rows."""

    model = SimpleNamespace(efforts=EFFORTS)
    grid = SimpleNamespace(size=(300, 300))

    def __init__(self, pixels: list[int], effort: float = 1.0) -> None:
        self.pixels = pixels
        self.effort = effort

    def at(self, effort: float) -> "Trial":
        return Trial(self.pixels, effort)

    def warn(self, text: str) -> None:
        pass

    def window(self, rows: slice, columns: slice) -> None:
        height, width = (len(range(300)[part]) for part in (rows, columns))
        assert max(height, width) <= 90
        if height > 40:
            raise torch.OutOfMemoryError
        self.pixels.append(height * width)


def test_a_share_is_taken_without_timing() -> None:
    trial: Any = Trial([])
    assert Effort(0.5).choose(trial, 90).effort == 0.5
    assert not trial.pixels


def test_the_trial_is_cut_as_the_work_is() -> None:
    trial: Any = Trial([])
    assert Effort(seconds=100).choose(trial, 90).effort == 1
    assert sum(trial.pixels) == 3 * 256 * 256


def test_plenty_of_time_is_all_of_the_work() -> None:
    x = torch.rand(3, 20, 17)
    expected = Upscaler(elastic(), precision="fp32").tensor(x, scale=2)
    found = Upscaler(elastic(), precision="fp32", effort="auto:1000").tensor(x, scale=2)
    assert torch.equal(found, expected)


def test_too_little_time_is_the_least_and_a_warning() -> None:
    x, told = torch.rand(3, 20, 17), list[str]()
    expected = Upscaler(elastic(), precision="fp32", effort=0.25).tensor(x, scale=2)
    upscaler = Upscaler(elastic(), precision="fp32", effort="auto:1e-6", warn=told.append)
    assert torch.equal(upscaler.tensor(x, scale=2), expected)
    (text,) = told
    assert text.startswith("at the least effort, 0.25, this is likely to take ")
    assert text.endswith(" seconds instead of 1e-06")


@pytest.mark.thinned(3)
@pytest.mark.parametrize("effort", [0.25, 0.5, 0.75, 1])
@pytest.mark.parametrize("scale", [1.5, 2.37, (0.5, 3.0)])
def test_pieces_give_the_whole_at_every_effort(
    effort: float, scale: float | tuple[float, float]
) -> None:
    x = torch.rand(3, 37, 41)
    whole = Upscaler(elastic(), precision="fp32", tile="off", effort=effort)
    pieces = Upscaler(elastic(), precision="fp32", tile=16, effort=effort)
    found, expected = (each.tensor(x, scale=scale) for each in (pieces, whole))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_strips_are_those_of_the_whole() -> None:
    values = np.random.default_rng(0).integers(256, size=(33, 21, 3), dtype=np.uint8)
    upscaler = Upscaler(elastic(), precision="fp32", effort=0.5)
    strips = np.concatenate(list(upscaler.strips(values, 16, scale=1.7)))
    difference = strips.astype(int) - upscaler.levels(values, scale=1.7)
    assert abs(difference).max() <= 1


def test_efforts_differ() -> None:
    x = torch.rand(3, 20, 17)
    results = [Upscaler(elastic(), effort=e).tensor(x, scale=2) for e in (0.25, 0.5, 1)]
    assert not torch.equal(results[0], results[1])
    assert not torch.equal(results[1], results[2])


def test_an_ensemble_works_at_an_effort() -> None:
    x = torch.rand(3, 13, 18)
    single = Upscaler(elastic(), precision="fp32", effort=0.25)
    total = torch.zeros(())
    for one in SYMMETRIES:
        dims = [dim for dim, flip in zip((1, 2), one[:2], strict=True) if flip]
        moved = x.flip(dims)
        y = single.tensor(moved.mT if one.transposed else moved, scale=2)
        total = total + (y.mT if one.transposed else y).flip(dims)
    flips = Upscaler(elastic(), precision="fp32", effort=0.25, ensemble="flips")
    torch.testing.assert_close(flips.tensor(x, scale=2), total / 8, rtol=0, atol=1e-3)


@pytest.mark.parametrize("effort", [0.5, "auto:3"])
def test_a_network_without_a_choice_is_refused_at_once(effort: float | str) -> None:
    with pytest.raises(ValueError, match="always works at full effort"):
        Upscaler(tiny(), effort=effort)
