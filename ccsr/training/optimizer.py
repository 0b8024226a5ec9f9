"""The optimizers: Muon for filters between features and Adam for everything else, or Adam alone."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from ccsr.training.replay import Replay

Kind = Literal["muon", "adamw", "adam"]
# The quintic of Jordan et al. (2024): five rounds bring singular values from 0.01 up near 1.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5
_RMS = 0.4  # of a filter's step at learning rate 1; Adam's is about 0.2
_EPSILON = 1e-8


def build_optimizer(
    model: nn.Module,
    kind: Kind,
    learning_rate: float,
    momentum: float,
    betas: tuple[float, float],
    weight_decay: float,
    replay: bool,
) -> torch.optim.Optimizer:
    """The optimizer of a model's parameters.

    Args:
        model: whose parameters it moves.
        kind: ``muon``: :class:`Muon`; ``adamw`` and ``adam``: PyTorch's.
        learning_rate: of all parameters.
        momentum: of Muon.
        betas: of Adam.
        weight_decay: of the filters, see :func:`split`; ``adam`` has none.
        replay: whether Muon's operations are recorded.
    """
    filters, others = split(model)
    if kind == "muon":
        return Muon(filters, others, learning_rate, momentum, betas, weight_decay, replay)
    if kind == "adam":
        return torch.optim.Adam(model.parameters(), learning_rate, betas)
    parts = (filters, weight_decay), (others, 0.0)
    groups = [{"params": part, "weight_decay": decay} for part, decay in parts if part]
    return torch.optim.AdamW(groups, learning_rate, betas)


class Muon(torch.optim.Optimizer):
    """Steps along the orthogonalised momentum of filters, Adam's steps for everything else.

    Muon: Jordan et al. 2024; its steps' size in proportion to Adam's, so that one learning rate
    serves both: Liu et al. 2025 (arXiv 2502.16982). PyTorch's own takes 2-D parameters only,
    computes in bfloat16, and one matrix after the other.

    Args:
        filters: as matrices, from all inputs to the outputs: a convolution's (C_out, C_in, K, K),
            a CC layer's (B, C_out, C_in). Those of one shape are orthogonalised together.
        others: the rest; either may be empty.
        lr: learning rate of both.
        momentum: of Muon, in [0, 1), in Nesterov's form.
        betas: of Adam.
        weight_decay: share of the filters that a step at rate 1 takes away. Muon moves filters
            as far in directions that no photo excites, and there they would only grow.
        replay: whether a step's operations are recorded once and replayed as one, on a GPU; then
            gradients must stay where they are: `zero_grad(set_to_none=False)`.
    """

    def __init__(
        self,
        filters: Iterable[Parameter],
        others: Iterable[Parameter],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        replay: bool = False,
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
        self._records, self._replay = replay, cast(Replay | None, None)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; returns what `closure`, which computes the gradients, returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for number, group in enumerate(self.param_groups):
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            factors = torch.tensor(self._prepare(parameters, group), dtype=parameters[0].dtype)
            update = partial(self._muon if group["muon"] else self._adam, parameters, group)
            self._replay = self._replay or Replay(parameters[0].device, self._records)
            self._replay(number, update, factors)
        return loss

    def _prepare(self, parameters: list[Parameter], group: dict[str, Any]) -> list[float]:
        """Begin the states that are missing; the factors of this step, which differ from others'.

        Returns:
            Muon's rate and what decay leaves, or Adam's rate and the correction of its scale.
        """
        names = ("momentum",) if group["muon"] else ("mean", "square")
        for p in parameters:
            if not self.state[p]:
                self.state[p] = {name: torch.zeros_like(p) for name in names}
                if not group["muon"]:
                    self.state[p]["step"] = 0
        if group["muon"]:
            return [group["lr"] * _RMS, 1 - group["lr"] * group["weight_decay"]]
        for p in parameters:
            self.state[p]["step"] += 1
        first, second = (1 - beta ** self.state[parameters[0]]["step"] for beta in group["betas"])
        return [group["lr"] / first, second**0.5]

    def _muon(self, parameters: list[Parameter], group: dict[str, Any], factors: Tensor) -> None:
        rate, left = factors.unbind()
        gradients = [p.grad for p in parameters if p.grad is not None]
        moments = [self.state[p]["momentum"] for p in parameters]
        torch._foreach_lerp_(moments, gradients, 1 - group["momentum"])
        steps = list(torch._foreach_lerp(gradients, moments, group["momentum"]))
        alike: dict[torch.Size, list[int]] = defaultdict(list)
        for number, p in enumerate(parameters):
            alike[p.shape].append(number)
        for numbers in alike.values():
            matrices = torch.stack([_matrix(steps[n]) for n in numbers])
            matrices = orthogonalised(matrices) * (rate * max(matrices.shape[1:]) ** 0.5)
            for n, matrix in zip(numbers, matrices, strict=True):
                steps[n] = _filters(matrix, steps[n].shape)
        weights: list[Tensor] = [*parameters]
        torch._foreach_mul_(weights, left)
        torch._foreach_add_(weights, steps, alpha=-1)

    def _adam(self, parameters: list[Parameter], group: dict[str, Any], factors: Tensor) -> None:
        rate, scale = factors.unbind()
        gradients = [p.grad for p in parameters if p.grad is not None]
        means, squares = ([self.state[p][k] for p in parameters] for k in ("mean", "square"))
        first, second = group["betas"]
        torch._foreach_lerp_(means, gradients, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
        divisors = torch._foreach_sqrt(squares)
        torch._foreach_div_(divisors, scale)
        torch._foreach_add_(divisors, _EPSILON)
        steps = torch._foreach_div(means, divisors)
        torch._foreach_mul_(steps, rate)
        torch._foreach_add_([*parameters], steps, alpha=-1)


def _matrix(filters: Tensor) -> Tensor:
    """(C_out, C_in, K, K), or (B, C_out, C_in) of a CC layer, as (C_out, all inputs)."""
    if filters.ndim == 3:
        return filters.transpose(0, 1).flatten(1)
    return filters.permute(0, 2, 3, 1).flatten(1)  # channels last, as they lie in memory


def _filters(matrix: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of :func:`_matrix`."""
    if len(shape) == 3:
        return matrix.reshape(shape[1], shape[0], shape[2]).transpose(0, 1)
    return matrix.reshape(shape[0], *shape[2:], shape[1]).permute(0, 3, 1, 2)


def orthogonalised(matrices: Tensor) -> Tensor:
    """Matrices (..., m, n) with singular values brought near 1, by Newton-Schulz iterations."""
    a, b, c = _QUINTIC
    x = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-12)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x if x.shape == matrices.shape else x.mT
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
