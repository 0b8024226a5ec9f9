"""How well a CC layer chooses among its plans: each plan timed over layers, sizes and scales."""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import geometric_mean
from typing import Any, NamedTuple

import torch

from ccsr.grid import Anchor, ProjectedGrid
from ccsr.model import CCLayer
from ccsr.model.algorithms import PERIOD_LIMIT, PLANS
from ccsr.model.costs import cheapest_plan
from ccsr.model.fields import CubicField, Field, FourierField, MLPField

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
    found = []
    try:
        for case in cases():
            found.append(_measured(case))
            if len(found) % 50 == 0:
                say(f"{len(found)} cases, the last: {found[-1]}")
    finally:
        torch.set_num_threads(threads)
    return {"threads": 1, "cases": found}


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
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for case in found["cases"]:
        groups.setdefault((case["layer"], case["mode"]), []).append(case)
    for (layer, mode), members in groups.items():
        worst = max(members, key=_ratio)
        mean = geometric_mean(map(_ratio, members))
        row = (layer, mode, len(members), f"{mean:.3f}", f"{_ratio(worst):.2f}", worst["sizes"])
        yield "| " + " | ".join(map(str, row)) + " |"
    ratios = [_ratio(case) for case in found["cases"]]
    yield f"| all | | {len(ratios)} | {geometric_mean(ratios):.3f} | {max(ratios):.2f} | |"


def _ratio(case: dict[str, Any]) -> float:
    seconds: dict[str, float] = case["seconds"]
    return seconds[case["chosen"]] / min(seconds.values())


def _measured(case: Case) -> dict[str, Any]:
    torch.manual_seed(0)
    layer = CCLayer(*case.layer.channels, case.layer.kernel_size, case.layer.field)
    x = torch.rand(case.batch, case.layer.channels[0], case.rows[0], case.columns[0])
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_(case.gradients)
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
