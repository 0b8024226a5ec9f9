"""What compression and noise have left in the pixels of a picture, whatever file they come from.

A picture that was a JPEG once has discrete cosine coefficients, on the 8x8 grid of that JPEG, which
keep near the multiples of the steps they were rounded to (Fan and de Queiroz 2003). So its quality
can be read from the pixels of a PNG, at any offset of the grid, until it is scaled.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ccsr.image.floats import Floats
from ccsr.image.modes import Levels, highest

_SIDE = 8  # of a block
# The luminance table of JPEG (ITU-T T.81, table K.1), which libraries scale by quality.
LUMINANCE = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61),
        *(12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56),
        *(14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77),
        *(24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101),
        *(72, 92, 95, 98, 112, 100, 103, 99),
    ]
)
_ORDER = np.array(sorted(range(64), key=lambda i: (i // 8 + i % 8, i)))  # low frequencies first
_JUDGED = _ORDER[1:11]  # coefficients whose steps are looked for
_FINE = _ORDER[6:26]  # coefficients that most blocks of a JPEG have not
_CORNER = np.array([i for i in range(64) if i // 8 >= 4 and i % 8 >= 4])  # of noise, mostly
_MIDDLE = np.array([i for i in range(64) if 3 <= i // 8 + i % 8 <= 6])
_WHITE = 1.4  # times as much of these as of the corner: more is texture, on training photos
_FEWEST = 4  # blocks that are looked at for that
_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue in luma
_SMALL = 0.7  # a coefficient below this may be 0, but for the rounding of pixels
_TENTH = 0.47  # of the standard deviation: the tenth percentile of the median of 16 normal sizes
_STEPS = np.arange(2, 160)
_BINS_PER_LEVEL = 8
_LARGEST = 400  # coefficients beyond do not count
_SURE = 7.0  # standard deviations by which a step must stand out
_AGREEING = 2  # coefficients that must have one, which tell about the same quality:
_ABOUT = 1.3  # times as coarse as in the middle, or as fine
_DRAWN = 5  # levels of a block: with fewer it was drawn, or is even
_REPEATED = 0.4  # share of a block's pixels of one level: with more it was drawn, and is not noisy
_PHASE_BLOCKS, _BLOCKS = 144, 900  # that are looked at


def jpeg_quality(levels: Levels) -> float | None:
    """The quality, 1 to 100 as libjpeg counts, of the JPEG that 8-bit pixels were decoded from.

    Args:
        levels: (h, w, C) uint8; transparency is not looked at. Anything else gives None.

    Returns:
        None if there is no trace of one: never compressed, at a quality of about 96 or higher, or
        changed since.
    """
    if levels.dtype != np.uint8 or min(levels.shape[:2]) < 32:
        return None
    blocks = _various(_blocks(levels, *_phase(levels), _BLOCKS))
    steps = _steps(blocks @ _basis()[_JUDGED].T)
    scales = 100 * steps[steps > 0] / LUMINANCE[_JUDGED[steps > 0]]
    if len(scales) < _AGREEING:
        return None
    scale = np.median(scales)
    if ((scales < scale * _ABOUT) & (scales > scale / _ABOUT)).sum() < _AGREEING:
        return None
    return quality_of_scale(float(scale))


def noise_level(levels: Levels) -> float:
    """Standard deviation of the noise in the luma of a picture's smoothest tenth, in 8-bit levels.

    Noise has as much of every frequency. Texture has less of the finer ones, and where it fills the
    whole picture, noise cannot be told beside it and counts as 0. So do drawings, which have as
    much of every frequency, but the same level again and again. Blocks that touch black or white
    do not count, and a picture of nothing else has none.

    Args:
        levels: (h, w, C); transparency is not looked at.
    """
    blocks = _blocks(levels, 0, 0, _BLOCKS)
    if len(blocks) < 16:
        return 0.0
    coefficients = np.abs(blocks @ _basis().T)
    middle = np.median(coefficients[:, _MIDDLE], axis=1)
    order = np.argsort(middle)[: max(_FEWEST, len(blocks) // 20)]
    smoothest = coefficients[order]
    fine = np.median(smoothest[:, _CORNER])
    if np.median(smoothest[:, _MIDDLE]) > _WHITE * fine or _is_drawn(blocks[order]):
        return 0.0
    return float(np.percentile(np.median(coefficients[:, _CORNER], axis=1), 10) / _TENTH)


def quality_of_table(table: Any) -> int:
    """The quality, 1 to 100 as libjpeg counts, whose luminance table is most like this one.

    Args:
        table: 64 steps, as `PIL.Image.Image.quantization` gives them: row by row.
    """
    steps = np.maximum(np.asarray(table, dtype=np.float64), 1)
    return 1 + int(np.abs(np.log(steps / _tables())).sum(1).argmin())


@cache
def _tables() -> NDArray[np.int64]:
    """The luminance tables of libjpeg for the qualities 1 to 100, (100, 64)."""
    quality = np.arange(1, 101)[:, None]
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return ((LUMINANCE * percent + 50) // 100).clip(1, 255)


def quality_of_scale(percent: float) -> float:
    """The quality at which libjpeg takes `percent` of the standard table."""
    return (200 - percent) / 2 if percent <= 100 else 5000 / percent


def _blocks(levels: Levels, top: int, left: int, limit: int) -> Floats:
    """The luma of about `limit` blocks of 8x8 pixels, spread over the picture, as (blocks, 64).

    Those that touch black or white are left out: their values were cut.

    Args:
        levels: (h, w, C).
        top: rows above the first block.
        left: columns before it.
        limit: on how many are taken.
    """
    blocks = _squares(levels[top:, left:], _SIDE, limit).reshape(-1, _SIDE * _SIDE)
    inside: Floats = blocks[(blocks.max(1) < 254.5) & (blocks.min(1) > 0.5)]
    return inside


def _various(blocks: Floats) -> Floats:
    """Different blocks of many levels: neither drawn nor even, and each of a pattern once."""
    levels = 1 + (np.diff(np.sort(blocks, 1)) > 0).sum(1)
    distinct: Floats = np.unique(blocks[levels >= _DRAWN], axis=0)
    return distinct


def _is_drawn(blocks: Floats) -> bool:
    """Whether one level, to its last bit, fills much of most blocks."""
    usual = (blocks[:, :, None] == blocks[:, None]).sum(2).max(1)
    return bool(np.median(usual) > _REPEATED * blocks.shape[1])


def _squares(levels: Levels, side: int, limit: int) -> Floats:
    """The luma, 0 to 255, of about `limit` squares at multiples of 8 pixels: (n, side, side)."""
    rows, columns = ((n - side) // _SIDE + 1 for n in levels.shape[:2])
    stride = max(1, int(np.ceil(np.sqrt(rows * columns / limit))))
    within = np.arange(side)
    row = (_SIDE * np.arange(0, rows, stride)[:, None] + within).ravel()
    column = (_SIDE * np.arange(0, columns, stride)[:, None] + within).ravel()
    values = levels[row[:, None], column, : 3 if levels.shape[2] > 2 else 1].astype(np.float32)
    luma = values @ _WEIGHTS if values.shape[2] == 3 else values[..., 0]
    luma = luma * (255 / highest(levels))
    parted = luma.reshape(len(row) // side, side, len(column) // side, side)
    squares: Floats = parted.transpose(0, 2, 1, 3).reshape(-1, side, side)
    return squares


def _phase(levels: Levels) -> tuple[int, int]:
    """Rows and columns before the JPEG's grid: where most fine coefficients are 0."""
    squares = _squares(levels, 2 * _SIDE - 1, _PHASE_BLOCKS)  # a block at each of the 64 offsets
    windows = np.lib.stride_tricks.sliding_window_view(squares, (_SIDE, _SIDE), (1, 2))
    fine = windows.reshape(len(squares), _SIDE * _SIDE, -1) @ _basis()[_FINE].T
    empty = (np.abs(fine) < _SMALL).mean((0, 2))
    top, left = divmod(int(empty.argmax()), _SIDE)
    return top, left


def _steps(coefficients: Floats) -> NDArray[np.int64]:
    """The step that each coefficient was rounded to, 0 where none stands out.

    For each step that is possible, the mean of cos(2 pi value / step) over the values beyond it
    is 1 at its multiples and 0 otherwise. Parts of a step fit as well, so the largest one counts,
    or what fits better beside it.

    Args:
        coefficients: (blocks, coefficients).
    """
    bins = np.round(np.abs(coefficients) * _BINS_PER_LEVEL).astype(np.int64)
    last = _LARGEST * _BINS_PER_LEVEL
    counts = np.stack([np.bincount(each[each < last], minlength=last + 1) for each in bins.T], 1)
    waves, beyond = _waves()
    numbers = np.maximum(beyond @ counts.astype(np.float32), 1)
    likely = (waves @ counts.astype(np.float32)) / np.sqrt(numbers / 2)
    likely[numbers < 12] = 0
    best = likely.max(0)
    largest = np.where(likely > 0.7 * best, _STEPS[:, None], 0).max(0)
    beside = np.abs(_STEPS[:, None] - largest) < 0.2 * largest
    fitting = _STEPS[np.where(beside, likely, -np.inf).argmax(0)]
    return np.where(best > _SURE, fitting, 0)


@cache
def _waves() -> tuple[Floats, Floats]:
    """cos(2 pi value / step) where the value is beyond 0.6 steps, and where it is, per bin."""
    values = np.arange(_LARGEST * _BINS_PER_LEVEL + 1) / _BINS_PER_LEVEL
    beyond = values > 0.6 * _STEPS[:, None]
    waves = np.cos(2 * np.pi * values / _STEPS[:, None]) * beyond
    return waves.astype(np.float32), beyond.astype(np.float32)


@cache
def _basis() -> Floats:
    """The discrete cosine transform of 8x8 pixels as a matrix, (coefficients, pixels)."""
    index = np.arange(8)
    rows = np.cos(np.pi * (2 * index + 1) * index[:, None] / 16) / 2
    rows[0] /= np.sqrt(2)
    return np.kron(rows, rows).astype(np.float32)
