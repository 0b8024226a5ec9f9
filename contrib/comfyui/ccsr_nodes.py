"""Nodes for ComfyUI that enlarge by any factor, or to an exact size.

Put this file, or a link to it, into `ComfyUI/custom_nodes`, and install ccsr into ComfyUI's own
Python. The nodes are below `image/upscaling`.
"""

from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from ccsr import Upscaler
from ccsr.grid import Size, choose_grid
from ccsr.model.checkpoint import shipped

_LARGEST = 1 << 16  # of what can be typed in; memory says the rest
_upscaler = lru_cache(maxsize=2)(Upscaler.load)  # a workflow asks for the same one again and again


def enlarge(
    images: Tensor, model: str, *, scale: float | None = None, size: Size | None = None
) -> Tensor:
    """Enlarge a batch of pictures as ComfyUI holds them.

    A network that is conditioned on the quality of JPEGs is told it by the pixels of each.

    Args:
        images: (N, h, w, C), float in [0, 1]: grey, RGB or RGBA for C = 1, 3 or 4; values beyond
            are clamped.
        model: name or file of a model.
        scale: output over input, above 0. Exactly one of `scale` and `size`.
        size: (H, W).

    Returns:
        (N, H, W, C), float32 in [0, 1], on the CPU.

    Raises:
        ValueError: for an unknown model, or neither or both of `scale` and `size`.
    """
    upscaler = _upscaler(model)
    results = []
    for image in images.detach().clamp(0, 1).float().cpu():
        as_file = (image * 255).round().to(torch.uint8)  # tells whether it was a JPEG
        suited, _ = upscaler.suited(as_file.numpy())
        levels = suited.levels(image.numpy(), scale=scale, size=size)
        results.append(torch.from_numpy(levels).clamp(0, 1))
        _stop_if_asked()
    if not results:
        grid = choose_grid((images.shape[1], images.shape[2]), scale, size)
        return torch.zeros(0, *grid.size, images.shape[3])
    return torch.stack(results)


def _stop_if_asked() -> None:
    """Raise what ComfyUI raises if the user has cancelled; do nothing elsewhere."""
    try:
        from comfy.model_management import throw_exception_if_processing_interrupted as check
    except ImportError:
        return
    check()


class _Node:
    """What both nodes tell ComfyUI."""

    CATEGORY = "image/upscaling"
    FUNCTION = "run"
    RETURN_TYPES = ("IMAGE",)
    ASKED: ClassVar[dict[str, tuple[str, dict[str, Any]]]]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        models = (list(shipped()), {"default": "light"})
        return {"required": {"image": ("IMAGE",), "model": models, **cls.ASKED}}


class EnlargeBy(_Node):
    """Enlarges by a factor, which need not be whole."""

    DESCRIPTION = "Enlarge a picture by any factor with continuous convolution."
    ASKED: ClassVar = {
        "factor": ("FLOAT", {"default": 2.0, "min": 0.01, "max": 64.0, "step": 0.01})
    }

    def run(self, image: Tensor, model: str, factor: float) -> tuple[Tensor]:
        """The picture, `factor` times as wide and high, each rounded to the nearest."""
        return (enlarge(image, model, scale=factor),)


class EnlargeTo(_Node):
    """Enlarges to an exact size."""

    DESCRIPTION = "Enlarge a picture to an exact size with continuous convolution."
    ASKED: ClassVar = {
        side: ("INT", {"default": 2048, "min": 1, "max": _LARGEST}) for side in ("width", "height")
    }

    def run(self, image: Tensor, model: str, width: int, height: int) -> tuple[Tensor]:
        """The picture, `width` wide and `height` high; another aspect ratio stretches it."""
        return (enlarge(image, model, size=(height, width)),)


NODE_CLASS_MAPPINGS = {"CCSREnlargeBy": EnlargeBy, "CCSREnlargeTo": EnlargeTo}
NODE_DISPLAY_NAME_MAPPINGS = {
    "CCSREnlargeBy": "Enlarge by a factor (ccsr)",
    "CCSREnlargeTo": "Enlarge to a size (ccsr)",
}
