"""The continuous convolution layer (Shocher et al. 2020, arXiv 2006.11120).

For an output at input position p, over the K_h x K_w nearest input pixels n:

    y(p) = bias + sum_n W(n - p; s) x(n),    W(d; s) = sum_b phi_b(d; s) W_b

In four steps: projected grid -> neighbours -> weights -> apply. Three plans to compute it are in
:mod:`ccsr.model.algorithms`.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, get_args

import torch
from torch import Tensor, nn

from ccsr.grid import Axis, ProjectedGrid, is_remembered, neighbours, size_of
from ccsr.model.algorithms import PLANS, Plan
from ccsr.model.costs import cheapest_plan
from ccsr.model.fields import Field, FourierField, SeparableField
from ccsr.model.registry import check_counts

LARGEST_KERNEL = 16  # pixels: a layer reads the square of it


class CCLayer(nn.Module):
    """Reads features on one grid at the positions of any other, with a learned filter.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: width of the filter's support, odd or even, in input pixels (in output
            pixels where the grid reduces).
        field: makes the filter's basis functions from the kernel size: a class of
            :mod:`ccsr.model.fields`, or a `partial` of one.
        bias: whether to add a learned constant per output channel.
        plan: force one way of computing; None lets a cost model choose.

    Raises:
        ValueError: if a number of channels or the basis is no positive whole number, `kernel_size`
            is not a whole number from 1 to 16, or `plan` is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        field: Callable[[int], Field] = FourierField,
        bias: bool = True,
        plan: Plan | None = None,
    ) -> None:
        super().__init__()
        if plan is not None and plan not in get_args(Plan):
            raise ValueError(f"plan must be one of {', '.join(get_args(Plan))}, got {plan!r}")
        check_counts(in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size)
        if kernel_size > LARGEST_KERNEL:
            raise ValueError(f"kernel_size must be at most {LARGEST_KERNEL}, got {kernel_size}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        given: Any = field
        if isinstance(given, nn.Module) or not callable(given):
            raise TypeError(
                "field must make a field of a kernel size, as FourierField does, got "
                f"{type(given).__name__}: give the class, or partial(class, ...)"
            )
        self.field = field(kernel_size)
        check_counts(basis=self.field.basis)
        self.plan = plan
        # Of sines without damping, whose mean square is 1/2, W(d) would start with variance
        # 1 / fan_in; damped ones start with about a quarter of it at scale 1.
        std = (0.5 * self.field.basis * kernel_size**2 * in_channels) ** -0.5
        # uniform, as normal numbers on the meta device import torch's compiler: seconds
        weight = torch.empty(self.field.basis, out_channels, in_channels)
        self.weight = nn.Parameter(weight.uniform_(-math.sqrt(3) * std, math.sqrt(3) * std))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, x: Tensor, grid: ProjectedGrid) -> Tensor:
        """Read `x` at `grid`.

        Args:
            x: (N, in_channels, h, w), floating point; borders are replicated.
            grid: laid over (h, w).

        Returns:
            (N, out_channels, H, W) of the dtype of `x` (of autocast where it is on).

        Raises:
            TypeError: if `x` is not a tensor in floating point, or `grid` not a `ProjectedGrid`.
            ValueError: if `x` has another shape, or the grid was laid over another size.
        """
        self._check(x, grid)
        run = PLANS[self.plan or cheapest_plan(self, x, grid)]
        device = x.device.type
        if not torch.amp.is_autocast_available(device):  # as on the meta device
            return run(self, x, grid)
        if torch.is_autocast_enabled(device):
            x = x.to(torch.get_autocast_dtype(device))
        with torch.autocast(device, enabled=False):  # or filters would be made in it too
            return run(self, x, grid)

    def extra_repr(self) -> str:
        """Return what `print` says of the layer before its field."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"bias={self.bias is not None}, plan={self.plan!r}"
        )

    def _check(self, x: Any, grid: Any) -> None:
        if not (isinstance(x, Tensor) and x.is_floating_point()):
            kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(
                f"expected a tensor in floating point, got {kind}: use x.float(), divided by the "
                "largest level if it is a picture"
            )
        if x.ndim != 4 or x.shape[1] != self.in_channels or 0 in x.shape[2:]:
            raise ValueError(
                f"expected features of shape (N, {self.in_channels}, h, w), got {tuple(x.shape)}"
            )
        if not isinstance(grid, ProjectedGrid):
            raise TypeError(
                f"expected a ProjectedGrid, got {type(grid).__name__}: make one by "
                "ProjectedGrid.project((h, w), (H, W))"
            )
        grid.check(size_of(x))

    def biased(self, y: Tensor) -> Tensor:
        """Add the bias to a result (N, out_channels, H, W)."""
        return y if self.bias is None else y + self.bias.to(y.dtype)[:, None, None]

    def taps(self, axis: Axis) -> tuple[Tensor, Tensor]:
        """List the neighbours along an axis: pixel and offset, each (size, taps), on our device."""
        make = _remembered_taps if is_remembered(axis) else _taps
        return make(axis, self.kernel_size, self._coordinate_dtype, self.weight.device)

    def functions(self, dy: Tensor, dx: Tensor, grid: ProjectedGrid) -> Tensor:
        """Evaluate the basis functions on two axes: (H, W, taps_y, taps_x, B)."""
        values: Tensor = self.field(dy, dx, grid.scale)
        return values

    def factors(self, offset: Tensor, axis: Axis, number: int) -> Tensor:
        """Evaluate the factors of a separable field along axis `number`: (size, taps, R, B)."""
        assert isinstance(self.field, SeparableField)
        return self.field.factors(offset, axis.scale, number)

    def filters(self, functions: Tensor) -> Tensor:
        """Combine basis functions (..., B) to filters (..., C_out, C_in), in at least float32."""
        return torch.einsum("...b,boc->...oc", functions, self.weight.to(functions.dtype))

    @property
    def _coordinate_dtype(self) -> torch.dtype:
        return torch.promote_types(self.weight.dtype, torch.float32)


def _taps(
    axis: Axis, kernel_size: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):  # what is remembered may be met by gradients later
        index, offset = neighbours(axis, kernel_size)
        return index.to(device), offset.to(device, dtype)


# Made once per axis: a CUDA graph could not hold a copy from the processor's memory.
_remembered_taps = lru_cache(maxsize=256)(_taps)
