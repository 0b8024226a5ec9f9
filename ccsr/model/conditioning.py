"""Convolutions that are told the quality of the JPEG that a picture was.

To take its traces out a network has to know how coarse they are. Pixels tell that to one that sees
much of them; a file's header tells it in one number. It becomes a few terms, and each convolution
adds its own weighted sum of them to its result, as its bias: for one quality that is an ordinary
convolution (Jiang et al. 2021, arXiv 2109.14573, condition theirs likewise, by scales and shifts).
"""

from copy import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

QUALITIES = (30, 98)  # that the presets of `data.degradation` draw; others are told as the ends
TERMS = 3  # powers of the quality, from 0 on
# Of the terms: shifts begin at 0 and move by an optimizer's steps, which suit smaller ways.
PACE = 3.0


def terms(quality: Tensor) -> Tensor:
    """Turn qualities (N,), 1 to 100 as libjpeg counts or 0 for an unknown one, into (N, TERMS).

    What is not known has zeros.
    """
    return column_terms(quality.float()[:, None])


def column_terms(quality: Tensor) -> Tensor:
    """Compute :func:`terms` of qualities (N, 1) in floating point."""
    least, most = QUALITIES
    place = (2 * quality.clamp(least, most) - (most + least)) / (most - least)  # -1 to 1
    powers = [torch.zeros_like(place) + 1.0]
    while len(powers) < TERMS:
        powers.append(powers[-1] * place)
    told = torch.cat(powers, 1) * PACE
    return torch.where(quality <= 0.0, torch.zeros_like(told), told)


class ConditionedConv(nn.Conv2d):
    """A 3x3 convolution that keeps the size, with a shift of its result that depends on `terms`.

    Args:
        in_channels: of its input.
        out_channels: of its result.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.shift = nn.Parameter(torch.zeros(TERMS, out_channels))

    def forward(self, x: Tensor, told: Tensor | None = None) -> Tensor:
        """Convolve x (N, C_in, h, w); `told` are the terms (N, TERMS) of its pictures."""
        y: Tensor = self._conv_forward(x, self.weight, self.bias)
        return y if told is None else y + self.shifts(told)

    def shifts(self, told: Tensor) -> Tensor:
        """Compute what is added for terms (N, TERMS): (N, C_out, 1, 1)."""
        shifts: Tensor = F.linear(told, self.shift.T)[:, :, None, None]
        return shifts

    def at(self, quality: float | None) -> nn.Conv2d:
        """Make the ordinary convolution that this is for one quality, or None for an unknown one.

        Its filters are the same tensor.
        """
        device = self.weight.device
        given = torch.tensor([float(quality or 0)], dtype=torch.float32, device=device)
        assert self.bias is not None
        with torch.autocast(device.type, enabled=False):  # whatever the caller has on
            shifts = self.shifts(terms(given).to(self.shift.dtype))
        bias = nn.Parameter((self.bias + shifts.flatten()).detach())
        made: nn.Conv2d = twin(self)
        made.__class__ = nn.Conv2d  # to make a new one takes longer than a small picture
        made._parameters["bias"] = bias
        del made._parameters["shift"]
        return made


def for_quality(module: nn.Module, quality: float | None) -> Any:
    """Make the module for one quality: its layers but the :class:`ConditionedConv` are the same."""
    if isinstance(module, ConditionedConv):
        return module.at(quality)
    made = {name: for_quality(each, quality) for name, each in module.named_children()}
    if all(each is module._modules[name] for name, each in made.items()):
        return module
    changed = twin(module)
    changed._modules.update(made)
    return changed


def twin(module: nn.Module) -> Any:
    """Copy a module that shares what it has, but not the registries, of hooks for one."""
    made = copy(module)
    registries = {name: own.copy() for name, own in vars(module).items() if isinstance(own, dict)}
    vars(made).update(registries)
    return made
