import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsr.jobs.naming import Naming
from ccsr.jobs.target import Target

FACTORS = st.floats(0.001, 5000, allow_nan=False)
SIDES = st.integers(1, 10**6)


@pytest.mark.parametrize(
    ("target", "label", "size"),
    [
        (Target(scale=(2.37, 2.37)), "2.37x", (24, 47)),
        (Target(scale=(1.5, 2.0)), "2x1.5x", (15, 40)),
        (Target(scale=(0.01, 0.01)), "0.01x", (1, 1)),
        (Target(height=1080, width=1920), "1920x1080", (1080, 1920)),
        (Target(width=25), "25w", (13, 25)),
        (Target(height=7), "7h", (7, 14)),
        (Target(width=1), "1w", (1, 1)),
    ],
)
def test_targets(target: Target, label: str, size: tuple[int, int]) -> None:
    assert target.label == label
    assert target.size((10, 20)) == size


@given(
    st.one_of(
        st.builds(Target, scale=st.tuples(FACTORS, FACTORS)),
        st.builds(Target, height=SIDES, width=st.none() | SIDES),
        st.builds(Target, width=SIDES),
    ),
    st.text(min_size=1),
)
def test_every_label_is_known_again(target: Target, stem: str) -> None:
    assert Naming().origin(f"{stem}_{target.label}") == stem


@pytest.mark.parametrize("stem", ["a", "a_b", "a_2", "_2x", "a_x", "a-2x", "a_2x.old"])
def test_other_names_have_no_label(stem: str) -> None:
    assert Naming().origin(stem) is None


@given(
    st.tuples(st.integers(1, 10**4), st.integers(1, 10**4)), st.integers(1, 10**4), st.booleans()
)
def test_one_side_keeps_the_aspect_ratio(source: tuple[int, int], side: int, wide: bool) -> None:
    size = Target(width=side).size(source) if wide else Target(height=side).size(source)
    assert size[int(wide)] == side
    exact = source[1 - int(wide)] * side / source[int(wide)]
    assert abs(size[1 - int(wide)] - max(1, exact)) <= 0.5 + 1e-9 * exact


def test_what_is_too_small_or_large_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scale must be at least 0\.0001, got 1e-09"):
        Target(scale=(2, 1e-9))
    with pytest.raises(ValueError, match=r"million pixels, got 19200000x12787200"):
        Target(width=19_200_000).size((333, 500))
