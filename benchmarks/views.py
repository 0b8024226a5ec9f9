"""A view of one megapixel from features that are kept, against the layers that must run for it."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks import cases
from benchmarks.parts import Parts
from ccsr import Upscaler
from ccsr.image import Levels, Picture
from ccsr.upscaling.view import View

SIDE = 1000  # of the view, and at least of the picture
MODELS = ("light", "base")
SCALES = (2.0, 2.37, 3.0, 4.0, 6.0, 8.0)
FLOOR = 1.3  # times the time of the CC layers and the decoder


def measure(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Medians over rounds, in each of which the same view is computed with and without features."""
    values = Picture.of(cases.photo((SIDE, SIDE))).frames[0]
    found = []
    for name in MODELS:
        upscaler = Upscaler.load(name, device="cpu", precision="fp32", memory=2 << 30)
        parts = Parts(upscaler)
        for scale in SCALES:
            view = upscaler.view(values)
            _seconds(view, scale)
            taken: dict[str, list[float]] = {"view": [], "layers": [], "fresh": []}
            for _ in range(rounds):
                parts.reset()
                taken["view"].append(_seconds(view, scale))
                seconds = parts.seconds()
                taken["layers"].append(seconds["stack"] + seconds["decoder"])
                taken["fresh"].append(_seconds(upscaler.view(values), scale))
            one = {key: median(times) for key, times in taken.items()}
            found.append({"model": name, "scale": scale, **one})
            say(f"{name} x{scale:g}: {one['view'] / one['layers']:.2f} times the layers")
    return {"rounds": rounds, "views": found}


def section(found: dict[str, Any]) -> list[str]:
    """Lines of RESULTS.md."""
    lines = [
        f"A view of {SIDE}x{SIDE} pixels of a photo of one megapixel, in milliseconds; float32, "
        f"medians of {found['rounds']} rounds. From features that are kept it should take at most "
        f"{FLOOR} times the CC layers' and the decoder's own time.",
        "",
        "| model | scale | first view | features kept | layers alone | kept / layers |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for one in found["views"]:
        times = (f"{1e3 * one[key]:.0f}" for key in ("fresh", "view", "layers"))
        share = one["view"] / one["layers"]
        cells = [f"`{one['model']}`", f"{one['scale']:g}", *times, f"{share:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _seconds(view: View[Levels], scale: float) -> float:
    """Time the middle of the enlargement."""
    start = round((SIDE * scale - SIDE) / 2)
    part = slice(start, start + SIDE)
    started = time.perf_counter()
    view.window(part, part, scale=scale)
    return time.perf_counter() - started
