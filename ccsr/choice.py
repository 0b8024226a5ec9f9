"""Scale, size or grid: whatever a caller says, as the grid that it means."""

from numbers import Integral, Real
from typing import Any

from ccsr.resample import Pair, ProjectedGrid, Scale, Size, output_size


def choose_grid(
    input_size: Size,
    scale: Scale | None = None,
    size: Size | None = None,
    grid: ProjectedGrid | None = None,
) -> ProjectedGrid:
    """The grid of a `scale` (anchor `centred`) or of a `size` (anchor `ratio`), or `grid` itself.

    Raises:
        ValueError: if not exactly one of them is given, of that kind and positive.
    """
    given: Any = (scale, size, grid)  # numbers of other libraries are welcome too
    match given:
        case None, None, ProjectedGrid() as wanted:
            return wanted
        case None, (Integral() as height, Integral() as width), None:
            return ProjectedGrid.project(input_size, (int(height), int(width)))
        case Real() as factor, None, None:
            return _centred(input_size, (float(factor), float(factor)))
        case (Real() as vertical, Real() as horizontal), None, None:
            return _centred(input_size, (float(vertical), float(horizontal)))
    raise ValueError(
        "expected exactly one of scale (a number, or (vertical, horizontal)), size (H, W) in whole "
        f"numbers and grid, got scale={scale!r}, size={size!r}, grid={grid!r}"
    )


def _centred(input_size: Size, scale: Pair) -> ProjectedGrid:
    return ProjectedGrid.project(input_size, output_size(input_size, scale), scale, "centred")
