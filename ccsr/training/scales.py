"""Which scales a training run sees."""

import math
from collections.abc import Sequence
from itertools import permutations

import numpy as np

from ccsr.grid import Pair


class Scales:
    """A bounded set of scale pairs (vertical, horizontal), drawn one per batch.

    Isotropic scales are the multiples of 1/`denominator` in [`min`, `max`], or `values`, where what
    is listed twice is drawn twice as often. With probability `anisotropic` a batch takes one of
    `pairs` pairs of two different ones instead; which ones follows from `seed`. The set is bounded
    because every new scale means new shapes, and libraries keep compiled primitives per shape.

    Raises:
        ValueError: if the set is empty or a parameter is out of its range.
    """

    def __init__(
        self,
        min: float = 1,
        max: float = 4,
        denominator: int = 8,
        values: Sequence[float] | None = None,
        anisotropic: float = 0.25,
        pairs: int = 32,
        seed: int = 0,
    ) -> None:
        if not 0 <= anisotropic <= 1:
            raise ValueError(f"data.scales.anisotropic must be in [0, 1], got {anisotropic}")
        if denominator < 1:
            raise ValueError(f"data.scales.denominator must be at least 1, got {denominator}")
        first, last = math.ceil(min * denominator - 1e-9), math.floor(max * denominator + 1e-9)
        listed = [n / denominator for n in range(first, last + 1)] if values is None else values
        self.single = [(float(s), float(s)) for s in listed]
        if not self.single or any(s <= 0 for s, _ in self.single):
            raise ValueError(
                "data.scales needs at least one scale and positive ones only, got "
                f"min={min}, max={max}, denominator={denominator}, values={values}"
            )
        different = list(permutations(dict(self.single), 2))
        chosen = np.random.default_rng(seed).permutation(len(different))[:pairs]
        self.mixed: list[Pair] = [different[k] for k in chosen]
        self.anisotropic = anisotropic if self.mixed else 0.0

    def pairs(self) -> list[Pair]:
        """Every pair that can be drawn."""
        return self.single + (self.mixed if self.anisotropic else [])

    def draw(self, rng: np.random.Generator) -> Pair:
        """One pair at random."""
        chosen = self.mixed if rng.random() < self.anisotropic else self.single
        return chosen[int(rng.integers(len(chosen)))]
