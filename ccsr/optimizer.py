"""The optimizer: Muon for filters between features, Adam for everything else."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter

# The quintic of Jordan et al. (2024): five rounds bring singular values from 0.01 up near 1.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5
_RMS = 0.4  # of a filter's step at learning rate 1; Adam's is about 0.2
_EPSILON = 1e-8


class Muon(torch.optim.Optimizer):
    """Steps along the orthogonalised momentum of filters, Adam's steps for everything else.

    Muon: Jordan et al. 2024; its steps' size in proportion to Adam's, so that one learning rate
    serves both: Liu et al. 2025 (arXiv 2502.16982). PyTorch's own takes 2-D parameters only and
    computes in bfloat16.

    Args:
        filters: as matrices, from all inputs to the outputs: a convolution's (C_out, C_in, K, K),
            a CC layer's (B, C_out, C_in).
        others: the rest; either may be empty.
        lr: learning rate of both.
        momentum: of Muon, in [0, 1), in Nesterov's form.
        betas: of Adam.
        weight_decay: share of the filters that a step at rate 1 takes away. Muon moves filters
            as far in directions that no photo excites, and there they would only grow.
    """

    def __init__(
        self,
        filters: Iterable[Parameter],
        others: Iterable[Parameter],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        groups = [
            {"params": list(filters), "muon": True},
            {"params": list(others), "muon": False},
        ]
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "betas": betas,
            "weight_decay": weight_decay,
        }
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; returns what `closure`, which computes the gradients, returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if group["muon"]:
                self._muon(parameters, group)
            else:
                self._adam(parameters, group)
        return loss

    def _muon(self, parameters: list[Parameter], group: dict[str, Any]) -> None:
        for p in parameters:
            assert p.grad is not None
            state = self.state[p]
            if not state:
                state["momentum"] = torch.zeros_like(p)
            state["momentum"].lerp_(p.grad, 1 - group["momentum"])
            step = p.grad.lerp(state["momentum"], group["momentum"])
            if p.ndim == 3:
                step = step.transpose(0, 1)
            matrix = step.flatten(1)
            step = orthogonalised(matrix).view_as(step)
            if p.ndim == 3:
                step = step.transpose(0, 1)
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.sub_(step, alpha=group["lr"] * _RMS * max(matrix.shape) ** 0.5)

    def _adam(self, parameters: list[Parameter], group: dict[str, Any]) -> None:
        first, second = group["betas"]
        for p in parameters:
            assert p.grad is not None
            state = self.state[p]
            if not state:
                state |= {"step": 0, "mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
            state["step"] += 1
            state["mean"].lerp_(p.grad, 1 - first)
            state["square"].lerp_(p.grad.square(), 1 - second)
            mean = state["mean"] / (1 - first ** state["step"])
            square = state["square"] / (1 - second ** state["step"])
            p.addcdiv_(mean, square.sqrt().add_(_EPSILON), value=-group["lr"])


def orthogonalised(matrix: Tensor) -> Tensor:
    """The matrix (m, n) with its singular values brought near 1, by Newton-Schulz iterations."""
    a, b, c = _QUINTIC
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
    x = x / (x.norm() + 1e-12)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x if x.shape == matrix.shape else x.mT
    return result


def split(model: nn.Module) -> tuple[list[Parameter], list[Parameter]]:
    """The filters of `model` between features, and the rest: biases, fields, first and last layers.

    A filter that reads the image or writes colours has three channels on one side.
    """
    filters = [p for p in model.parameters() if p.ndim > 2 and min(_channels(p)) > 3]
    chosen = set(filters)
    return filters, [p for p in model.parameters() if p not in chosen]


def _channels(filters: Parameter) -> torch.Size:
    """Outputs and inputs of (C_out, C_in, K, K), or of (B, C_out, C_in) in a CC layer."""
    return filters.shape[1:] if filters.ndim == 3 else filters.shape[:2]
