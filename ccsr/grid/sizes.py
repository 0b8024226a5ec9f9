"""Sizes and scales of images: their types, their limits, and the size that a scale leads to."""

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ccsr.plain import is_number, is_pair, is_real, is_whole, plain

if TYPE_CHECKING:  # slow to import, and not always there
    from torch import Tensor

Pair = tuple[float, float]
Scale = float | Pair
Size = tuple[int, int]
SizeRule = Callable[[Size], Size]

LARGEST_SIDE = 2**31 - 1
LARGEST_AREA = 10**12  # pixels, which take days
LEAST_SCALE = 1e-4  # below it nothing is left of any picture, and each pixel reads all of it
HALF = 0.5 + 1e-9  # rounds 57.5 up, which 50 * 1.15 is but not in binary


def as_pair(scale: Scale) -> Pair:
    """Return `scale` as (vertical, horizontal).

    Args:
        scale: a number or two, of any library, in an array or a tensor too.

    Raises:
        ValueError: if it is neither a number nor a pair, or a factor is not positive and finite.
    """
    given = plain(scale)
    pair = given if is_pair(given) else (given, given)
    if not all(map(is_real, pair)):
        raise ValueError(f"scale must be a number or (vertical, horizontal), got {scale!r}")
    for factor in pair:
        if not (is_number(factor, 0, sys.float_info.max) and factor):
            raise ValueError(f"scale must be positive and finite, got {factor}")
    return float(pair[0]), float(pair[1])


def as_size(size: Any) -> Size:
    """Return `size` as (H, W), two of Python's integers.

    Args:
        size: two whole numbers of any library, in an array or a tensor too.

    Raises:
        ValueError: if it is anything else, or as :func:`checked_size`.
    """
    pair = plain(size)
    if not is_pair(pair) or not all(is_whole(each, -math.inf) for each in pair):
        raise ValueError(f"size must be two whole numbers (height, width), got {size!r}")
    return checked_size((int(pair[0]), int(pair[1])))


def size_of(x: "Tensor | NDArray[Any]") -> Size:
    """(h, w) of an image or of features, `(..., h, w)`."""
    return x.shape[-2], x.shape[-1]


def output_size(size: Size, scale: Scale) -> Size:
    """Size (H, W) of an image of `size` (h, w) after scaling: nearest, halves up, at least 1.

    Raises:
        ValueError: for a scale that is not positive, or less than `LEAST_SCALE`, or a result that
            is too large.
    """
    pair = as_pair(scale)
    if min(pair) < LEAST_SCALE:
        raise ValueError(f"scale must be at least {LEAST_SCALE:g}, got {min(pair):g}")
    sides = [n * s for n, s in zip(size, pair, strict=True)]
    if max(sides) > LARGEST_SIDE:
        raise ValueError(f"sides must be at most {LARGEST_SIDE}, got {size} times {scale}")
    rows, columns = (max(1, math.floor(side + HALF)) for side in sides)
    return checked_size((rows, columns))


def checked_size(size: Size) -> Size:
    """`size` (H, W) itself.

    Raises:
        ValueError: if a side is below 1 or longer than `LARGEST_SIDE`, or it has more pixels than
            `LARGEST_AREA`.
    """
    height, width = size
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
        raise ValueError(f"sizes must be 1 to {LARGEST_SIDE}, got {width}x{height}")
    if height * width > LARGEST_AREA:
        raise ValueError(
            f"a result must have at most {LARGEST_AREA / 1e6:,.0f} million pixels, got "
            f"{width}x{height}: ask for a smaller size"
        )
    return size


def scale_text(pair: tuple[float, float]) -> str:
    """A (vertical, horizontal) scale as people write it: `2.37`, or `2x1.5`, the width first."""
    vertical, horizontal = (f"{factor:.10g}" for factor in pair)
    return vertical if vertical == horizontal else f"{horizontal}x{vertical}"
