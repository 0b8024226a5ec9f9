import torch
from torch import Tensor

from ccsr.analysis.borders import bends, border_ratio
from ccsr.grid import ProjectedGrid

PICTURES = [torch.rand(3, 8, 9)]


class Parabola:
    """Bends everywhere alike; with a jump at each border of a cell, more there."""

    def __init__(self, jump: float = 0.0) -> None:
        self.jump = jump

    def tensor(self, x: Tensor, *, grid: ProjectedGrid) -> Tensor:
        rows, columns = (torch.arange(n, dtype=torch.float64) for n in grid.size)
        steps = sum((n / 5).floor() for n in (rows[:, None], columns))
        y = rows[:, None] ** 2 + columns**2 + self.jump * steps
        return y.expand(3, -1, -1)


def test_what_bends_everywhere_alike_shows_no_border() -> None:
    bent = bends(Parabola(), PICTURES, 5)
    assert bent.tolist() == [[2] * 5] * 2
    assert border_ratio(bent) == (1, 1)


def test_a_jump_at_borders_is_seen_there_alone() -> None:
    bent = bends(Parabola(3.0), PICTURES, 5)
    assert bent[:, 1:-1].tolist() == [[2] * 3] * 2
    # the second difference is 2 + 3 before the jump and 2 - 3 after it
    assert sorted(bent[0, [0, -1]].tolist()) == [1, 5]
    assert border_ratio(bent) == (1.5, 1.5)
