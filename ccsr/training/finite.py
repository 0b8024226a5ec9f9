"""Losses and gradients that have to be finite."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class _Watched(NamedTuple):
    """A value, what and when it was, and the rate of learning then."""

    what: str
    step: int
    rate: float
    value: Tensor


class Finite:
    """Values of training steps, looked at together.

    To look at a value of a GPU is to wait for it, and the device would wait for what comes next.
    """

    def __init__(self) -> None:
        self._unchecked: list[_Watched] = []

    def add(self, what: str, step: int, rate: float, value: Tensor) -> None:
        """Keep a scalar for the next check; the rest is for its message."""
        self._unchecked.append(_Watched(what, step, rate, value))

    def check(self) -> None:
        """See that all values since the last check are finite.

        Raises:
            RuntimeError: if one is not; it names the first.
        """
        unchecked, self._unchecked = self._unchecked, []
        if not unchecked or bool(torch.stack([w.value for w in unchecked]).isfinite().all()):
            return
        what, step, rate, value = next(w for w in unchecked if not math.isfinite(w.value))
        raise RuntimeError(
            f"the {what} is not finite ({float(value)}) at step {step}, learning rate "
            f"{rate:.2g}: start again with a lower module.learning_rate, or go on from the "
            "last checkpoint (resume=...) with a lower trainer.gradient_clip_val or "
            "trainer.precision=32-true"
        )
