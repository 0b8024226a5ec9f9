"""Which scales a training run sees."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ccsr.grid import Pair, as_pair
from ccsr.training.settings import choice, number, numbers, whole

_MOST = 1000  # scales; of their pairs there are a million
Per = Literal["batch", "sample"]


class Scales:
    """Scale pairs (vertical, horizontal), drawn one per batch, or one per patch.

    Isotropic scales are the multiples of 1/`denominator` in [`min`, `max`], all equally likely, or
    `values`, where what is listed twice is drawn twice as often. Without a denominator they are
    uniform in the range, and sizes are rounded: the scale is then the ratio of the sizes (Chen et
    al., "Learning continuous image representation with LIIF", 2021). With probability `anisotropic`
    a batch takes one of `pairs` instead, which are listed, or so many pairs of two different
    scales, chosen by `seed`.

    The set of sizes is bounded in each case, because libraries keep a compiled primitive, and a GPU
    a recording, for each of them.

    Attributes:
        per: what has a scale of its own, each ``batch`` or each ``sample``.
        rounds: whether a size that is not whole is rounded, or an error.

    Raises:
        ValueError: if the set is empty or a parameter is out of its range.
    """

    def __init__(
        self,
        min: float = 1,
        max: float = 4,
        denominator: int | None = 8,
        values: Sequence[float] | None = None,
        anisotropic: float = 0.25,
        pairs: int | Sequence[Sequence[float]] = 32,
        seed: int = 0,
        per: Per = "batch",
    ) -> None:
        self.per = choice("data.scales.per", per, Per)
        number("data.scales.anisotropic", anisotropic, "[0, 1]")
        number("data.scales.min", min)
        number("data.scales.max", max)
        if denominator is not None:
            whole("data.scales.denominator", denominator)
        self.rounds, self.range = denominator is None, (float(min), float(max))
        self.continuous = self.rounds and values is None
        if values is not None:
            listed = numbers("data.scales.values", values, "(-inf, inf)")
            _check_count(len(listed))
        elif denominator is None:
            listed = [min, max] if min <= max else []
        else:
            first, last = math.ceil(min * denominator - 1e-9), math.floor(max * denominator + 1e-9)
            _check_count(last - first + 1)
            listed = [n / denominator for n in range(first, last + 1)]
        self.single = [(float(s), float(s)) for s in listed]
        if not self.single or any(not 0 < s < math.inf for s, _ in self.single):
            raise ValueError(
                "data.scales needs at least one scale and positive ones only, got "
                f"min={min}, max={max}, denominator={denominator}, values={values}"
            )
        self.mixed = self._mixed(pairs, seed) if isinstance(pairs, int) else _listed(pairs)
        if anisotropic == 0 and not isinstance(pairs, int):
            raise ValueError(
                "data.scales.pairs lists pairs that are never drawn: give data.scales.anisotropic, "
                "the share of batches that take one"
            )
        self.anisotropic = anisotropic if self.mixed else 0.0

    def _mixed(self, count: int, seed: int) -> list[Pair]:
        """At most `count` pairs of two different isotropic scales."""
        whole("data.scales.pairs", count, least=0)
        rng = np.random.default_rng(seed)
        if self.continuous:
            lowest, highest = self.range
            drawn = rng.uniform(lowest, highest, (count if lowest < highest else 0, 2))
            return [(vertical, horizontal) for vertical, horizontal in drawn.tolist()]
        scales = list(dict(self.single))
        others = len(scales) - 1
        chosen = (divmod(k, others) for k in rng.permutation(len(scales) * others)[:count].tolist())
        return [(scales[i], scales[j + (j >= i)]) for i, j in chosen]

    def pairs(self) -> list[Pair]:
        """Every pair that can be drawn; of a continuous range its ends."""
        return self.single + (self.mixed if self.anisotropic else [])

    def draw(self, rng: np.random.Generator) -> Pair:
        """One pair at random."""
        mixed = rng.random() < self.anisotropic
        if self.continuous and not mixed:
            scale = float(rng.uniform(*self.range))
            return scale, scale
        chosen = self.mixed if mixed else self.single
        return chosen[int(rng.integers(len(chosen)))]


def _check_count(count: int) -> None:
    if count > _MOST:
        raise ValueError(
            f"data.scales makes {count} scales, at most {_MOST} are drawn from: give a smaller "
            "denominator or range, or denominator=null for a continuous one"
        )


def _listed(pairs: Sequence[Sequence[float]]) -> list[Pair]:
    """The pairs of the configuration, checked."""
    try:
        found = [as_pair((vertical, horizontal)) for vertical, horizontal in pairs]
    except (TypeError, ValueError) as error:
        raise ValueError(
            "data.scales.pairs must be a number of pairs, or a list of pairs (vertical, "
            f"horizontal) such as [[1.5,4],[2,3]], got {pairs!r}"
        ) from error
    if any(vertical == horizontal for vertical, horizontal in found):
        raise ValueError(
            "data.scales.pairs must list pairs of two different scales, which data.scales.values "
            f"and the range do not give, got {pairs!r}"
        )
    return found
