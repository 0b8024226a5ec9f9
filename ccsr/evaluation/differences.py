"""Two methods on the same images: their differences, and what would differ with other images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import NamedTuple

import numpy as np

from ccsr.evaluation.results import Record, Scores
from ccsr.evaluation.table import METRICS, Grid, Metric, counted, spell, unique
from ccsr.grid import Pair
from ccsr.suggest import near

LEVEL = 0.95
RESAMPLES = 10_000
SEED = 0
FEWEST = 3  # images below which an interval says nothing


class Interval(NamedTuple):
    """Where the mean would lie with other images of the kind, with a probability of `LEVEL`."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """One metric of one method less that of another, at one scale over a test set.

    Attributes:
        metric: which.
        images: name -> difference of that image.
        interval: of their mean; None for fewer than `FEWEST` images, or if one is not finite.
    """

    protocol: str
    testset: str
    scale: Pair
    metric: Metric
    images: Mapping[str, float]
    interval: Interval | None

    @property
    def mean(self) -> float:
        """Over the images."""
        return sum(self.images.values()) / len(self.images)  # of infinities too

    def row(self) -> dict[str, object]:
        """Everything under flat names that say which number is the width."""
        return {
            "protocol": self.protocol,
            "testset": self.testset,
            "scale_width": self.scale[1],
            "scale_height": self.scale[0],
            "metric": self.metric.name,
            "mean": self.mean,
            "interval": self.interval and list(self.interval),
            "images": dict(self.images),
        }


def interval(differences: Sequence[float], seed: int = SEED) -> Interval | None:
    """Interval of the mean by the bias-corrected and accelerated bootstrap over images.

    Efron, "Better bootstrap confidence intervals", 1987. Images are drawn anew with repetition
    `RESAMPLES` times; quantiles of the means are taken where bias and skew of their distribution
    put them.

    Returns:
        None for fewer than three images, or where one is not finite.
    """
    values = np.asarray(differences, np.float64)
    n = len(values)
    if n < FEWEST or not np.isfinite(values).all():
        return None
    if (values == values[0]).all():
        return Interval(float(values[0]), float(values[0]))
    rng = np.random.default_rng(seed)
    # how often each image is drawn, instead of which: the same means in bounded memory
    means = np.concatenate(
        [rng.multinomial(n, [1 / n] * n, size=500) @ values / n for _ in range(RESAMPLES // 500)]
    )
    mean, normal = values.mean(), NormalDist()
    below = ((means < mean).sum() + (means == mean).sum() / 2) / len(means)
    bias = normal.inv_cdf(min(max(float(below), 1 / len(means)), 1 - 1 / len(means)))
    without = mean - (values - mean) / (n - 1)  # the mean with one image left out
    offset = without.mean() - without
    acceleration = (offset**3).sum() / (6 * (offset**2).sum() ** 1.5)
    tails = (normal.inv_cdf(tail) for tail in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    places = [normal.cdf(bias + (bias + z) / (1 - acceleration * (bias + z))) for z in tails]
    low, high = np.quantile(means, places)
    return Interval(float(low), float(high))


def differences(
    records: Sequence[Record], one: str, other: str, kinds: Mapping[str, str]
) -> list[Difference]:
    """Differences, `one` less `other`, for each protocol, test set, scale and metric.

    Args:
        records: of both.
        one: a model's name, or that of several runs, of which the mean counts.
        other: likewise.
        kinds: see `results.over_runs`.

    Raises:
        ValueError: if there is no such model.
    """
    columns = unique(kinds.get(r.model, r.model) for r in records)
    for name in (one, other):
        if name not in columns:
            raise ValueError(f"no model called {name!r} was measured: {near(name, columns)}")
    groups: dict[tuple[str, str, Pair], dict[str, dict[str, list[Scores]]]] = {}
    for r in records:
        images = groups.setdefault((r.protocol, r.testset, r.scale), {})
        models = images.setdefault(r.image, {})
        models.setdefault(kinds.get(r.model, r.model), []).append(r.scores)
    found = []
    for (protocol, testset, scale), images in groups.items():
        for metric in METRICS:
            if any(
                metric.read(scores) is None
                for models in images.values()
                for name in (one, other)
                for scores in models[name]
            ):
                continue  # it was not measured
            values = {
                image: _less(_mean(models[one], metric), _mean(models[other], metric))
                for image, models in images.items()
            }
            found.append(
                Difference(protocol, testset, scale, metric, values, interval([*values.values()]))
            )
    return found


def grids(found: Sequence[Difference], one: str, other: str) -> list[Grid]:
    """Differences of one protocol as tables, one for each test set and metric."""
    tables = []
    for testset, metric in unique((each.testset, each.metric) for each in found):
        here = [each for each in found if (each.testset, each.metric) == (testset, metric)]
        count = counted(len(here[0].images), "image")
        title = f"{testset} ({count}): {metric.title}, {one} less {other}"
        header = ["scale", "mean", f"{LEVEL:.0%} interval", "better on", "least", "most"]
        tables.append(Grid(title, header, [_line(each) for each in here]))
    return tables


def _line(found: Difference) -> list[str]:
    def told(value: float) -> str:
        text = f"{value:+.{found.metric.digits}f}"
        return text if text.strip("+-0.") else text[1:]  # nothing has no sign

    ranked = sorted(found.images.items(), key=lambda item: item[1])
    ends = [f"{image} {told(value)}" for image, value in (ranked[0], ranked[-1])]
    sign = 1 if found.metric.best is max else -1
    shown = (round(value, found.metric.digits) for value in found.images.values())
    better = sum(sign * value > 0 for value in shown)  # what is told as 0 is no difference
    if between := found.interval:
        known = f"{told(between.low)} to {told(between.high)}"
    elif len(ranked) < FEWEST:
        known = f"none: needs {FEWEST} images"
    else:
        known = "none: not all are finite"
    return [
        spell(found.scale), told(found.mean), known, f"{better} of {len(ranked)}", *ends
    ]  # fmt: skip


def _mean(scores: Sequence[Scores], metric: Metric) -> float:
    return fmean(metric.read(each) or 0.0 for each in scores)


def _less(one: float, other: float) -> float:
    return 0.0 if one == other else one - other  # both may be infinite
