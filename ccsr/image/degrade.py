"""What a low-resolution image goes through before any method sees it: `jpeg:40+noise:3`."""

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter
from torch import Tensor

from ccsr.image.coding import Coding
from ccsr.image.tensors import to_float, to_image, to_tensor, to_uint8
from ccsr.suggest import near

Pixels = Callable[[Image.Image, float, np.random.Generator], Image.Image]


class Step(NamedTuple):
    """One thing that is done.

    Attributes:
        apply: (picture, amount, random numbers) -> picture.
        least: smallest amount.
        most: largest amount.
        definition: in words, with the amount at `{}`.
        whole: whether the amount has to be a whole number.
    """

    apply: Pixels
    least: float
    most: float
    definition: str
    whole: bool = False


def _coded(picture: Image.Image, form: str, quality: float) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, form, quality=round(quality))
    with Image.open(stream) as decoded:
        return decoded.convert(picture.mode)


def _noisy(picture: Image.Image, sigma: float, rng: np.random.Generator) -> Image.Image:
    values = np.asarray(picture).astype(np.float64)
    noisy = values + rng.normal(0, sigma, values.shape)
    return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))


STEPS: dict[str, Step] = {
    "jpeg": Step(
        lambda x, quality, rng: _coded(x, "JPEG", quality),
        1,
        100,
        "JPEG of quality {} (4:2:0)",
        whole=True,
    ),
    "webp": Step(
        lambda x, quality, rng: _coded(x, "WEBP", quality), 0, 100, "WebP of quality {}", whole=True
    ),
    "noise": Step(_noisy, 0, 100, "Gaussian noise of {} levels in every channel"),
    "blur": Step(
        lambda x, sigma, rng: x.filter(ImageFilter.GaussianBlur(sigma)),
        0,
        10,
        "Gaussian blur of {} pixels",
    ),
}

FORMS = {"jpeg": "JPEG", "webp": "WebP"}  # steps that are a file's compression


@dataclass(frozen=True)
class Degrade:
    """A chain of steps, in order.

    Attributes:
        steps: (name, amount) each.
    """

    steps: tuple[tuple[str, float], ...]

    @classmethod
    def parse(cls, text: str) -> "Degrade":
        """The chain of a text such as `jpeg:40+noise:3`.

        Raises:
            ValueError: for an unknown step, or an amount out of its range.
        """
        return cls(tuple(_step(part) for part in text.split("+")))

    @property
    def text(self) -> str:
        """`jpeg:40+noise:3`."""
        return "+".join(f"{name}:{amount:.15g}" for name, amount in self.steps)

    @property
    def coding(self) -> Coding | None:
        """What a file of the image tells of its compression: the last step, if it is one."""
        name, amount = self.steps[-1]
        return Coding(FORMS[name], amount) if name in FORMS else None

    @property
    def definition(self) -> str:
        """In words, for tables."""
        parts = [STEPS[name].definition.format(f"{amount:.15g}") for name, amount in self.steps]
        last = self.coding
        told = ", which networks that ask for it are told" if last and last.form == "JPEG" else ""
        return f"The LR image then goes through {', then '.join(parts)}{told}"

    def __call__(self, lr: Tensor, name: str) -> Tensor:
        """The image after the chain; the same for the same name.

        Args:
            lr: uint8 (C, h, w), grey or RGB.
            name: of the image and scale; decides the noise.
        """
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        picture = to_image(to_float(lr))
        for step, amount in self.steps:
            picture = STEPS[step].apply(picture, amount, rng)
        return to_uint8(to_tensor(picture))


def _step(text: str) -> tuple[str, float]:
    name, _, amount = text.strip().partition(":")
    if name not in STEPS:
        raise ValueError(f"unknown degradation {name!r}: {near(name, STEPS)}")
    try:
        value = float(amount) + 0.0  # -0 is 0
    except ValueError:
        value = float("nan")
    step = STEPS[name]
    if not step.least <= value <= step.most or (step.whole and value % 1):
        kind = "whole number" if step.whole else "number"
        raise ValueError(
            f"expected {name}: with a {kind} from {step.least:g} to {step.most:g}, such as "
            f"{name}:{min(step.most, 40):g}, got {text!r}"
        )
    return name, value
