"""Composes pages as scanners, browsers and games make them: patterns beside photos, text and paper.

Every page comes twice, with its patterns and without them, so that what they do to the rest shows.

    python tests/pages.py --pages 300 --model base          # or --model elastic --effort 0.25

prints the worst, each with the seed that makes it again.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from ccsr import Upscaler, image
from ccsr.bundled import resource_dir
from ccsr.grid import choose_grid
from ccsr.model import checkpoint
from ccsr.model.network import parts_of

Grey = NDArray[np.float32]
PHOTOS = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "grass.png", "gravel.png")
BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16
LETTERS = list("abcdefghkmnrsABEHKMNRSW#@%&8")
SIDE = 112
SCALES = (1.5, 2.0, 3.0, 4.0, 8.0)
AWAY = 12  # pixels from a pattern, of the grid on which the network works
LEVELS = 2  # that its rest may change


class Page(NamedTuple):
    """A page with patterns.

    Attributes:
        kinds: names of the patterns on it.
        pixels: (3, h, w) in [0, 1].
        plain: the same without the patterns.
        distance: (h, w), pixels to the nearest pattern, 0 within; along the farther axis.
    """

    kinds: tuple[str, ...]
    pixels: Tensor
    plain: Tensor
    distance: Tensor


class Damage(NamedTuple):
    """What the patterns of a page did.

    Attributes:
        seed: of the page.
        levels: the largest change away from the patterns, in levels of 8 bits.
        least: the smallest value of the network's answer, not clamped, anywhere.
        most: the largest.
    """

    seed: int
    levels: float
    least: float
    most: float


def page_of(seed: int) -> Page:
    """One to three patterns on a page of `SIDE` pixels; the same seed makes the same page."""
    rng = np.random.default_rng(seed)
    return compose(rng, SIDE, int(rng.integers(1, 4)))


@torch.inference_mode()
def damage(upscaler: Upscaler, seed: int, scales: Sequence[float] = SCALES) -> Damage:
    """Enlarge a page with and without its patterns, and compare what lies away from them."""
    page, model = page_of(seed), parts_of(upscaler.model)
    x = torch.stack((page.pixels, page.plain)).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", upscaler.dtype, enabled=upscaler.dtype == torch.bfloat16):
        own = model.encoder.grid((SIDE, SIDE), upscaler.effort.share)
        encoded = model.features(x, own)
        levels, least, most = 0.0, 0.5, 0.5
        for scale in scales:
            grid = choose_grid((SIDE, SIDE), scale)
            via = model.route((SIDE, SIDE), grid, upscaler.effort.share)
            answers = model.read(x, encoded, grid, via)
            change = (answers[0].clamp(0, 1) - answers[1].clamp(0, 1)).abs().amax(0)
            rows, columns = (
                axis.positions().round().long().clamp(0, SIDE - 1)
                for axis in (grid.rows, grid.columns)
            )
            away = change[page.distance[rows][:, columns] * own.rows.size > AWAY * SIDE]
            levels = max(levels, 255 * float(away.max())) if len(away) else levels
            least, most = min(least, float(answers.min())), max(most, float(answers.max()))
    return Damage(seed, levels, least, most)


def compose(rng: np.random.Generator, side: int, count: int, kinds: tuple[str, ...] = ()) -> Page:
    """Put `count` patterns of random kinds (or of `kinds`) and sizes on a random ground."""
    plain = ground(rng, side)
    pixels, near = plain.copy(), np.full((side, side), np.inf)
    chosen = [str(rng.choice(kinds or tuple(PATTERNS))) for _ in range(count)]
    index = np.arange(side)
    for kind in chosen:
        height, width = rng.integers(4, 33, 2)
        top, left = rng.integers(0, side - height), rng.integers(0, side - width)
        pixels[:, top : top + height, left : left + width] = pattern(kind, rng, height, width)
        down = np.maximum(top - index, index - (top + height - 1)).clip(0)
        across = np.maximum(left - index, index - (left + width - 1)).clip(0)
        near = np.minimum(near, np.maximum(down[:, None], across))
    return Page(
        tuple(chosen), torch.from_numpy(pixels), torch.from_numpy(plain), torch.from_numpy(near)
    )


def ground(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """Paper, a part of a photo, or a photo above large text: (3, side, side)."""
    page = np.full((3, side, side), rng.choice([0.0, 0.5, 0.9, 1.0]), np.float32)
    what = rng.integers(3)
    if what > 0:
        page[:, :, :] = photo(rng, side)
    if what > 1:
        page[:, side // 2 :] = letters(rng, side - side // 2, side, size=24)
    return page


def photo(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """A random part of a bundled photo."""
    path = resource_dir("samples") / str(rng.choice(PHOTOS))
    pixels = image.to_tensor(image.read(path))[:3].expand(3, -1, -1)
    top, left = (int(rng.integers(0, n - side + 1)) for n in pixels.shape[1:])
    found: NDArray[np.float32] = pixels[:, top : top + side, left : left + side].numpy()
    return found


def pattern(kind: str, rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """One of `PATTERNS`, of black and white, of two greys, or of two colours."""
    bits = PATTERNS[kind](rng, height, width).astype(np.float32)
    bits = np.broadcast_to(bits, (3, height, width))
    if rng.random() < 0.5:
        bits = 1 - bits
    if rng.random() < 0.6:
        return bits
    low, high = np.sort(rng.random((2, 3 if rng.random() < 0.5 else 1)), axis=0)
    return (low + bits.transpose(1, 2, 0) * (high - low)).transpose(2, 0, 1).astype(np.float32)


def letters(rng: np.random.Generator, height: int, width: int, size: int = 10) -> Grey:
    """Black text on white, smooth where it is large."""
    page = Image.new("L", (width, height), 255)
    draw = ImageDraw.Draw(page)
    draw.fontmode = "L" if size > 12 else "1"
    for top in range(0, height, size + 2):
        text = "".join(rng.choice(LETTERS, width // 4 + 2))
        draw.text((0, top), text, fill=0, font_size=size)
    return np.asarray(page, np.float32) / 255


def _noise(rng: np.random.Generator, height: int, width: int) -> Grey:
    return rng.random((height, width)) < rng.uniform(0.02, 0.98)


def _coloured(rng: np.random.Generator, height: int, width: int) -> Grey:
    return rng.random((3, height, width)) < rng.uniform(0.1, 0.9)


def _waves(rng: np.random.Generator, height: int, width: int) -> Grey:
    """Checkers, lines and diagonals: every second, third, ... pixel of some direction."""
    down, across = rng.integers(0, 3, 2)
    period = rng.integers(2, 5)
    return (np.arange(height)[:, None] * down + np.arange(width) * across) % period == 0


def _checkers(rng: np.random.Generator, height: int, width: int) -> Grey:
    cell = rng.integers(1, 4)
    return (np.arange(height)[:, None] // cell + np.arange(width) // cell) % 2 == 0


def _dots(rng: np.random.Generator, height: int, width: int) -> Grey:
    down, across = rng.integers(2, 5, 2)
    return (np.arange(height)[:, None] % down == 0) & (np.arange(width) % across == 0)


def _dither(rng: np.random.Generator, height: int, width: int) -> Grey:
    tone = np.linspace(*rng.random(2), width)
    levels = np.tile(BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width]
    return levels < tone


def _diffused(rng: np.random.Generator, height: int, width: int) -> Grey:
    tone = np.broadcast_to(np.linspace(0, 255, width), (height, width)).astype(np.uint8)
    return np.asarray(Image.fromarray(tone).convert("1"))


def _code(rng: np.random.Generator, height: int, width: int) -> Grey:
    cell = rng.integers(1, 5)
    cells = rng.random((height // cell + 1, width // cell + 1)) < 0.5
    return np.kron(cells, np.ones((cell, cell)))[:height, :width]


def _bars(rng: np.random.Generator, height: int, width: int) -> Grey:
    return np.broadcast_to(rng.random(width) < 0.5, (height, width))


def _text(rng: np.random.Generator, height: int, width: int) -> Grey:
    return letters(rng, height, width)


def _sprite(rng: np.random.Generator, height: int, width: int) -> Grey:
    half = rng.integers(0, 4, (height, width // 2 + 1)) / 3
    return np.concatenate((half, half[:, ::-1]), 1)[:, :width]


PATTERNS: dict[str, Callable[[np.random.Generator, int, int], Grey]] = {
    "noise": _noise,
    "coloured noise": _coloured,
    "waves": _waves,
    "checkers": _checkers,
    "dots": _dots,
    "dither": _dither,
    "diffused dither": _diffused,
    "code": _code,
    "bars": _bars,
    "text": _text,
    "sprite": _sprite,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Damage of many pages."""
    parser = argparse.ArgumentParser("python tests/pages.py")
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0, help="of the first page")
    parser.add_argument("--model", nargs="+", default=sorted(checkpoint.shipped()))
    parser.add_argument("--effort", type=float, default=1.0)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    args = parser.parse_args(argv)
    for name in args.model:
        upscaler = Upscaler.load(name, precision=args.precision, effort=args.effort)
        pages = range(args.seed, args.seed + args.pages)
        found = sorted((damage(upscaler, seed) for seed in pages), key=lambda each: -each.levels)
        print(
            f"{name}: {sum(each.levels > LEVELS for each in found)} of {len(found)} pages change "
            f"by more than {LEVELS} levels {AWAY} pixels away and farther; answers from "
            f"{min(each.least for each in found):.2f} to {max(each.most for each in found):.2f}"
        )
        for each in found[:5]:
            kinds = ", ".join(page_of(each.seed).kinds)
            print(f"    {each.levels:6.2f} levels: {kinds}, seed {each.seed}")


if __name__ == "__main__":
    main()
