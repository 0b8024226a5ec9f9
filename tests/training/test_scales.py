"""Which scales are drawn."""

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


def test_scales_listed_twice_make_no_pairs_of_equals_nor_pairs_twice():
    for seed in range(6):
        mixed = Scales(values=[2, 2, 3, 3, 4, 6], pairs=12, seed=seed).mixed
        assert len(set(mixed)) == 12
        assert all(a != b for a, b in mixed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min": 3, "max": 2}, "at least one scale"),
        ({"values": [0, 2]}, "positive ones only"),
        ({"anisotropic": 2}, r"anisotropic must be in \[0, 1\], got 2"),
        ({"denominator": 0}, "denominator must be at least 1, got 0"),
    ],
)
def test_scales_refuse(options, message):
    with pytest.raises(ValueError, match=message):
        Scales(**options)
