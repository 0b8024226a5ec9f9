"""The schedule of the learning rate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ccsr.training.settings import choice, number, numbers

Schedule = Literal["cosine", "trapezoid", "constant", "steps"]


@dataclass(frozen=True)
class Rate:
    """The learning rate over the steps of a training, as a factor on the highest.

    Attributes:
        schedule: what follows the warm-up: ``cosine`` falls to zero over all steps; ``trapezoid``
            stays, then falls to zero in a line over the last part, so that a training can be cut
            into runs and prolonged before it falls; ``constant`` stays to the end; ``steps`` is
            multiplied by `gamma` at each of `milestones`.
        warmup: steps in which it rises in a line, at most a tenth of all.
        decay: that last part, as a share of all steps.
        milestones: shares of all steps, in (0, 1).
        gamma: in (0, 1].

    Raises:
        ValueError: for an unknown schedule, or a number out of its range.
    """

    schedule: Schedule = "cosine"
    warmup: int = 0
    decay: float = 0.2
    milestones: Sequence[float] = ()
    gamma: float = 0.5

    def __post_init__(self) -> None:
        choice("module.schedule", self.schedule, Schedule)
        number("module.warmup", self.warmup)
        number("module.decay", self.decay, "(0, 1]")
        numbers("module.milestones", self.milestones, "(0, 1)")
        number("module.gamma", self.gamma, "(0, 1]")

    def factor(self, step: int, steps: int) -> float:
        """The factor at `step`, from 0 on, of `steps`."""
        warmup = min(self.warmup, steps // 10)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "steps":
            return self.gamma ** sum(step >= round(share * steps) for share in self.milestones)
        if self.schedule == "trapezoid":
            return min(1.0, max(0, steps - step) / max(1, self.decay * steps))
        progress = min(1.0, (step - warmup) / max(1, steps - warmup))
        return 0.5 * (1 + math.cos(math.pi * progress))
