import math

import pytest

from ccsr.analysis.findings import photo
from ccsr.analysis.registration import registered_drift
from ccsr.grid import Axis, ProjectedGrid
from ccsr.resample import resize


@pytest.mark.parametrize(("down", "right"), [(0.0, 0.0), (0.4, -1.3), (-2.0, 3.5)])
def test_registration_finds_a_known_shift(down: float, right: float) -> None:
    x = photo(None, 64)[None, :1].double()
    moved = resize(x, ProjectedGrid(Axis(64, 1.0, -down), Axis(64, 1.0, -right)))
    assert math.isclose(registered_drift(moved, x), right, abs_tol=0.02)
