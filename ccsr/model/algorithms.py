"""There are three ways to compute a continuous convolution; they are equal to float32 rounding.

`reference` is the formula itself. The others rest on its factorisation: the filter is a sum of
few basis functions of the offset times static matrices (see :mod:`ccsr.model.cc_layer`).
"""

from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ccsr.grid import Axis, ProjectedGrid, is_traced, reach
from ccsr.model.fields import SeparableField

if TYPE_CHECKING:
    from ccsr.model.cc_layer import CCLayer

Plan = Literal["reference", "phases", "basis"]

PERIOD_LIMIT = 32  # more phases per axis than this are never worth a kernel each
BLOCK = 16  # outputs per axis that share one dense matrix in the basis plan
GROUP_ELEMENTS = 1 << 20  # rough size of the basis plan's intermediates: they stay in cache
NEGLIGIBLE = 1e-7  # part of the largest singular value below which basis functions are dropped


def reference(layer: "CCLayer", x: Tensor, grid: ProjectedGrid) -> Tensor:
    """Write out every filter and multiply what it gathers: slow, obvious, the oracle in tests."""
    row_index, dy = layer.taps(grid.rows)
    column_index, dx = layer.taps(grid.columns)
    filters = layer.filters(layer.functions(dy, dx, grid))  # (H, W, taps_y, taps_x, C_out, C_in)
    pixels = x[:, :, row_index.clamp(0, x.shape[2] - 1)]  # (N, C_in, H, taps_y, w)
    pixels = pixels[..., column_index.clamp(0, x.shape[3] - 1)]  # (N, C_in, H, taps_y, W, taps_x)
    return layer.biased(torch.einsum("nchiwj,hwijoc->nohw", pixels, filters.to(x.dtype)))


def phases(layer: "CCLayer", x: Tensor, grid: ProjectedGrid) -> Tensor:
    """Compute one strided convolution: at a scale p/q an axis has only p distinct phases.

    The kernels of all p_h * p_w phases are the output channels of a convolution with stride
    (q_h, q_w); their outputs interleave.

    Raises:
        ValueError: if the scale is no fraction with a numerator up to `PERIOD_LIMIT`.
    """
    (p_h, q_h), (p_w, q_w) = (_period(a) for a in _axes(grid))
    kernel, top, left = phase_kernels(layer, ProjectedGrid(*map(_one_period, _axes(grid))))
    channels = kernel.shape[2]
    m_h, m_w = -(-grid.rows.size // p_h), -(-grid.columns.size // p_w)  # periods in the output
    x = _frame(
        x,
        (top, top + (m_h - 1) * q_h + kernel.shape[4]),
        (left, left + (m_w - 1) * q_w + kernel.shape[5]),
    )
    weight = kernel.flatten(0, 2).to(x.dtype).contiguous(memory_format=torch.channels_last)
    bias = None if layer.bias is None else layer.bias.repeat(p_h * p_w).to(x.dtype)
    y = F.conv2d(x, weight, bias, stride=(q_h, q_w)).permute(0, 2, 3, 1)
    y = y.reshape(-1, m_h, m_w, p_h, p_w, channels).transpose(2, 3)
    y = y.reshape(-1, m_h * p_h, m_w * p_w, channels)  # interleaved
    return y[:, : grid.rows.size, : grid.columns.size].permute(0, 3, 1, 2)


def phase_kernels(layer: "CCLayer", period: ProjectedGrid) -> tuple[Tensor, int, int]:
    """Make the filters of one period, each where its taps lie in the union of all taps.

    Returns:
        (p_h, p_w, C_out, C_in, U_h, U_w), and the input row and column where the union begins.
    """
    (rows, dy), (columns, dx) = (layer.taps(axis) for axis in _axes(period))
    (top, bottom), (left, right) = (reach(axis, layer.kernel_size) for axis in _axes(period))
    filters = layer.filters(layer.functions(dy, dx, period))  # (p_h, p_w, taps_y, taps_x, ...)
    p_h, p_w, _, _, *channels = filters.shape
    kernel = filters.new_zeros(p_h, p_w, bottom - top, right - left, *channels)
    y, x = (torch.arange(p, device=filters.device)[:, None] for p in (p_h, p_w))
    place = (
        y[:, None, :, None],
        x[:, None],
        (rows - top)[:, None, :, None],
        (columns - left)[:, None],
    )
    return kernel.index_put(place, filters).permute(0, 1, 4, 5, 2, 3), top, left


def basis(layer: "CCLayer", x: Tensor, grid: ProjectedGrid) -> Tensor:
    """Compute any size by the factorisation of the filter; see the two functions it calls."""
    if isinstance(layer.field, SeparableField):
        return _basis_separable(layer, x, grid)
    return _basis_dense(layer, x, grid)


def _basis_separable(layer: "CCLayer", x: Tensor, grid: ProjectedGrid) -> Tensor:
    """Compute rows first, then columns, from H + W evaluations of the field.

    All outputs of a row share their vertical offsets, so what is left of the filter is a function
    of the horizontal offset: `sum_m g_m(dx) V_m`, with matrices V_m (C_out x C_in) per tap. One
    matrix product per row applies the V_m; a banded product per block of columns, the g_m.
    """
    row_index, dy = layer.taps(grid.rows)
    bands, column_base = _blocks(layer, grid.columns)  # (l, BLOCK, U, R, B)
    column_index = _block_index(column_base, bands.shape[2], x.shape[3])
    bands, vertical, make = _spanned(layer, bands, layer.factors(dy, grid.rows, 0))
    functions = bands.shape[3]
    row_index = row_index.clamp(0, x.shape[2] - 1)
    lines = x.permute(2, 0, 3, 1).flatten(1, 2)  # (h, N * w, C_in)
    batch, width, channels = x.shape[0], x.shape[3], layer.out_channels
    places = column_index * channels + torch.arange(channels, device=x.device)[:, None, None]
    bands = bands.flatten(2).mT.to(x.dtype)  # (l, U * m, BLOCK)
    per_row = lines.shape[1] * max(x.shape[1], channels * functions)
    group = max(1, GROUP_ELEMENTS // max(1, per_row))
    parts = []
    for k in range(0, grid.rows.size, group):
        filters = make(vertical[k : k + group]).to(x.dtype)  # (g, taps, m, C_out, C_in)
        filters = filters.permute(1, 0, 4, 3, 2).flatten(3)  # (taps, g, C_in, C_out * m)
        (first, *others) = zip(row_index[k : k + group].unbind(1), filters, strict=True)
        part = lines.index_select(0, first[0]) @ first[1]  # (g, N * w, C_out * m)
        for index, matrix in others:
            part = torch.baddbmm(part, lines.index_select(0, index), matrix)
        rows = len(part)
        part = part.view(rows * batch, width * channels, functions)
        part = part.index_select(1, places.flatten())
        part = part.view(rows * batch * channels, *bands.shape[:2]).transpose(0, 1) @ bands
        part = part.view(len(bands), rows, batch, channels, BLOCK)
        parts.append(part.permute(2, 1, 0, 4, 3).flatten(2, 3))  # (N, g, W', C_out)
    y = torch.cat(parts, 1)[:, :, : grid.columns.size].permute(0, 3, 1, 2)
    return layer.biased(y)


def _spanned(
    layer: "CCLayer", bands: Tensor, vertical: Tensor
) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
    """Give the horizontal functions of a layer, and how to make the matrices of each.

    Sines of bounded frequency over a few pixels are nearly dependent: the few that span them do,
    except for gradients, which need the functions themselves, and where no values are known yet.

    Args:
        layer: of a separable field.
        bands: horizontal factors (l, BLOCK, U, R, B).
        vertical: vertical factors (H, taps, R, B).

    Returns:
        (l, BLOCK, U, m), then (H, taps, ...) and what turns rows of that into matrices
        (g, taps, m, C_out, C_in).
    """
    if not (torch.is_grad_enabled() or bands.is_meta or is_traced()):
        bands, mix = span(bands)
        return bands, torch.einsum("htrb,mrb->htmb", vertical, mix), layer.filters

    def each(vertical: Tensor) -> Tensor:
        return (vertical[..., None, None] * layer.weight.to(vertical.dtype)).flatten(2, 3)

    return bands.flatten(3), vertical, each


def span(functions: Tensor) -> tuple[Tensor, Tensor]:
    """Find fewer functions that span the same, to float32 rounding; it has no gradients.

    Returns:
        (..., m) and (m, R, B): (..., R, B) is the product of the two.
    """
    shape = functions.shape[-2:]
    values = functions.flatten(-2)
    samples = values.flatten(0, -2).cpu().double()  # which not every device has
    energy, vectors = torch.linalg.eigh(samples.mT @ samples)
    vectors = vectors[:, energy >= energy[-1] * NEGLIGIBLE**2].to(values)
    return values @ vectors, vectors.mT.reshape(-1, *shape)


def _basis_dense(layer: "CCLayer", x: Tensor, grid: ProjectedGrid) -> Tensor:
    """Project by the W_b, a 1x1 convolution, then combine tap by tap, for any field."""
    weight = layer.weight.to(x.dtype)
    x = F.conv2d(x, weight.flatten(0, 1)[..., None, None])
    x = x.view(len(x), *weight.shape[:2], *x.shape[2:])  # (N, B, C_out, h, w)
    row_index, dy = layer.taps(grid.rows)
    column_index, dx = layer.taps(grid.columns)
    row_index = row_index.clamp(0, x.shape[3] - 1)
    column_index = column_index.clamp(0, x.shape[4] - 1)
    per_row = grid.columns.size * layer.field.basis
    per_row *= max(dy.shape[1] * dx.shape[1], x.shape[0] * x.shape[2])
    group = max(1, GROUP_ELEMENTS // per_row)
    parts = []
    for k in range(0, grid.rows.size, group):
        index = row_index[k : k + group]
        functions = layer.functions(dy[k : k + group], dx, grid).to(x.dtype)
        part = x.new_zeros(())
        for i, j in product(range(dy.shape[1]), range(dx.shape[1])):
            pixels = x[..., index[:, i], :][..., column_index[:, j]]
            part = part + torch.einsum("hwb,nbohw->nohw", functions[:, :, i, j], pixels)
        parts.append(part)
    return layer.biased(torch.cat(parts, -2))


PLANS: dict[Plan, Callable[["CCLayer", Tensor, ProjectedGrid], Tensor]] = {
    "reference": reference,
    "phases": phases,
    "basis": basis,
}


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


def _frame(x: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """Take rows and columns from start to stop of `x`, whose borders are replicated outside."""
    h, w = x.shape[2:]
    (within_rows, *above_below), (within_columns, *beside) = _parted(rows, h), _parted(columns, w)
    x = x[:, :, within_rows, within_columns]
    pad = [*beside, *above_below]
    if not any(pad):
        return x
    if x.requires_grad:  # or every convolution before would get its gradients in another layout
        x.register_hook(_channels_last)
    return F.pad(x, pad, mode="replicate")


def _parted(span: tuple[int, int], limit: int) -> tuple[slice, int, int]:
    """Cut a span, start and stop, to `limit` pixels, at least the nearest one; and what is missing.

    Returns:
        The pixels, and how many lie before and after them.
    """
    start = min(max(span[0], 0), limit - 1)
    stop = max(min(span[1], limit), start + 1)
    missing = span[1] - span[0] - (stop - start)
    before = min(max(-span[0], 0), missing)
    return slice(start, stop), before, missing - before


def _channels_last(gradient: Tensor | None) -> Tensor | None:
    if gradient is None:  # nothing depends on it
        return None
    return gradient.contiguous(memory_format=torch.channels_last)


def _blocks(layer: "CCLayer", axis: Axis) -> tuple[Tensor, Tensor]:
    """Write the horizontal factors as dense bands, one per block of `BLOCK` outputs.

    Returns:
        (blocks, BLOCK, U, R, B) and (blocks,) int64; the last block runs past the axis' end.
    """
    count = -(-axis.size // BLOCK)
    whole = Axis(count * BLOCK, axis.scale, axis.origin, axis.first)
    index, offset = layer.taps(whole)
    factors = layer.factors(offset, axis, 1)
    factors = factors.view(count, BLOCK, *factors.shape[1:])
    index = index.view(count, BLOCK, -1)
    base = index[:, 0, 0]
    place = index - base[:, None, None]
    blocks = (whole.window(k, k + BLOCK) for k in range(0, whole.size, BLOCK))
    width = max(stop - start for start, stop in (reach(b, layer.kernel_size) for b in blocks))
    bands = factors.new_zeros(count, BLOCK, width, *factors.shape[3:])
    place = place[..., None, None].expand_as(factors)
    return bands.scatter_add(2, place, factors), base


def _block_index(base: Tensor, width: int, limit: int) -> Tensor:
    """List the pixels that each block reads, clamped to the input: (blocks, width)."""
    return (base[:, None] + torch.arange(width, device=base.device)).clamp(0, limit - 1)
