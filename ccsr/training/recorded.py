"""Training steps on a GPU as recordings of their operations, one per shape of their batches."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from ccsr.model.residual import Residual
from ccsr.training.replay import Replay


class RecordedSteps:
    """Loss, gradients and their clipping by :class:`ccsr.training.replay.Replay`.

    A recording writes the gradients to places that stay, so that whoever reads them, of which the
    optimizer's recordings are some, finds them there.

    Args:
        parameters: that are trained; their `grad` becomes zero.
        accumulated: batches whose gradients make a step.
        blocks: whose operations are fused first (`torch.compile`); None for no module.
    """

    def __init__(
        self, parameters: Sequence[nn.Parameter], accumulated: int, blocks: nn.Module | None = None
    ) -> None:
        self.parameters, self.accumulated = list(parameters), accumulated
        self._replay = Replay(self.parameters[0].device)
        for p in self.parameters:
            p.grad = torch.zeros_like(p)
        own = [cast(Tensor, p.grad) for p in self.parameters]
        self._gradients = own if accumulated == 1 else [g.clone() for g in own]
        self._blocks = blocks
        self._fused = torch.compile(blocks.forward) if blocks is not None else None

    def loss(self, key: Hashable, function: Callable[..., Tensor], *batch: Tensor) -> Tensor:
        """The scalar `function(*batch)`; its gradients are known at once, `backward` adds them.

        Args:
            key: of the recording: all that `function` depends on, but the values of its arguments.
            function: of tensors of any device, moved to that of the parameters.
            batch: see `function`.
        """
        found = self._replay(key, partial(self._find, function), *batch)
        return found.clone().requires_grad_()  # Lightning asks for it and calls `backward`

    def _find(self, function: Callable[..., Tensor], *batch: Tensor) -> Tensor:
        with self._fusing():
            loss = function(*batch)
            found = torch.autograd.grad(loss, self.parameters)
        torch._foreach_copy_(self._gradients, list(found))
        return loss.detach()

    @contextmanager
    def _fusing(self) -> Iterator[None]:
        """What is recorded takes the fused blocks, if there are; a validation never does.

        It has images of other sizes, and each would be compiled anew.
        """
        cached = torch.is_autocast_cache_enabled()
        torch.set_autocast_cache_enabled(False)  # it would hold tensors of another recording
        if self._blocks is not None:
            object.__setattr__(self._blocks, "forward", self._fused)
        try:
            yield
        finally:
            torch.set_autocast_cache_enabled(cached)
            if self._blocks is not None:
                self._blocks.__dict__.pop("forward", None)

    def backward(self) -> None:
        """Add the gradients of the last loss to those of the step."""
        if self.accumulated > 1:
            gradients = [cast(Tensor, p.grad) for p in self.parameters]
            torch._foreach_add_(gradients, self._gradients, alpha=1 / self.accumulated)

    def zero_grad(self, optimizer: torch.optim.Optimizer) -> None:
        """Forget the gradients of the last step; those of a single batch are overwritten anyway."""
        if self.accumulated > 1:
            optimizer.zero_grad(set_to_none=False)

    def clip(self, limit: float) -> Tensor:
        """Clip the gradients' norm to `limit`, and return what it was."""
        clip = partial(nn.utils.clip_grad_norm_, self.parameters, limit)
        return self._replay("clip", clip).clone()


def blocks_of(model: nn.Module) -> nn.Module:
    """The residual blocks of the encoder, or all of it where they are not one module."""
    encoder = getattr(model, "encoder", model)
    blocks = getattr(encoder, "body", None)
    return blocks if isinstance(blocks, Residual) else encoder
