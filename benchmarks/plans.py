"""How well a CC layer chooses among its plans: each plan timed over layers, sizes and scales."""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import geometric_mean
from typing import Any, NamedTuple

import numpy as np
import torch

from ccsr.grid import Anchor, ProjectedGrid
from ccsr.model import CCLayer
from ccsr.model.algorithms import PERIOD_LIMIT, PLANS
from ccsr.model.costs import CPU, Weights, basis_cost, cheapest_plan, phases_cost
from ccsr.model.fields import CubicField, Field, FourierField, MLPField

FITTED = tuple(name for name in Weights._fields if name != "lanes")
ROUNDS = 3
SLOW = 0.3  # seconds: what takes longer is measured once
LARGEST_KERNEL = 1 << 25  # weights of all phases: beyond, `phases` is not even tried
Side = tuple[int, int]  # from how many pixels to how many


class Layer(NamedTuple):
    """A CC layer: channels in and out, and its field."""

    channels: tuple[int, int]
    field: Callable[[int], Field]
    kernel_size: int = 3

    def __str__(self) -> str:
        made = self.field(self.kernel_size)
        kind = type(made).__name__.removesuffix("Field").lower()
        return f"{self.channels[0]} -> {self.channels[1]}, {made.basis} of {kind}"


LAYERS = [
    Layer((48, 12), partial(FourierField, basis=20)),  # those of `light`
    Layer((12, 3), partial(FourierField, basis=32)),
    Layer((64, 24), partial(FourierField, basis=32)),  # and of `base`
    Layer((24, 3), partial(FourierField, basis=48)),
    Layer((3, 48), partial(FourierField, basis=32)),
    Layer((32, 32), partial(FourierField, basis=32), kernel_size=5),
    Layer((16, 16), partial(MLPField, basis=16)),
    Layer((48, 12), partial(MLPField, basis=16)),
    Layer((8, 8), CubicField, kernel_size=4),
]
SIZES: list[tuple[int, Side, Side]] = [  # of batch, rows and columns
    *((1, (n, n), (n, n)) for n in (16, 96)),
    *((n, side, side) for n in (1, 16) for side in ((8, 19), (16, 46), (32, 76), (24, 31))),
    *((4, (48, n), (48, n)) for n in (38, 60, 64, 72, 76, 96, 120, 144)),
    *((1, (96, n), (96, n)) for n in (72, 75, 102, 114, 144, 192, 240)),
    *((1, (rows, 2 * rows), (480, 960)) for rows in (8, 32)),  # strips
    *((1, (rows, rows * 5 // 4), (960, 1200)) for rows in (8, 32)),
    *((1, (rows, rows * 19 // 16), (960, 1140)) for rows in (16, 64)),
    (2, (24, 48), (32, 76)),
    (2, (60, 30), (48, 96)),
]


class Case(NamedTuple):
    """One layer, on one batch, with or without gradients."""

    layer: Layer
    batch: int
    rows: Side
    columns: Side
    gradients: bool

    @property
    def grid(self) -> ProjectedGrid:
        """From one size to the other."""
        (h, height), (w, width) = self.rows, self.columns
        anchor: Anchor = "ratio"
        return ProjectedGrid.project((h, w), (height, width), anchor=anchor)

    @property
    def sizes(self) -> str:
        """From what to what, WIDTHxHEIGHT."""
        (h, height), (w, width) = self.rows, self.columns
        return f"{self.batch} x {w}x{h} to {width}x{height}"


def cases() -> Iterator[Case]:
    """All that is measured."""
    for layer in LAYERS:
        for batch, rows, columns in SIZES:
            for gradients in (False, True):
                case = Case(layer, batch, rows, columns, gradients)
                axes = case.grid.rows, case.grid.columns
                periods = [axis.period(PERIOD_LIMIT) for axis in axes]
                weights: float = math.prod(layer.channels)
                for axis, period in zip(axes, periods, strict=True):
                    assert period is not None
                    weights *= period[0] * (layer.kernel_size / axis.stretch + period[1])
                if weights <= LARGEST_KERNEL:
                    yield case


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of the processor per plan and case, on one thread, and which plan was chosen."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found, costs = [], []
    try:
        for case in cases():
            found.append(_measured(case))
            costs.append(_unit_costs(case))
            if len(found) % 50 == 0:
                say(f"{len(found)} cases, the last: {found[-1]}")
    finally:
        torch.set_num_threads(threads)
    say(f"the weights that fit best: {_fitted(costs, found)}")
    return {"threads": 1, "layers": groups(found)}


def _unit_costs(case: Case) -> dict[str, list[float]]:
    """For each plan, the cost without any weights, then what each weight of 1 adds to it."""
    layer, x = _made(case)
    none = Weights(0, CPU.lanes, *[0] * (len(Weights._fields) - 2))
    units = [none, *(none._replace(**{name: 1}) for name in FITTED)]
    with torch.set_grad_enabled(case.gradients):
        found = {}
        for plan, cost in (("phases", phases_cost), ("basis", basis_cost)):
            base, *more = (cost(layer, x, case.grid, unit) for unit in units)
            found[plan] = [base, *(each - base for each in more)]
    return found


def _fitted(costs: list[dict[str, list[float]]], found: list[dict[str, Any]]) -> Weights:
    """The weights with the least squares of relative errors, for both plans and modes at once."""
    rows, targets = [], []
    for unit, case in zip(costs, found, strict=True):
        for plan, seconds in case["seconds"].items():
            once = seconds / (3 if case["mode"] == "training" else 1)
            rows.append([value / once for value in unit[plan]])
            targets.append(1.0)
    (multiply, *others), *_ = np.linalg.lstsq(np.array(rows), np.array(targets))
    weights = {
        name: float(f"{value / multiply:.3g}") for name, value in zip(FITTED, others, strict=True)
    }
    return Weights(**{"lanes": CPU.lanes, **weights})  # type: ignore[arg-type]


def groups(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each layer and mode, and for all: time of the chosen plan over that of the faster one."""
    members: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for case in found:
        members.setdefault((case["layer"], case["mode"]), []).append(case)
    members["all", ""] = found
    told = []
    for (layer, mode), cases in members.items():
        worst = max(cases, key=_ratio)
        ratios = {"mean": geometric_mean(map(_ratio, cases)), "worst": _ratio(worst)}
        told.append(
            {"layer": layer, "mode": mode, "cases": len(cases), **ratios, "at": worst["sizes"]}
        )
    return told


def section(found: dict[str, Any]) -> Iterator[str]:
    """The part of RESULTS.md."""
    yield from ("## Plans of CC layers", "")
    yield (
        f"`{found['command']}` on {found['processor']}, one thread, torch {found['torch']}, load "
        f"average {found['load']:.1f} when it began. Time of the chosen plan over that of the "
        f"faster one, over {len(SIZES)} batches, sizes and scales."
    )
    yield from (
        "",
        "| layer | | cases | mean | worst | worst case |",
        "|---|---|---:|---:|---:|---|",
    )
    for each in found["layers"]:
        mean, worst = f"{each['mean']:.3f}", f"{each['worst']:.2f}"
        at = each["at"] if each["worst"] > 1 else ""
        row = each["layer"], each["mode"], str(each["cases"]), mean, worst, at
        yield "| " + " | ".join(row) + " |"


def _ratio(case: dict[str, Any]) -> float:
    seconds: dict[str, float] = case["seconds"]
    return seconds[case["chosen"]] / min(seconds.values())


def _made(case: Case) -> tuple[CCLayer, torch.Tensor]:
    torch.manual_seed(0)
    layer = CCLayer(*case.layer.channels, case.layer.kernel_size, case.layer.field)
    x = torch.rand(case.batch, case.layer.channels[0], case.rows[0], case.columns[0])
    return layer, x.contiguous(memory_format=torch.channels_last)


def _measured(case: Case) -> dict[str, Any]:
    layer, x = _made(case)
    x.requires_grad_(case.gradients)
    with torch.set_grad_enabled(case.gradients):
        chosen = cheapest_plan(layer, x, case.grid)
        seconds = {}
        for plan in PLANS:
            if plan != "reference":
                layer.plan = plan
                seconds[plan] = _seconds(layer, x, case)
                if seconds[plan] < SLOW:
                    again = (_seconds(layer, x, case) for _ in range(ROUNDS - 1))
                    seconds[plan] = min(seconds[plan], *again)
    mode = "training" if case.gradients else "inference"
    told = {"layer": str(case.layer), "sizes": case.sizes, "mode": mode}
    return {**told, "chosen": chosen, "seconds": seconds}


def _seconds(layer: CCLayer, x: torch.Tensor, case: Case) -> float:
    started, count = time.process_time(), 0
    while not count or time.process_time() - started < 0.01:
        y = layer(x, case.grid)
        if case.gradients:
            y.square().mean().backward()
        count += 1
    return (time.process_time() - started) / count
