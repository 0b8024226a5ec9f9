"""Differences between two methods: of each image, and the bootstrap interval of their mean."""

import math

import numpy as np
import pytest

from ccsr.evaluation.differences import differences, grids, interval
from ccsr.evaluation.results import Record, Scores

stats = pytest.importorskip("scipy.stats")


def scipy_interval(values, seed=1):
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=40_000, method="BCa", rng=np.random.default_rng(seed)
    )
    return found.confidence_interval


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.normal(0.1, 1, 5),
        lambda rng: rng.normal(0.1, 1, 14),
        lambda rng: rng.exponential(1, 24),  # skewed: the percentile interval is another
        lambda rng: -rng.lognormal(0, 1, 100),
    ],
)
def test_the_interval_is_that_of_scipy(draw):
    values = draw(np.random.default_rng(0))
    ours, theirs = interval(values), scipy_interval(values)
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.04 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.04 * width)


def test_the_interval_of_many_normal_values_is_the_normal_one():
    values = np.random.default_rng(3).normal(2, 0.5, 400)
    half = 1.96 * values.std() / math.sqrt(len(values))
    low, high = interval(values)
    assert low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_an_interval_is_the_same_each_time_and_moves_with_its_values():
    values = np.random.default_rng(0).exponential(1, 10)
    low, high = interval(values)
    assert interval(values) == (low, high)
    assert interval(-2 * values + 1) == pytest.approx((1 - 2 * high, 1 - 2 * low), abs=0.05)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 2.0], None),
        ([1.0, 2.0, math.inf], None),
        ([1.0, math.nan, 3.0], None),
        ([0.5] * 4, (0.5, 0.5)),
    ],
)
def test_few_infinite_and_equal_values(values, expected):
    assert interval(values) == expected


def record(image, model, psnr, protocol="benchmark-y", scale=(2.0, 2.0)):
    scores = Scores(psnr, psnr / 50, psnr + 10, None, 0.5)
    return Record("Set5", image, scale, model, (1, 1), (2, 2), scores, protocol)


def records(**psnr):
    return [record(f"{i}.png", model, v) for model, several in psnr.items()
            for i, v in enumerate(several)]  # fmt: skip


def test_differences_are_of_the_same_image():
    found = differences(records(one=[30, 31, 29], other=[29, 31.5, 25]), "one", "other", {})
    psnr, ssim, consistency = found
    assert psnr.images == {"0.png": 1, "1.png": -0.5, "2.png": 4}
    assert psnr.mean == 1.5
    assert psnr.interval == interval([1, -0.5, 4])
    assert ssim.mean == pytest.approx(1.5 / 50)
    assert consistency.images == psnr.images
    grid = grids(found, "one", "other")[0]
    assert grid.title == "Set5 (3 images): PSNR in dB, one less other"
    (line,) = grid.lines
    low, high = (float(end) for end in line.pop(2).split(" to "))
    assert (low, high) == pytest.approx(psnr.interval, abs=0.005)
    assert line == ["2", "+1.50", "2 of 3", "1.png -0.50", "2.png +4.00"]


def test_nothing_has_no_sign():
    found = differences(records(one=[30, 31, 29], other=[30.001, 31, 29]), "one", "other", {})
    line = grids(found, "one", "other")[0].lines[0]
    assert line == ["2", "0.00", "0.00 to 0.00", "0 of 3", "0.png 0.00", "2.png 0.00"]


def test_what_is_told_as_nothing_is_no_image_that_is_better():
    """Such as what 16 bits of a dump make of the same output."""
    found = differences(records(one=[30.001, 31, 29.01], other=[30, 31, 29]), "one", "other", {})
    assert grids(found, "one", "other")[0].lines[0][3] == "1 of 3"


@pytest.mark.parametrize(
    ("one", "says"),
    [([30, 31], "none: needs 3 images"), ([30, 31, math.inf], "none: not all are finite")],
)
def test_the_table_says_why_there_is_no_interval(one, says):
    found = differences(records(one=one, other=[29, 31.5, 25][: len(one)]), "one", "other", {})
    line = grids(found, "one", "other")[0].lines[0]
    assert line[2] == says
    assert line[3] == f"{len(one) - 1} of {len(one)}"


def test_of_several_runs_their_mean_is_compared():
    all_ = records(**{"a/0": [30, 31], "a/1": [32, 35], "b": [30, 30]})
    found = differences(all_, "a", "b", {"a/0": "a", "a/1": "a"})
    assert found[0].images == {"0.png": 1, "1.png": 3}
    assert found[0].interval is None


def test_equal_infinite_scores_differ_by_nothing():
    found = differences(records(one=[math.inf, 31], other=[math.inf, 30]), "one", "other", {})
    assert found[0].images == {"0.png": 0, "1.png": 1}


def test_protocols_and_scales_stand_alone():
    all_ = [
        record("a.png", model, psnr, protocol, scale)
        for model, psnr in (("one", 31), ("other", 30))
        for protocol in ("benchmark-y", "liif-y")
        for scale in ((2.0, 2.0), (3.0, 3.0))
    ]
    found = differences(all_, "one", "other", {})
    assert len(found) == 2 * 2 * 3
    assert len({(each.protocol, each.scale) for each in found}) == 4


def test_unknown_models_are_refused():
    with pytest.raises(ValueError, match="no model called 'onne' was measured: did you mean 'one'"):
        differences(records(one=[30], other=[29]), "onne", "other", {})
