"""The schedule of the learning rate."""

import math
from collections.abc import Sequence
from typing import Literal

Schedule = Literal["cosine", "trapezoid", "constant", "steps"]


def rate_factor(
    step: int,
    warmup: int,
    steps: int,
    schedule: Schedule = "cosine",
    decay: float = 0.2,
    milestones: Sequence[float] = (),
    gamma: float = 0.5,
) -> float:
    """Factor on the learning rate at `step` of `steps`.

    Args:
        step: from 0 on.
        warmup: steps in which it rises in a line.
        steps: of the whole training.
        schedule: what follows, see :class:`ccsr.training.task.SRModule`.
        decay: the part of a trapezoid in which it falls, as a share of all steps.
        milestones: of the schedule ``steps``: shares of all steps after each of which it is
            multiplied by `gamma`.
        gamma: see there.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule == "constant":
        return 1.0
    if schedule == "steps":
        return gamma ** sum(step >= round(share * steps) for share in milestones)
    if schedule == "trapezoid":
        return min(1.0, max(0, steps - step) / max(1, decay * steps))
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return 0.5 * (1 + math.cos(math.pi * progress))
