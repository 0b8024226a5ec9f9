"""Evaluation protocols by name: how a low-resolution image is made and what is compared.

The protocol alone moves PSNR by up to 1.4 dB, so every result carries its protocol's name and
definition. A protocol is a value of pure functions, applied in this order:

    sizes -> reduce -> (a model) -> finish -> channel -> shave -> PSNR, SSIM

Images are `(C, H, W)` tensors: uint8 where 8 bits are part of the protocol, else float in
[0, 1]. Sizes are (rows, columns), scales (vertical, horizontal).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PIL import Image
from torch import Tensor

from ccsr import image, metrics
from ccsr.grid import Pair, ProjectedGrid, Size, scale_text, size_of
from ccsr.model.registry import advertised, imported, is_path
from ccsr.resample import reduce_uint8

STEPS = (1, 2, 5, 10, 20)
"""Low-resolution sides are multiples of the first of these that makes `step * scale` whole."""


def exact_sizes(extent: int, scale: float) -> tuple[int, int]:
    """Low- and high-resolution pixels along one axis, with a ratio of exactly `scale`.

    Wang et al., "Learning a single network for scale-arbitrary super-resolution", 2021 (ArbSR):
    `H_hr = floor(H / step / s) * step * s`.

    Raises:
        ValueError: if no step makes the scale whole, or the image is too small.
    """
    for step in STEPS:
        whole = round(step * scale)
        if abs(step * scale - whole) < 1e-9 * step:
            units = extent // whole
            if units < 1:
                raise ValueError(
                    f"{extent} pixels are too few for the scale {scale:.10g}: use a larger image"
                )
            return units * step, units * whole
    near = round(scale * STEPS[-1]) / STEPS[-1]
    raise ValueError(
        f"scale must be a multiple of 0.05 or 0.1 so that sizes have exactly this ratio, got "
        f"{scale:.10g}: use {near:.10g}, or a protocol that redefines the scale as out/in (liif-y)"
    )


def floor_sizes(extent: int, scale: float) -> tuple[int, int]:
    """Low- and high-resolution pixels along one axis: `floor(H / s)` and that times s, rounded.

    Chen et al., "Learning continuous image representation with LIIF", 2021, and its code.

    Raises:
        ValueError: if the image is too small.
    """
    low = math.floor(extent / scale + 1e-9)
    if low < 1:
        raise ValueError(
            f"{extent} pixels are too few for the scale {scale:.10g}: use a larger image"
        )
    return low, round(low * scale)


def matlab(hr: Tensor, size: Size, scale: Pair) -> Tensor:
    """MATLAB's `imresize` (bicubic, antialiased, 8 bit) to `size`; bit for bit."""
    return reduce_uint8(hr, ProjectedGrid.project(size_of(hr), size))


def matlab_or_pillow(hr: Tensor, size: Size, scale: Pair) -> Tensor:
    """MATLAB's bicubic at scales 2, 3 and 4, Pillow's at all others."""
    if scale[0] == scale[1] and scale[0] in (2, 3, 4):
        return matlab(hr, size, scale)
    picture = image.to_image(image.to_float(hr))
    return image.to_uint8(
        image.to_tensor(picture.resize((size[1], size[0]), Image.Resampling.BICUBIC))
    )


def rgb(x: Tensor) -> Tensor:
    """Three channels; a grey image is repeated."""
    return x.expand(3, -1, -1)


def liif_luma(x: Tensor) -> Tensor:
    """Luma with the LIIF family's weights, which sees a grey image as RGB."""
    return metrics.luma(rgb(x), metrics.WEIGHTS_LIIF)


@dataclass(frozen=True)
class EvaluationProtocol:
    """One way to measure.

    Attributes:
        name: as on the command line.
        definition: in words, printed with every table.
        sizes: (pixels, scale) of one axis -> (low-resolution pixels, high-resolution pixels).
        reduce: (uint8 HR, low-resolution size, scale) -> uint8 LR.
        channel: image -> what is compared.
        margin: pixels left out at each border beside those of the scale, rounded up.
        rounded: whether outputs are rounded to 8 bit before they are compared.
    """

    name: str
    definition: str
    sizes: Callable[[int, float], tuple[int, int]]
    reduce: Callable[[Tensor, Size, Pair], Tensor]
    channel: Callable[[Tensor], Tensor]
    margin: int
    rounded: bool

    def crop(self, size: Size, scale: Pair) -> tuple[Size, Size]:
        """Sizes of the LR image and of the top-left part of an HR image of `size` it stands for.

        Raises:
            ValueError: if the image is too small or the scale does not fit the protocol.
        """
        rows, columns = (self.sizes(n, s) for n, s in zip(size, scale, strict=True))
        return (rows[0], columns[0]), (rows[1], columns[1])

    def crop_to(self, size: Size, lr_size: Size, scale: Pair) -> Size:
        """Size of the top-left part of an HR image of `size` that a given LR image stands for.

        Raises:
            ValueError: if an LR image of `lr_size` cannot come from it at that scale.
        """
        whole = zip(size, lr_size, scale, strict=True)
        if lr_size == self.crop(size, scale)[0] or all(
            0 <= n - round(m * s) < s for n, m, s in whole
        ):
            return round(lr_size[0] * scale[0]), round(lr_size[1] * scale[1])
        expected, part = self.crop(size, scale)
        raise ValueError(
            f"the low-resolution image has {lr_size[1]}x{lr_size[0]} pixels, expected "
            f"{expected[1]}x{expected[0]} for {size[1]}x{size[0]} at the scale "
            f"{scale_text(scale)}: give --lr the folder of that scale, whose images were made of "
            f"the first {part[1]}x{part[0]} pixels"
        )

    def shave(self, scale: Pair) -> Size:
        """Pixels left out at each border, (rows, columns)."""
        rows, columns = (math.ceil(s - 1e-9) + self.margin for s in scale)
        return rows, columns

    def finish(self, sr: Tensor) -> Tensor:
        """What of a model's float output is measured: clamped, and rounded if it is to be."""
        return image.to_float(image.to_uint8(sr)) if self.rounded else sr.clamp(0, 1)

    def psnr(self, sr: Tensor, hr: Tensor, scale: Pair) -> float:
        """PSNR in dB of a finished image; `scale` gives the border."""
        return metrics.psnr(self.channel(sr), self.channel(hr), self.shave(scale))

    def ssim(self, sr: Tensor, hr: Tensor, scale: Pair) -> float:
        """SSIM of a finished image; `scale` gives the border."""
        return metrics.ssim(self.channel(sr), self.channel(hr), self.shave(scale))

    def consistency(self, sr: Tensor, lr: Tensor, scale: Pair) -> float:
        """PSNR in dB between the LR image (uint8) and the output in 8 bit, reduced again."""
        size = size_of(lr)
        again = self.reduce(image.to_uint8(sr), size, scale)
        return metrics.psnr(self.channel(image.to_float(again)), self.channel(image.to_float(lr)))


_exact = partial(
    EvaluationProtocol,
    sizes=exact_sizes,
    reduce=matlab,
    channel=metrics.luma,
    margin=0,
    rounded=True,
)
_liif = partial(EvaluationProtocol, sizes=floor_sizes, reduce=matlab_or_pillow, rounded=False)
_LIIF_TEXT = (
    "LR: HR cropped to round(floor(H/s)*s), reduced in 8 bit by MATLAB's bicubic at x2, x3, x4 and "
    "by Pillow's at other scales; s = out/in; {}; {} pixels shaved; output clamped, not rounded"
)

PROTOCOLS: dict[str, EvaluationProtocol] = {
    protocol.name: protocol
    for protocol in (
        _exact(
            "benchmark-y",
            "LR: MATLAB imresize bicubic (a = -0.5, antialiased, 8 bit) of HR cropped to a "
            "multiple of the scale (non-integer and anisotropic scales as arbsr-y); BT.601 luma "
            "in floating point, a grey image by its own values; scale pixels shaved (rounded up, "
            "per axis); output rounded to 8 bit",
        ),
        _exact(
            "arbsr-y",
            "LR: MATLAB imresize bicubic to an explicit size of HR cropped, per axis, to "
            "floor(H/step/s)*step*s, step = smallest of 1, 2, 5, 10, 20 with step*s whole; BT.601 "
            "luma in floating point, a grey image by its own values; ceil(s) pixels shaved per "
            "axis; output rounded to 8 bit",
        ),
        _liif("liif-rgb", _LIIF_TEXT.format("RGB", "ceil(s) + 6"), channel=rgb, margin=6),
        _liif(
            "liif-y",
            _LIIF_TEXT.format(
                "luma of weights (65.738, 129.057, 25.064)/256, grey as RGB", "ceil(s)"
            ),
            channel=liif_luma,
            margin=0,
        ),
    )
}


def by_name(name: str) -> EvaluationProtocol:
    """The protocol called `name`, or one of another package: `package.module:NAME`.

    Its entry point's name will do, see :func:`ccsr.model.registry.advertised`.

    Raises:
        ValueError: naming the known ones, or for an import path with no protocol behind it.
    """
    path = str(advertised("protocol", name, PROTOCOLS))
    if is_path(path):
        found = imported("protocol", path)
        if not isinstance(found, EvaluationProtocol):
            raise ValueError(
                f"protocol {name!r}: expected an instance of {__name__}.EvaluationProtocol, got "
                f"{type(found).__name__}"
            )
        return found
    if name not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise ValueError(f"protocol must be one of {known}, or package.module:NAME, got {name!r}")
    return PROTOCOLS[name]
