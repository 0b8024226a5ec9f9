"""The continuous convolution layer (Shocher et al. 2020, arXiv 2006.11120).

For an output at input position p, over the K_h x K_w nearest input pixels n:

    y(p) = bias + sum_n W(n - p; s) x(n),    W(d; s) = sum_b phi_b(d; s) W_b

In four steps: projected grid -> neighbours -> weights -> apply. :func:`reference` does just that.
The other plans compute the same numbers faster, by the factorisation on the right.
"""

import math
from collections.abc import Callable
from itertools import product
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ccsr.model.kernels import Field, SeparableField
from ccsr.resample import Axis, ProjectedGrid, neighbours

Plan = Literal["reference", "phases", "basis"]

PERIOD_LIMIT = 32  # more phases per axis than this are never worth a kernel each
BLOCK = 16  # outputs per axis that share one dense matrix in the basis plan
GROUP_ELEMENTS = 1 << 23  # bound on the largest intermediate of the basis plan
BASIS_OVERHEAD = 3.0  # time per multiply of the basis plan over that of a convolution


class CCLayer(nn.Module):
    """Reads features on one grid at the positions of any other, with a learned filter.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        field: the filter's basis functions; its `kernel_size` may be odd or even.
        bias: whether to add a learned constant per output channel.
        plan: force one way of computing; None lets a cost model choose.

    Raises:
        ValueError: if `plan` is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        field: Field,
        bias: bool = True,
        plan: Plan | None = None,
    ) -> None:
        super().__init__()
        if plan is not None and plan not in get_args(Plan):
            raise ValueError(f"plan must be one of {', '.join(get_args(Plan))}, got {plan!r}")
        self.field = field
        self.plan = plan
        # phi_b has a mean square near 1/2, so that W(d) starts with variance 1 / fan_in
        std = (0.5 * field.basis * field.kernel_size**2 * in_channels) ** -0.5
        self.weight = nn.Parameter(torch.randn(field.basis, out_channels, in_channels) * std)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    @property
    def kernel_size(self) -> int:
        """Width of the filter's support, in input pixels (in output pixels where reducing)."""
        return self.field.kernel_size

    def forward(self, x: Tensor, grid: ProjectedGrid) -> Tensor:
        """Read `x` at `grid`.

        Args:
            x: (N, in_channels, h, w), floating point; borders are replicated.
            grid: laid over (h, w).

        Returns:
            (N, out_channels, H, W) of the dtype of `x` (of autocast where it is on).
        """
        y = PLANS[self.plan or cheapest_plan(self, x, grid)](self, x, grid)
        return y if self.bias is None else y + self.bias.to(y.dtype)[:, None, None]

    def taps(self, axis: Axis) -> tuple[Tensor, Tensor]:
        """Neighbours along an axis: pixel index and offset, each (size, taps), on our device."""
        index, offset = neighbours(axis, self.kernel_size)
        return index.to(self.weight.device), offset.to(self.weight.device, self._coordinate_dtype)

    def functions(self, dy: Tensor, dx: Tensor, grid: ProjectedGrid) -> Tensor:
        """Basis functions on the product of two axes: (H, W, taps_y, taps_x, B)."""
        with torch.autocast(dy.device.type, enabled=False):
            values: Tensor = self.field(dy, dx, grid.scale)
        return values

    def factors(self, offset: Tensor, axis: Axis, number: int) -> Tensor:
        """Factors of a separable field along axis `number`: (size, taps, R, B)."""
        assert isinstance(self.field, SeparableField)
        with torch.autocast(offset.device.type, enabled=False):
            return self.field.factors(offset, axis.scale, number)

    def filters(self, functions: Tensor) -> Tensor:
        """W from the basis functions: (..., B) -> (..., C_out, C_in), at coordinate precision."""
        with torch.autocast(functions.device.type, enabled=False):
            return torch.einsum("...b,boc->...oc", functions, self.weight.to(functions.dtype))

    @property
    def _coordinate_dtype(self) -> torch.dtype:
        return torch.promote_types(self.weight.dtype, torch.float32)


def reference(layer: CCLayer, x: Tensor, grid: ProjectedGrid) -> Tensor:
    """Every filter written out, gathered and multiplied: slow, obvious, the oracle in tests."""
    row_index, dy = layer.taps(grid.rows)
    column_index, dx = layer.taps(grid.columns)
    filters = layer.filters(layer.functions(dy, dx, grid))  # (H, W, taps_y, taps_x, C_out, C_in)
    pixels = x[:, :, row_index.clamp(0, x.shape[2] - 1)]  # (N, C_in, H, taps_y, w)
    pixels = pixels[..., column_index.clamp(0, x.shape[3] - 1)]  # (N, C_in, H, taps_y, W, taps_x)
    return torch.einsum("nchiwj,hwijoc->nohw", pixels, filters.to(x.dtype))


def phases(layer: CCLayer, x: Tensor, grid: ProjectedGrid) -> Tensor:
    """One strided convolution: at a scale p/q an axis has only p distinct sub-pixel phases.

    The kernels of all p_h * p_w phases are the output channels of a convolution with stride
    (q_h, q_w); their outputs interleave.

    Raises:
        ValueError: if the scale is no fraction with a numerator up to `PERIOD_LIMIT`.
    """
    (row_index, dy), (column_index, dx) = (layer.taps(_one_period(a)) for a in _axes(grid))
    row_place, column_place = _placement(row_index, dy.dtype), _placement(column_index, dx.dtype)
    functions = layer.functions(dy, dx, grid)  # (p_h, p_w, taps_y, taps_x, B)
    functions = torch.einsum("yxijb,yiu,xjv->yxuvb", functions, row_place, column_place)
    kernel = layer.filters(functions).permute(0, 1, 4, 5, 2, 3)  # (p_h, p_w, C_out, C_in, U_h, U_w)
    p_h, p_w, channels = kernel.shape[:3]
    (_, q_h), (_, q_w) = (_period(a) for a in _axes(grid))
    m_h, m_w = -(-grid.rows.size // p_h), -(-grid.columns.size // p_w)  # periods in the output
    top, left = int(row_index.min()), int(column_index.min())
    x = _frame(
        x,
        (top, top + (m_h - 1) * q_h + kernel.shape[4]),
        (left, left + (m_w - 1) * q_w + kernel.shape[5]),
    )
    weight = kernel.flatten(0, 2).to(x.dtype).contiguous(memory_format=torch.channels_last)
    y = F.conv2d(x, weight, stride=(q_h, q_w)).permute(0, 2, 3, 1)
    y = y.reshape(-1, m_h, m_w, p_h, p_w, channels).transpose(2, 3)
    y = y.reshape(-1, m_h * p_h, m_w * p_w, channels)  # interleaved
    return y[:, : grid.rows.size, : grid.columns.size].permute(0, 3, 1, 2)


def basis(layer: CCLayer, x: Tensor, grid: ProjectedGrid) -> Tensor:
    """Any size: apply the W_b as 1x1 convolution, and combine the results with the phi_b.

    Projecting comes first where that is cheaper (enlarging), else last (reducing).
    """
    project_first = _projects_first(layer, x, grid)
    weight = layer.weight.to(x.dtype)
    if project_first:
        x = F.conv2d(x, weight.flatten(0, 1)[..., None, None])
        x = x.view(len(x), *weight.shape[:2], *x.shape[2:])  # (N, B, C_out, h, w)
    combine = _combine_separable if isinstance(layer.field, SeparableField) else _combine_dense
    x = combine(layer, x, grid)
    if not project_first:  # (N, B, C_in, H, W)
        x = F.conv2d(x.flatten(1, 2), weight.transpose(0, 1).flatten(1)[..., None, None])
    return x


def _combine_separable(layer: CCLayer, x: Tensor, grid: ProjectedGrid) -> Tensor:
    """Sum over neighbours (and over b, if `x` has it) as two products with banded matrices.

    Rows first, then columns; per block of outputs the band is one small dense matrix.

    Args:
        layer: whose field is separable.
        x: projected (N, B, C_out, h, w), or not yet (N, C_in, h, w).
        grid: laid over (h, w).

    Returns:
        (N, C_out, H, W), or (N, B, C_in, H, W) to be projected.
    """
    rows, row_base = _blocks(layer, grid.rows, 0)  # (k, BLOCK, U, R, B)
    columns, column_base = _blocks(layer, grid.columns, 1)
    rows, columns = rows.to(x.dtype), columns.to(x.dtype)
    down, across = (
        ("kyurb,nbokuw->bkrynow", "lxcrb,bkrynolc->nokylx")
        if x.dim() == 5
        else ("kyurb,nokuw->bkrynow", "lxcrb,bkrynolc->nbokylx")
    )
    row_index = _block_index(row_base, rows.shape[2], x.shape[-2])
    column_index = _block_index(column_base, columns.shape[2], x.shape[-1])
    per_block = x.shape[0] * x.shape[-3] * x.shape[-1] * BLOCK * rows.shape[3] * rows.shape[4]
    group = max(1, GROUP_ELEMENTS // per_block)
    parts = []
    for k in range(0, len(rows), group):
        part = torch.einsum(down, rows[k : k + group], x[..., row_index[k : k + group], :])
        part = torch.einsum(across, columns, part[..., column_index])
        parts.append(part.flatten(-4, -3).flatten(-2))  # (..., rows of the group, W')
    return torch.cat(parts, -2)[..., : grid.rows.size, : grid.columns.size]


def _combine_dense(layer: CCLayer, x: Tensor, grid: ProjectedGrid) -> Tensor:
    """As :func:`_combine_separable` for any field: one pass per tap, in groups of output rows."""
    row_index, dy = layer.taps(grid.rows)
    column_index, dx = layer.taps(grid.columns)
    row_index = row_index.clamp(0, x.shape[-2] - 1)
    column_index = column_index.clamp(0, x.shape[-1] - 1)
    equation = "hwb,nbohw->nohw" if x.dim() == 5 else "hwb,nchw->nbchw"
    taps = dy.shape[1] * dx.shape[1]
    per_row = grid.columns.size * layer.field.basis * max(taps, x.shape[0] * x.shape[-3])
    group = max(1, GROUP_ELEMENTS // per_row)
    parts = []
    for k in range(0, grid.rows.size, group):
        index = row_index[k : k + group]
        functions = layer.functions(dy[k : k + group], dx, grid).to(x.dtype)
        part = x.new_zeros(())
        for i, j in product(range(dy.shape[1]), range(dx.shape[1])):
            pixels = x[..., index[:, i], :][..., column_index[:, j]]
            part = part + torch.einsum(equation, functions[:, :, i, j], pixels)
        parts.append(part)
    return torch.cat(parts, -2)


PLANS: dict[Plan, Callable[[CCLayer, Tensor, ProjectedGrid], Tensor]] = {
    "reference": reference,
    "phases": phases,
    "basis": basis,
}


def cheapest_plan(layer: CCLayer, x: Tensor, grid: ProjectedGrid) -> Plan:
    """The plan with the fewest multiplies, those of `basis` weighed by `BASIS_OVERHEAD`."""
    union = outputs = 1.0
    for axis in _axes(grid):
        period = axis.period(PERIOD_LIMIT)
        if period is None:
            return "basis"
        p, q = period
        union *= layer.kernel_size / axis.stretch + q - q / p  # taps, from the first phase to last
        outputs *= -(-axis.size // p) * p
    _, channels_out, channels_in = layer.weight.shape
    convolution = x.shape[0] * outputs * union * channels_out * channels_in
    combination = BASIS_OVERHEAD * min(_basis_costs(layer, x, grid))
    return "phases" if convolution <= combination else "basis"


def _projects_first(layer: CCLayer, x: Tensor, grid: ProjectedGrid) -> bool:
    first, last = _basis_costs(layer, x, grid)
    return first <= last


def _basis_costs(layer: CCLayer, x: Tensor, grid: ProjectedGrid) -> tuple[float, float]:
    """Multiplies of the basis plan, projecting first or last."""
    n, _, h, w = x.shape
    b, channels_out, channels_in = layer.weight.shape
    rows, columns = grid.size
    if isinstance(layer.field, SeparableField):
        reach = [layer.kernel_size / a.stretch + BLOCK / a.scale for a in _axes(grid)]
        combine = 2 * b * (rows * w * reach[0] + rows * columns * reach[1])
    else:
        taps = math.prod(layer.kernel_size / a.stretch for a in _axes(grid))
        combine = 8 * rows * columns * taps * b
    project = b * channels_in * channels_out
    return (
        n * (h * w * project + combine * channels_out),
        n * (rows * columns * project + combine * channels_in),
    )


def _axes(grid: ProjectedGrid) -> tuple[Axis, Axis]:
    return grid.rows, grid.columns


def _period(axis: Axis) -> tuple[int, int]:
    period = axis.period(PERIOD_LIMIT)
    if period is None:
        raise ValueError(
            f"plan 'phases' needs a scale p/q with p up to {PERIOD_LIMIT}, got {axis.scale}: "
            "use plan 'basis'"
        )
    return period


def _one_period(axis: Axis) -> Axis:
    return Axis(_period(axis)[0], axis.scale, axis.origin, axis.first)


def _placement(index: Tensor, dtype: torch.dtype) -> Tensor:
    """One-hot (phases, taps, U): where each phase's taps lie in the union of all taps."""
    index = index - index.min()
    return F.one_hot(index, int(index.max()) + 1).to(dtype)


def _frame(x: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """Rows and columns from start to stop of `x`, borders replicated where they lie outside."""
    h, w = x.shape[2:]
    x = x[:, :, max(rows[0], 0) : max(rows[1], 1), max(columns[0], 0) : max(columns[1], 1)]
    pad = [max(n, 0) for n in (-columns[0], columns[1] - w, -rows[0], rows[1] - h)]
    return F.pad(x, pad, mode="replicate") if any(pad) else x


def _blocks(layer: CCLayer, axis: Axis, number: int) -> tuple[Tensor, Tensor]:
    """Dense matrices of the factors per block of `BLOCK` outputs, and each block's first pixel.

    Returns:
        (blocks, BLOCK, U, R, B) and (blocks,) int64; the last block runs past the axis' end.
    """
    count = -(-axis.size // BLOCK)
    index, offset = layer.taps(Axis(count * BLOCK, axis.scale, axis.origin, axis.first))
    factors = layer.factors(offset, axis, number)
    factors = factors.view(count, BLOCK, *factors.shape[1:])
    index = index.view(count, BLOCK, -1)
    base = index[:, 0, 0]
    place = index - base[:, None, None]
    matrices = factors.new_zeros(count, BLOCK, int(place.max()) + 1, *factors.shape[3:])
    place = place[..., None, None].expand_as(factors)
    return matrices.scatter_add(2, place, factors), base


def _block_index(base: Tensor, width: int, limit: int) -> Tensor:
    """Input pixels that each block reads: (blocks, width), borders replicated."""
    return (base[:, None] + torch.arange(width, device=base.device)).clamp(0, limit - 1)
