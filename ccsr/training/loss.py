"""The loss: how far patches are from their targets, plainly or in proportion to bicubic's."""

import inspect
from collections.abc import Callable
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn

from ccsr.metrics import luma
from ccsr.model.registry import imported

Relative = Literal["rmse", "l1"]
Plain = Literal["plain_l1", "charbonnier"]
Loss = Literal[Relative, Plain]
PLAIN = frozenset(get_args(Plain))
_LEAST_ERROR = 0.008  # of bicubic, about what it leaves at a scale of 1.2; at 1 it leaves nothing
_LUMA_WEIGHT = 3.0  # where eyes see detail
_LUMA_OF_BLACK = 16 / 255
_EPSILON = 1e-8  # under a square root, whose slope at 0 is infinite
_CHARBONNIER = 1e-3  # where it turns from a square into a magnitude


def plain(image: Tensor, target: Tensor, loss: Plain) -> Tensor:
    """The mean over all values of the images (N, 3, H, W), as papers have it.

    ``plain_l1`` is the error's magnitude; ``charbonnier`` its smooth kin, `sqrt(error^2 + 0.001^2)`
    (Lai et al., "Deep Laplacian pyramid networks", 2017).
    """
    error = image - target
    if loss == "plain_l1":
        return error.abs().mean()
    return (error.square() + _CHARBONNIER**2).sqrt().mean()


def relative(image: Tensor, target: Tensor, bicubic: Tensor, loss: Relative) -> Tensor:
    """The mean of each patch's distance over bicubic's: 1 where the network is as good as that.

    Args:
        image: what the network gives, (N, 3, H, W) in [0, 1].
        target: what it should give, likewise.
        bicubic: what bicubic gives, likewise.
        loss: which distance.
    """
    least = distance(bicubic, target, loss).clamp_min(_LEAST_ERROR)
    return (distance(image, target, loss) / least).mean()


def distance(image: Tensor, target: Tensor, loss: Relative) -> Tensor:
    """How far each patch (N, 3, H, W) is from its target: (N,)."""
    error = image - target
    parts = _bounded(error), _LUMA_WEIGHT * _bounded(luma(error) - _LUMA_OF_BLACK)
    values = parts if loss == "l1" else [part.square() for part in parts]
    total = torch.stack([each.sum((1, 2, 3)) for each in values]).sum(0)
    mean = total / sum(each[0].numel() for each in values)
    return mean if loss == "l1" else (mean + _EPSILON).sqrt()


def _bounded(error: Tensor) -> Tensor:
    """Magnitudes; beyond 1, where only a network that explodes comes, they grow as a logarithm."""
    error = error.abs()
    return torch.where(error > 1, 1 + error.clamp_min(1).log(), error)


def foreign(path: str) -> Callable[..., Tensor]:
    """The loss of another package.

    Raises:
        ValueError: if there is none, or it cannot be called.
    """
    found: Any = imported("loss", path)
    try:
        signature = None if isinstance(found, type) else inspect.signature(found)
        fits = signature is not None and bool(signature.bind(None, None))
    except (TypeError, ValueError):  # nothing that is called, or not with two arguments
        fits = False
    if not fits:
        raise ValueError(
            f"loss {path!r}: expected a function of two batches (N, 3, H, W), the network's and "
            f"the target, got {found!r}: of a class name an instance, package.module:NAME"
        )
    if isinstance(found, nn.Module):
        found.requires_grad_(False)  # its weights are no part of what is trained
    return cast(Callable[..., Tensor], found)


def checked(function: Callable[..., Any], sr: Tensor, hr: Tensor, path: str) -> Tensor:
    """What the loss of another package gives, if it can be trained by.

    Raises:
        ValueError: if it cannot be computed, is no scalar, or does not depend on the network.
    """
    try:
        loss = function(sr, hr)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"loss {path!r} must take two batches (N, 3, H, W), the network's and the target: it "
            f"says {reason!r}"
        ) from error
    if not isinstance(loss, Tensor):
        got = f"{loss!r}, which has no gradient"
    elif loss.numel() != 1:
        got = f"the shape {tuple(loss.shape)}: take its mean"
    elif torch.is_grad_enabled() and not loss.requires_grad:
        got = "one that does not depend on the network: let it stay a tensor, without detach()"
    else:
        return loss.reshape(())
    raise ValueError(f"loss {path!r} must give a scalar tensor with a gradient, got {got}")
