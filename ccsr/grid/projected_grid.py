"""Where each output pixel looks into the input: a projected grid, one axis for each dimension."""

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ccsr.grid.sizes import (
    LARGEST_SIDE,
    LEAST_SCALE,
    Scale,
    Size,
    SizeRule,
    as_pair,
    as_size,
    output_size,
)
from ccsr.plain import is_pair, is_whole, plain

if TYPE_CHECKING:  # slow to import, and not always there
    from torch import Tensor

Anchor = Literal["centred", "ratio", "topleft"]


# The formulas of an axis, for numbers and for whatever else can be calculated with: tensors of
# positions, values of a graph that is being written.


def centred_origin(input_size: Any, output_size: Any, scale: Any) -> Any:
    """Input position of the first of `output_size` pixels whose common centre is the input's."""
    return (input_size - 1) / 2 - (output_size - 1) / (2 * scale)


def position(output: Any, origin: Any, scale: Any) -> Any:
    """Input position of an output index."""
    return origin + output / scale


def within_origin(origin: Any, inner_origin: Any, inner_scale: Any, inner_first: Any = 0) -> Any:
    """An input position, in the index units of an inner axis over the same input."""
    return (origin - inner_origin) * inner_scale - inner_first


@dataclass(frozen=True)
class Axis:
    """Positions of `size` consecutive output indices along one axis of the input.

    Output index `o` sits at input position `origin + (first + o) / scale`.

    Attributes:
        size: number of output indices.
        scale: output pixels per input pixel.
        origin: input position of the output index 0 of the whole image.
        first: index in the whole image of this axis' index 0 (see :meth:`window`).
        input_size: number of input pixels that the axis was laid over; None if it is not known.
    """

    size: int
    scale: float
    origin: float
    first: int = 0
    input_size: int | None = field(default=None, compare=False)  # the positions are what they are

    @classmethod
    def project(
        cls, input_size: int, output_size: int, scale: float | None = None, anchor: Anchor = "ratio"
    ) -> "Axis":
        """Lay `output_size` indices over `input_size` pixels; see :class:`ProjectedGrid`."""
        for name, given in (("input", input_size), ("output", output_size)):
            if not is_whole(given, 1, LARGEST_SIDE):
                raise ValueError(
                    f"{name} sizes must be whole numbers from 1 to {LARGEST_SIDE}, got {given!r}"
                )
        input_size, output_size = int(input_size), int(output_size)  # numpy's may overflow
        if anchor not in get_args(Anchor):
            raise ValueError(f"anchor must be 'centred', 'ratio' or 'topleft', got {anchor!r}")
        if anchor == "ratio":
            scale = output_size / input_size
        elif scale is None:
            raise ValueError(f"anchor {anchor!r} needs a scale, got None: pass scale=output/input")
        scale = as_pair(scale)[0]
        if anchor != "ratio" and scale < LEAST_SCALE:
            raise ValueError(f"scale must be at least {LEAST_SCALE:g}, got {scale:g}")
        if anchor == "centred":
            origin = centred_origin(input_size, output_size, scale)
        else:
            origin = 0.5 / scale - 0.5
        return cls(output_size, scale, origin, input_size=input_size)

    @property
    def stretch(self) -> float:
        """Factor on offsets before a kernel sees them: `scale` when reducing, else 1."""
        return min(self.scale, 1.0)

    def positions(self) -> "Tensor":
        """Input positions, float64 of shape (size,), on the CPU."""
        import torch

        index = torch.arange(self.first, self.first + self.size, dtype=torch.float64, device="cpu")
        positions: Tensor = position(index, self.origin, self.scale)
        return positions

    def array(self) -> NDArray[np.float64]:
        """:meth:`positions` as an array, for what does without torch."""
        index = np.arange(self.first, self.first + self.size, dtype=np.float64)
        positions: NDArray[np.float64] = position(index, self.origin, self.scale)
        return positions

    def window(self, start: int, stop: int) -> "Axis":
        """Indices `start` to `stop` (exclusive) of this axis, at unchanged positions."""
        if not 0 <= start < stop <= self.size:
            raise ValueError(f"window must lie within 0..{self.size}, got {start}..{stop}")
        return replace(self, size=stop - start, first=self.first + start)

    def shifted(self, by: int) -> "Axis":
        """The same positions counted from input pixel `by`: for an input cropped there.

        Raises:
            ValueError: if it is no whole number.
        """
        if not is_whole(by, -math.inf):
            raise ValueError(f"a grid is shifted by whole pixels, got {by!r}")
        return replace(self, origin=self.origin - by, input_size=None)

    def within(self, inner: "Axis") -> "Axis":
        """These positions in index units of `inner`, another axis over the same input."""
        return replace(
            self,
            scale=self.scale / inner.scale,
            origin=within_origin(self.origin, inner.origin, inner.scale, inner.first),
            input_size=inner.size,
        )

    def over(self, inner: "Axis") -> "Axis":
        """The inverse of `within`: from index units of `inner` to the input of `inner`."""
        return replace(
            self,
            scale=self.scale * inner.scale,
            origin=inner.origin + (inner.first + self.origin) / inner.scale,
            input_size=inner.input_size,
        )

    def period(self, limit: int) -> tuple[int, int] | None:
        """(p, q) if every p outputs advance by q input pixels, exact to 1e-6 pixels; p <= limit."""
        step = Fraction(1 / self.scale).limit_denominator(limit)
        drift = abs(float(step) - 1 / self.scale) * self.size
        return (step.denominator, step.numerator) if step > 0 and drift < 1e-6 else None


@dataclass(frozen=True)
class ProjectedGrid:
    """An output grid laid over an input: one :class:`Axis` for rows, one for columns."""

    rows: Axis
    columns: Axis

    @classmethod
    def project(
        cls,
        input_size: Size,
        output_size: Size,
        scale: Scale | None = None,
        anchor: Anchor = "ratio",
    ) -> "ProjectedGrid":
        """Lay an output of `output_size` (H, W) over an input of `input_size` (h, w).

        The anchors differ only where `output_size != scale * input_size`:

        - ``ratio``: scale is redefined as out/in, so both images cover the same area (Pillow,
          LIIF). `scale` is ignored.
        - ``centred``: exact scale, image centres coincide (Shocher et al. 2020, section 3).
        - ``topleft``: exact scale, top-left corners coincide (MATLAB's ``imresize`` by scale).

        Raises:
            ValueError: for what is no pair of whole numbers, sizes below 1 or too large, or a scale
                that is missing, not finite or less than `LEAST_SCALE`.
        """
        inner, outer = plain(input_size), plain(output_size)
        for name, given in (("input_size (h, w)", inner), ("output_size (H, W)", outer)):
            if not is_pair(given):
                raise ValueError(f"{name} must be two whole numbers, got {given!r}")
        pair = (None, None) if scale is None else as_pair(scale)
        rows, columns = (
            Axis.project(*sizes, anchor) for sizes in zip(inner, outer, pair, strict=True)
        )
        return cls(rows, columns)

    @property
    def size(self) -> Size:
        """(H, W) of the output."""
        return self.rows.size, self.columns.size

    @property
    def scale(self) -> tuple[float, float]:
        """(vertical, horizontal) output pixels per input pixel."""
        return self.rows.scale, self.columns.scale

    @property
    def reduces(self) -> bool:
        """Whether the output has fewer pixels than the input along both axes."""
        return max(self.scale) < 1

    def keeps(self, size: Size) -> bool:
        """Whether its pixels are just those of an input of `size` (h, w)."""
        return self == ProjectedGrid.project(size, size)

    def check(self, size: Size) -> None:
        """Raise ValueError if the grid is known to be laid over another size than (h, w)."""
        laid = self.rows.input_size, self.columns.input_size
        if any(n not in (None, m) for n, m in zip(laid, size, strict=True)):
            raise ValueError(
                f"expected an input of the size {laid} that the grid was laid over, got {size}: "
                f"make the grid by ProjectedGrid.project({size}, ...), or use its `shifted` "
                "for a crop"
            )

    def window(self, rows: slice, columns: slice) -> "ProjectedGrid":
        """The part of the grid at `rows` and `columns`, at exactly the positions of the whole.

        Args:
            rows: whole numbers without a step, as for a list.
            columns: likewise.

        Raises:
            ValueError: for a window without pixels, or with a step.
        """
        rows, columns = within(rows, self.rows.size), within(columns, self.columns.size)
        return ProjectedGrid(
            self.rows.window(rows.start, rows.stop),
            self.columns.window(columns.start, columns.stop),
        )

    def shifted(self, top: int, left: int) -> "ProjectedGrid":
        """The same grid over an input that was cropped by `top` rows and `left` columns.

        Raises:
            ValueError: for what are no whole numbers.
        """
        return ProjectedGrid(self.rows.shifted(top), self.columns.shifted(left))

    def within(self, inner: "ProjectedGrid") -> "ProjectedGrid":
        """The same grid laid over the output of `inner`, another grid over the same input."""
        return ProjectedGrid(self.rows.within(inner.rows), self.columns.within(inner.columns))

    def over(self, inner: "ProjectedGrid") -> "ProjectedGrid":
        """The inverse of `within`: laid over the input of `inner`."""
        return ProjectedGrid(self.rows.over(inner.rows), self.columns.over(inner.columns))


def within(part: slice, size: int) -> slice:
    """The same part of so many pixels, from a start to a stop that are numbers among them.

    Raises:
        ValueError: if it is no slice, has a step, or holds no pixel.
    """
    given: Any = part
    start, stop, step = given.indices(size) if isinstance(given, slice) else (0, 0, 1)
    if step != 1 or start >= stop:
        raise ValueError(f"expected a window of the pixels 0 to {size}, got {part}")
    return slice(start, stop)


def choose_grid(
    input_size: Size,
    scale: Scale | None = None,
    size: Size | SizeRule | None = None,
    grid: ProjectedGrid | None = None,
) -> ProjectedGrid:
    """The grid of a `scale` (anchor `centred`) or of a `size` (anchor `ratio`), or `grid` itself.

    Args:
        input_size: (h, w).
        scale: output over input, or (vertical, horizontal).
        size: (H, W), or a function that gives it for `input_size`, as those of `ccsr.sizes`.
        grid: laid over `input_size`.

    Raises:
        ValueError: if not exactly one of them is given, of that kind and positive, or the grid is
            laid over another size.
    """
    given = {"scale": scale, "size": size, "grid": grid}
    given = {name: value for name, value in given.items() if value is not None}
    if len(given) != 1:
        told = ", ".join(f"{name}={value!r}" for name, value in given.items())
        raise ValueError(f"expected exactly one of scale, size and grid, got {told or 'none'}")
    if scale is not None:
        pair = as_pair(scale)
        return ProjectedGrid.project(input_size, output_size(input_size, pair), pair, "centred")
    if size is not None:
        wanted = as_size(size(input_size) if callable(size) else size)
        return ProjectedGrid.project(input_size, wanted)
    if not isinstance(grid, ProjectedGrid):
        raise ValueError(f"grid must be a ProjectedGrid, got {grid!r}")
    grid.check(input_size)
    return grid
