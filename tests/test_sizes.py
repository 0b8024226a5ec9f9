import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ccsr import sizes
from ccsr.sizes import Rule, Size

SIDES = st.integers(1, 10**6)
SOURCES = st.tuples(st.integers(1, 10**5), st.integers(1, 10**5))


@pytest.mark.parametrize(
    ("rule", "label", "size"),
    [
        (sizes.width(25), "25w", (13, 25)),
        (sizes.height(7), "7h", (7, 14)),
        (sizes.longest(33), "33longest", (17, 33)),
        (sizes.shortest(33), "33shortest", (33, 66)),
        (sizes.fit((30, 30)), "30x30fit", (15, 30)),
        (sizes.fit((12, 90)), "90x12fit", (12, 24)),
        (sizes.cover((30, 30)), "30x30cover", (30, 60)),
        (sizes.at_least((12, 5)), "5x12atleast", (12, 24)),
        (sizes.at_least((9, 9)), "9x9atleast", (10, 20)),
        (sizes.megapixels(0.02), "0.02mp", (100, 200)),
        (sizes.printed((20, 30), "cm", 300), "30x20cm300dpi", (1772, 3543)),  # 30 / 2.54 * 300
        (sizes.printed((5, 5), "in", 72), "5x5in72dpi", (180, 360)),
        (sizes.printed((10, 25.4), "mm", 100), "25.4x10mm100dpi", (39, 79)),
        (sizes.width(1), "1w", (1, 1)),
    ],
)
def test_rules(rule: Rule, label: str, size: Size) -> None:
    assert rule.label == label
    assert rule((10, 20)) == size


@given(SOURCES, SIDES, SIDES)
def test_what_is_asked_for_is_met_exactly(source: Size, one: int, other: int) -> None:
    box = (one, other)
    assert sizes.width(one)(source)[1] == one
    assert sizes.height(one)(source)[0] == one
    assert max(sizes.longest(one)(source)) == one
    assert min(sizes.shortest(one)(source)) == one
    inside, over, least = (make(box)(source) for make in (sizes.fit, sizes.cover, sizes.at_least))
    assert all(side <= limit for side, limit in zip(inside, box, strict=True))
    assert any(side == limit for side, limit in zip(inside, box, strict=True))
    assert all(side >= limit for side, limit in zip(over, box, strict=True))
    assert any(side == limit for side, limit in zip(over, box, strict=True))
    assert all(side >= limit for side, limit in zip(least, box, strict=True))
    assert all(side >= before for side, before in zip(least, source, strict=True))
    assert least in (source, over)


@given(SOURCES, SIDES)
def test_the_aspect_ratio_is_kept_to_half_a_pixel(source: Size, side: int) -> None:
    for make in (sizes.width, sizes.height, sizes.longest, sizes.shortest):
        result = make(side)(source)
        exact = [i for i in (0, 1) if result[i] == side]
        assert any(
            abs(result[1 - i] - max(1, Fraction(source[1 - i] * side, source[i]))) <= Fraction(1, 2)
            for i in exact
        )


@given(SOURCES, st.floats(0.01, 1000))
def test_megapixels_are_met_within_the_rounding_of_sides(source: Size, count: float) -> None:
    height, width = sizes.megapixels(count)(source)
    if min(height, width) > 1:
        assert abs(height * width - count * 1e6) <= (height + width) / 2 + 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sizes.longest(0), "longest must be a positive number, got 0"),
        (lambda: sizes.fit((10, -1)), "fit must be a positive number, got -1"),
        (lambda: sizes.width(2.5), "width must be whole pixels, got 2.5"),
        (lambda: sizes.megapixels(float("nan")), "megapixels must be a positive number, got nan"),
        (lambda: sizes.printed((1, 0), "cm", 300), "a side of the paper must be a positive number"),
        (lambda: sizes.printed((1, 1), "cm", 0), "dpi must be a positive number, got 0"),
        (lambda: sizes.width("2000"), "width must be a positive number, got '2000'"),
        (lambda: sizes.width(None), "width must be a positive number, got None"),
        (lambda: sizes.width(True), "width must be a positive number, got True"),
        (lambda: sizes.megapixels(10**400), "megapixels must be a positive number, got 1000"),
        (lambda: sizes.megapixels(Decimal("NaN")), "megapixels must be a positive number, got nan"),
        (lambda: sizes.fit({30, 40}), "fit takes (height, width), got {"),
        (lambda: sizes.cover({30: 1, 40: 2}), "cover takes (height, width), got {30: 1, 40: 2}"),
        (lambda: sizes.fit(5), "fit takes (height, width), got 5"),
        (lambda: sizes.at_least((1, 2, 3)), "at least takes (height, width), got (1, 2, 3)"),
        (lambda: sizes.printed(10, "cm", 300), "printed takes (height, width), got 10"),
        (lambda: sizes.printed((1, 1), "ft", 300), "unit must be one of cm, mm, in, got 'ft'"),
    ],
)
def test_other_wishes_are_refused(make: Callable[[], Rule], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_numbers_of_other_libraries_are_taken() -> None:
    cases: list[tuple[Rule, Rule]] = [
        (sizes.fit(np.array([30, 40])), sizes.fit((30, 40))),
        (sizes.megapixels(np.float32(0.5)), sizes.megapixels(0.5)),
        (sizes.width(torch.tensor(30)), sizes.width(30)),
        (
            sizes.printed((Decimal("20.5"), Fraction(61, 2)), "cm", Fraction(300)),
            sizes.printed((20.5, 30.5), "cm", 300),
        ),
    ]
    for rule, expected in cases:
        assert rule == expected
        assert rule.label == expected.label
