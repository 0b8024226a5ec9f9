"""Networks of fixed scales from other packages, where these are installed: OpenCV's and spandrel's.

Neither package is needed, and no weights come with either: give a folder of files.
"""

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ccsr import image
from ccsr.grid import ProjectedGrid

OPENCV = re.compile(r"(EDSR|ESPCN|FSRCNN|LapSRN)(?:-small)?_x(\d)\.pb")  # as OpenCV names them
SPANDREL = (".pth", ".pt", ".ckpt", ".safetensors")


class Fixed:
    """A network that can enlarge by one factor only.

    Args:
        factor: output over input.
        run: (3, h, w) in [0, 1] -> (3, H, W).
    """

    def __init__(self, factor: float, run: Callable[[Tensor], Tensor]) -> None:
        self.factor, self._run = factor, run

    def tensor(self, x: Tensor, *, grid: ProjectedGrid) -> Tensor:
        """(3, h, w) -> (3, H, W), clamped.

        Raises:
            ValueError: if that is not the size of `grid`.
        """
        y = self._run(x)
        if tuple(y.shape[1:]) != grid.size:
            raise ValueError(
                f"expected a result of {grid.size[1]}x{grid.size[0]} from a network of factor "
                f"{self.factor:g}, got {y.shape[2]}x{y.shape[1]}"
            )
        return y.clamp(0, 1)


def load(folder: Path, say: Callable[[str], None]) -> dict[str, Fixed]:
    """Every file in `folder` that an installed package can read, by its stem.

    What cannot be read is left out, and said.

    Raises:
        OSError: if the folder cannot be read.
    """
    found = {}
    for path in sorted(folder.iterdir()):
        reader = _spandrel if path.suffix in SPANDREL else None
        if OPENCV.fullmatch(path.name):
            reader = _opencv
        if reader is None:
            say(f"left out {path.name}: neither spandrel nor OpenCV reads files of that name")
            continue
        try:
            found[path.stem] = reader(path)
        except Exception as error:  # of a package that is not ours
            say(f"left out {path.name}: {type(error).__name__}: {error}")
    return found


def _opencv(path: Path) -> Fixed:
    """A network of OpenCV's `dnn_superres`, which is in opencv-contrib-python."""
    cv2: Any = importlib.import_module("cv2")
    if not hasattr(cv2, "dnn_superres"):
        raise ImportError("cv2 has no dnn_superres: install opencv-contrib-python")
    match = OPENCV.fullmatch(path.name)
    assert match
    network = cv2.dnn_superres.DnnSuperResImpl_create()
    network.readModel(str(path))
    network.setModel(match[1].lower(), int(match[2]))

    def run(x: Tensor) -> Tensor:
        bgr = image.to_uint8(x).flip(0).permute(1, 2, 0).contiguous().numpy()
        y = torch.from_numpy(np.ascontiguousarray(network.upsample(bgr)))
        return image.to_float(y.permute(2, 0, 1).flip(0))

    return Fixed(int(match[2]), run)


def _spandrel(path: Path) -> Fixed:
    """A network of those that spandrel knows by their weights."""
    spandrel: Any = importlib.import_module("spandrel")
    network = spandrel.ModelLoader(device="cpu").load_from_file(str(path)).eval()
    if network.input_channels != 3:
        raise ValueError(f"expected a network of 3 channels, got {network.input_channels}")

    def run(x: Tensor) -> Tensor:
        with torch.inference_mode():
            y: Tensor = network(x[None])[0]
        return y

    return Fixed(network.scale, run)
