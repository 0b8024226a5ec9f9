"""A picture at hand: windows of it at any scale, from features that are computed once."""

from typing import Generic, TypeVar

from ccsr.grid import ProjectedGrid, Scale, Size, choose_grid, within
from ccsr.upscaling.enlargement import Enlargement
from ccsr.upscaling.pixels import check_room
from ccsr.upscaling.tiles import Progress, Tile, piece, window_side

Piece = TypeVar("Piece")


class View(Generic[Piece]):
    """What `Upscaler.view` gives; the features of a picture are kept as long as it is.

    It may be used by one thread at a time.

    Args:
        enlargement: of the picture, at any grid, with room for features.
        effort: share of the network's work.
        tile: as for the upscaler.
        memory: bytes that computing a window may take.
    """

    def __init__(
        self, enlargement: Enlargement[Piece], effort: float, tile: Tile, memory: int
    ) -> None:
        self._enlargement = enlargement
        self._effort = effort
        self._tile: Tile = tile
        self._memory = memory

    @property
    def size(self) -> Size:
        """(h, w) of the picture."""
        return self._enlargement.source.size

    @property
    def kept(self) -> int:
        """Bytes of features that are held."""
        features = getattr(self._enlargement, "features", None)
        return features.bytes if features else 0

    def window(
        self,
        rows: slice,
        columns: slice,
        *,
        scale: Scale | None = None,
        size: Size | None = None,
        grid: ProjectedGrid | None = None,
        progress: Progress | None = None,
    ) -> Piece:
        """A window of the enlargement. Exactly one of `scale`, `size` and `grid`.

        It equals that window of what `Upscaler.levels` or `Upscaler.tensor` gives, up to rounding.

        Args:
            rows: of the result, whole numbers without a step, as for a list.
            columns: likewise.
            scale: output over input, or (vertical, horizontal), of the whole result.
            size: (H, W) of the whole result.
            grid: of the whole result, laid over the picture.
            progress: called with the share that is done, up to 1; what it raises ends the work.

        Returns:
            Levels (rows, columns, C) of the picture's type, or a tensor (..., C, rows, columns).

        Raises:
            ValueError: for a window without pixels, or a grid as in `Upscaler.tensor`.
            RuntimeError: as `Upscaler.tensor`.
        """
        whole = choose_grid(self.size, scale, size, grid)
        rows, columns = within(rows, whole.rows.size), within(columns, whole.columns.size)
        enlargement = self._enlargement.over(whole)
        check_room([(enlargement.source, whole.window(rows, columns))])
        if not whole.reduces:
            enlargement = enlargement.at(self._effort)
        side = window_side(enlargement, self._tile, self._memory)
        return piece(enlargement, side, rows, columns, progress)
