"""Scale, size or grid: whatever a caller says, as the grid that it means."""

from ccsr.resample import ProjectedGrid, Scale, Size, output_size


def choose_grid(
    input_size: Size,
    scale: Scale | None = None,
    size: Size | None = None,
    grid: ProjectedGrid | None = None,
) -> ProjectedGrid:
    """The grid of a `scale` (anchor `centred`) or of a `size` (anchor `ratio`), or `grid` itself.

    Raises:
        ValueError: if not exactly one of them is given, or it is not positive.
    """
    match scale, size, grid:
        case None, None, ProjectedGrid():
            return grid
        case None, tuple(), None:
            return ProjectedGrid.project(input_size, size)
        case float() | int() | tuple(), None, None:
            target = output_size(input_size, scale)
            return ProjectedGrid.project(input_size, target, scale, "centred")
    raise ValueError(
        "expected exactly one of scale (a number or a vertical and a horizontal one), size (H, W) "
        f"and grid, got scale={scale}, size={size}, grid={grid}"
    )
