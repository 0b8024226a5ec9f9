"""Which scales are drawn."""

from itertools import permutations

import numpy as np
import pytest

from ccsr.training.scales import Scales


def test_scales_are_multiples_within_the_range():
    assert [s for s, _ in Scales(1, 2, 4).single] == [1, 1.25, 1.5, 1.75, 2]
    assert [s for s, _ in Scales(0.3, 1, 4).single] == [0.5, 0.75, 1]
    assert Scales(values=[2, 3.5]).single == [(2, 2), (3.5, 3.5)]


def test_scales_draw_a_share_of_a_bounded_set_of_pairs():
    scales, rng = Scales(1, 4, 8, anisotropic=0.25, pairs=10, seed=3), np.random.default_rng(0)
    drawn = [scales.draw(rng) for _ in range(4000)]
    mixed = [pair for pair in drawn if pair[0] != pair[1]]
    assert 0.22 < len(mixed) / len(drawn) < 0.28
    assert len(set(mixed)) == 10
    assert set(drawn) == set(scales.pairs())
    assert Scales(seed=3).mixed == Scales(seed=3).mixed != Scales(seed=4).mixed


def test_one_scale_has_no_pairs():
    assert Scales(values=[2], anisotropic=0.5).pairs() == [(2, 2)]


def test_a_continuous_range_is_uniform():
    scales, rng = Scales(1, 4, None, anisotropic=0), np.random.default_rng(0)
    drawn = np.array([scales.draw(rng) for _ in range(2000)])
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert np.histogram(drawn[:, 0], 6, (1, 4))[0].min() > 270
    assert scales.rounds
    assert scales.pairs() == [(1, 1), (4, 4)]


def test_pairs_may_be_listed():
    scales = Scales(values=[2], anisotropic=0.5, pairs=[[1.5, 4], (3, 2)])
    assert scales.pairs() == [(2, 2), (1.5, 4), (3, 2)]
    rng = np.random.default_rng(0)
    drawn = [scales.draw(rng) for _ in range(400)]
    assert all(70 < drawn.count(pair) < 130 for pair in scales.mixed)


def test_scales_listed_twice_make_no_pairs_of_equals_nor_pairs_twice():
    for seed in range(6):
        mixed = Scales(values=[2, 2, 3, 3, 4, 6], pairs=12, seed=seed).mixed
        assert len(set(mixed)) == 12
        assert all(a != b for a, b in mixed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min": 3, "max": 2}, "at least one scale"),
        ({"per": "pixel"}, r"^data\.scales\.per must be batch or sample, got 'pixel'"),
        ({"values": [0, 2]}, "positive ones only"),
        ({"anisotropic": 2}, r"anisotropic must be in \[0, 1\], got 2"),
        ({"denominator": 0}, "denominator must be a positive integer, got 0"),
        ({"denominator": 2.5}, r"denominator must be a positive integer, got 2\.5"),
        ({"denominator": None, "min": 3, "max": 2}, "at least one scale"),
        ({"min": "abc"}, r"data\.scales\.min must be a number, got 'abc'"),
        ({"values": 2}, r"data\.scales\.values must be a list of numbers, got 2"),
        ({"values": [2, [3, 4]]}, r"values must be a number, got \[3, 4\]"),
        ({"pairs": -1}, "pairs must not be negative, got -1"),
        ({"pairs": [2, 3]}, r"a list of pairs \(vertical, horizontal\) such as .*, got \[2, 3\]"),
        ({"pairs": [[2, 0]]}, r"a list of pairs .*, got \[\[2, 0\]\]"),
        ({"pairs": [[2, 3]], "anisotropic": 0}, "lists pairs that are never drawn"),
    ],
)
def test_scales_refuse(options, message):
    with pytest.raises(ValueError, match=message):
        Scales(**options)


def test_mixed_pairs_are_a_draw_from_all_pairs_of_different_scales():
    """Which are not listed: of 1000 scales there are a million."""
    drawn = Scales(min=1, max=2, denominator=4, pairs=7, seed=3).mixed
    every = list(permutations([n / 4 for n in range(4, 9)], 2))
    assert drawn == [every[k] for k in np.random.default_rng(3).permutation(len(every))[:7]]


@pytest.mark.parametrize(
    "options",
    [{"denominator": 10**9}, {"max": 1e6}, {"values": [1 + n / 5000 for n in range(2000)]}],
)
def test_more_scales_than_can_be_drawn_from_are_refused(options):
    with pytest.raises(ValueError, match=r"data\.scales makes \d+ scales, at most 1000 are drawn"):
        Scales(**options)


@pytest.mark.parametrize("pairs", [[[2, 2]], [[1.5, 4], [1, 1]]])
def test_listed_pairs_are_of_two_scales(pairs):
    with pytest.raises(ValueError, match=r"data\.scales\.pairs must list pairs of two different"):
        Scales(pairs=pairs)
