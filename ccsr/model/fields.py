"""Kernel fields are filters that are functions of the continuous offset to a pixel.

A field gives `basis` functions phi_b of the offset; a CC layer's filter is their combination
`W(offset; scale) = sum_b phi_b(offset; scale) W_b` with static matrices W_b. Offsets arrive per
axis, (H, taps) and (W, taps), in input pixels, already stretched where the grid reduces
(:func:`ccsr.grid.neighbours`); there a filter covers 1/s times the pixels, so a field's values
shrink by s per axis. All arithmetic here is at least float32.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ccsr.model.registry import check_counts
from ccsr.resample import cubic


class Field(nn.Module):
    """The base of all fields says what a CC layer needs of them.

    Attributes:
        kernel_size: width K of the support; the field is zero at offsets beyond +-K/2.
        basis: number B of basis functions.
    """

    kernel_size: int
    basis: int

    def extra_repr(self) -> str:
        """Return what `print` says of the field."""
        return f"basis={self.basis}"

    def forward(self, dy: Tensor, dx: Tensor, scale: tuple[float, float]) -> Tensor:
        """Evaluate all basis functions on the product of two axes.

        Args:
            dy: vertical offsets (H, taps_y).
            dx: horizontal offsets (W, taps_x).
            scale: (vertical, horizontal) output pixels per input pixel.

        Returns:
            (H, W, taps_y, taps_x, B).
        """
        raise NotImplementedError


class SeparableField(Field):
    """A field whose basis functions are short sums of products of per-axis factors.

    An output of any size then costs H + W evaluations instead of H * W.
    """

    def factors(self, offset: Tensor, scale: float, axis: int) -> Tensor:
        """Evaluate the factors along one axis.

        `phi_b(dy, dx) = sum_r factors(dy, axis=0)[r, b] * factors(dx, axis=1)[r, b]`.

        Args:
            offset: (size, taps) offsets along the axis.
            scale: output pixels per input pixel along it.
            axis: 0 vertical, 1 horizontal.

        Returns:
            (size, taps, R, B).
        """
        raise NotImplementedError

    def forward(self, dy: Tensor, dx: Tensor, scale: tuple[float, float]) -> Tensor:
        """See :meth:`Field.forward`."""
        vertical = self.factors(dy, scale[0], 0)
        horizontal = self.factors(dx, scale[1], 1)
        return torch.einsum("yirb,xjrb->yxijb", vertical, horizontal)


def taper(offset: Tensor, kernel_size: int) -> Tensor:
    """Return 1 up to half a pixel before the edge of the support, then cos^2 down to 0 there.

    The set of nearest pixels changes where an offset reaches +-K/2. A filter that is zero there
    makes the output a continuous function of position; otherwise a faint grid shows.
    """
    beyond = (offset.abs() - (kernel_size / 2 - 0.5)).clamp(0, 0.5)
    return torch.cos(math.pi * beyond).square()


class FourierField(SeparableField):
    """Sines of learned frequency and phase, damped by the footprint of an output pixel.

    `phi = sin(w . d + phase) * exp(-damping * |w|^2 / max(s, 1)^2)`, the square taken per axis:
    the footprint is 1/s input pixels, and one (stretched) pixel where the grid reduces.

    Args:
        kernel_size: width of the support in input pixels.
        basis: number of sines.
        max_frequency: frequencies start uniform in +-this, in radians per input pixel.
    """

    def __init__(self, kernel_size: int, basis: int = 32, max_frequency: float = 4.0) -> None:
        super().__init__()
        check_counts(basis=basis)
        if not 0 <= max_frequency < math.inf:
            raise ValueError(f"max_frequency must be finite, at least 0, got {max_frequency}")
        self.kernel_size = kernel_size
        self.basis = basis
        self.frequency = nn.Parameter(torch.empty(2, basis).uniform_(-max_frequency, max_frequency))
        self.phase = nn.Parameter(torch.empty(basis).uniform_(-math.pi, math.pi))
        self.log_damping = nn.Parameter(torch.full((basis,), math.log(0.1)))

    def factors(self, offset: Tensor, scale: float, axis: int) -> Tensor:
        """Use the identity sin(a + b) = sin(a) cos(b) + cos(a) sin(b)."""
        frequency = self.frequency[axis]
        angle = offset[..., None] * frequency  # (size, taps, B)
        if axis == 0:
            angle = angle + self.phase
            waves = torch.stack((angle.sin(), angle.cos()), -2)  # (size, taps, 2, B)
        else:
            waves = torch.stack((angle.cos(), angle.sin()), -2)
        damping = torch.exp(-self.log_damping.exp() * (frequency / max(scale, 1.0)).square())
        edge = taper(offset, self.kernel_size) * min(scale, 1.0)
        return waves * damping * edge[..., None, None]


class MLPField(Field):
    """The paper's field: a small network of (dy, dx, log s_h, log s_w), smooth, linear at the end.

    Args:
        kernel_size: width of the support in input pixels.
        basis: number of outputs.
        hidden: width of the two hidden layers.
    """

    def __init__(self, kernel_size: int, basis: int = 16, hidden: int = 64) -> None:
        super().__init__()
        check_counts(basis=basis, hidden=hidden)
        self.kernel_size = kernel_size
        self.basis = basis
        self.net = nn.Sequential(
            nn.Linear(4, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, basis),
        )

    def forward(self, dy: Tensor, dx: Tensor, scale: tuple[float, float]) -> Tensor:
        """See :meth:`Field.forward`."""
        vertical = dy[:, None, :, None]  # (H, 1, taps_y, 1)
        horizontal = dx[None, :, None, :]  # (1, W, 1, taps_x)
        zero = torch.zeros_like(vertical + horizontal)
        values = torch.stack(
            (
                vertical + zero,
                horizontal + zero,
                zero + math.log(scale[0]),
                zero + math.log(scale[1]),
            ),
            -1,
        )
        edge = taper(vertical, self.kernel_size) * taper(horizontal, self.kernel_size)
        for part in self.net:
            if isinstance(part, nn.Linear):  # at the offsets' precision, whatever the weights'
                weight, bias = part.weight.to(values.dtype), part.bias.to(values.dtype)
                values = F.linear(values, weight, bias)
            else:
                values = part(values)
        return values * edge[..., None] * min(scale[0], 1.0) * min(scale[1], 1.0)


class CubicField(SeparableField):
    """Bicubic (a = -0.5) with weights normalised per output: nothing learned, one function.

    With it a CC layer is an ordinary resize followed by a 1x1 convolution.
    """

    kernel_size = 4
    basis = 1

    def __init__(self, kernel_size: int = 4) -> None:
        super().__init__()
        if kernel_size != 4:
            raise ValueError(f"the cubic field has kernel_size 4, got {kernel_size}")

    def factors(self, offset: Tensor, scale: float, axis: int) -> Tensor:
        """See :meth:`SeparableField.factors`."""
        weight = cubic(offset)
        return (weight / weight.sum(1, keepdim=True))[..., None, None]


FIELDS: dict[str, type[Field]] = {"fourier": FourierField, "mlp": MLPField, "cubic": CubicField}
