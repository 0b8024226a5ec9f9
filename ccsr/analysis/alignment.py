"""Where stacks of resizing layers put the image: predicted from their geometry, and measured.

A result is looked at over the same frame as the input, as it is when it is shown, compared or
added to it: output o of m over n input pixels is drawn at `(o + 1/2) n / m - 1/2`. The drift is
where something is drawn minus where it is in the input, in input pixels; positive is to the right
and down.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ccsr.analysis import layers
from ccsr.analysis.findings import Findings, Options, Table, photo
from ccsr.analysis.layers import Resizer
from ccsr.analysis.registration import registered_drift
from ccsr.grid import ProjectedGrid, size_of
from ccsr.metrics import luma
from ccsr.resample import resize

DEPTH = 6
SIZES = {"down": (1024, 1023, 1025), "up": (32, 33), "down and up": (512, 511, 513)}
PHASES = {"down": 64, "up": 2, "down and up": 16}
PHOTO_SIZES = {"down": (512, 511, 513), "up": (128, 129), "down and up": (512, 511, 513)}
SMALLEST = 60  # pixels a side of a result that a photo can still be recognised in
FLAT_ROWS = 64  # of the lit column, that the vertical axis cannot tell


@dataclass(frozen=True)
class Drift:
    """One stack on inputs of one size.

    Attributes:
        direction: down, up, or down and up.
        name: of the layers.
        size: side of the input in pixels.
        layers: number of resizing layers.
        predicted: drift at the middle of the image.
        impulses: of lit columns around the middle, mean over all phases, by what is left of each.
        blob: of a Gaussian in the middle.
        photo: of a photo of about that size, by registration; None where too little of it is left.
        predicted_aside, blob_aside: a quarter of the image to the left of the middle.
    """

    direction: str
    name: str
    size: int
    layers: int
    predicted: float
    impulses: float
    blob: float
    photo: float | None
    predicted_aside: float
    blob_aside: float


Stack = Callable[[int, int], list[Resizer]]


def stacks(direction: str) -> Mapping[str, Stack]:
    """By name: (input pixels, number of layers) -> the layers."""
    if direction == "down":
        kinds = [layers.strided(3), layers.strided(4), layers.max_pool()]
        kinds += [layers.bilinear(0.5, corners=c) for c in (True, False)]
        kinds += [layers.continuous(0.5), layers.continuous(1 / 1.7)]
    else:
        kinds = [layers.transposed(3), layers.transposed(4), layers.pixel_shuffle()]
        kinds += [layers.nearest()]
        kinds += [layers.bilinear(2, corners=c) for c in (True, False)]
        kinds += [layers.continuous(2), layers.continuous(1.7)]
    if direction != "down and up":
        return {kind.name: partial(_repeated, kind) for kind in kinds}
    pairs = {
        "strided 3, transposed 3": (layers.strided(3), layers.transposed(3)),
        "strided 4, transposed 4": (layers.strided(4), layers.transposed(4)),
        "strided 3, pixel shuffle": (layers.strided(3), layers.pixel_shuffle()),
        "max-pool, nearest": (layers.max_pool(), layers.nearest()),
        **{
            f"bilinear, align_corners {c}": (layers.bilinear(0.5, c), layers.bilinear(2, c))
            for c in (True, False)
        },
    }
    return {name: partial(_there_and_back, *pair) for name, pair in pairs.items()} | {
        f"CC /{s:g} and back": partial(_there_and_back, layers.continuous(1 / s), None)
        for s in (2, 1.7)
    }


def _repeated(kind: Resizer, size: int, depth: int) -> list[Resizer]:
    return [kind] * depth


def _there_and_back(down: Resizer, up: Resizer | None, size: int, depth: int) -> list[Resizer]:
    """Half of the layers reduce, the others enlarge; `up` None returns to the very sizes."""
    sizes = [size]
    for _ in range(depth // 2):
        sizes.append(down.axis(sizes[-1]).size)
    return [down] * (depth // 2) + [up or layers.continuous(to=sizes)] * (depth // 2)


def predicted_drift(chain: Sequence[Resizer], size: int, position: float) -> float:
    """Drift in input pixels of what is at `position` of an input of `size` pixels."""
    index, pixels = position, size
    for layer in chain:
        axis = layer.axis(pixels)
        index, pixels = (index - axis.origin) * axis.scale, axis.size
    return (index + 0.5) * size / pixels - 0.5 - position


def measured_drift(y: Tensor, size: int, positions: Tensor, weights: Tensor) -> float:
    """Mean drift of the horizontal centroids of images that are drawn over `size` pixels.

    Args:
        y: (N, 1, H, W).
        size: of the input.
        positions: (N,), where they were in it.
        weights: (N,); beside them an image counts by how much of it is left.
    """
    profile = y.double().sum((1, 2)) * weights[:, None]  # (N, W)
    drawn = (torch.arange(y.shape[3], dtype=torch.float64) + 0.5) * size / y.shape[3] - 0.5
    return float((profile * (drawn - positions[:, None])).sum() / profile.sum())


def blob(size: int, position: float) -> Tensor:
    """A Gaussian at `position` on both axes, a 24th of the image wide: (1, 1, size, size)."""
    distance = (torch.arange(size, dtype=torch.float64) - position) / max(size / 24, 1.5)
    profile = torch.exp(-0.5 * distance.square())
    return (profile[:, None] * profile)[None, None].float()


def impulses(size: int, phases: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images with one lit column each, at all phases around the middle.

    Returns:
        (N, 1, rows, size); the columns (N,); and weights (N,) under which they lie centred.
    """
    count = phases + size % 2  # an odd size has its middle on a pixel: both ends count half
    columns = torch.arange(count) + (size - phases) // 2
    weights = torch.full((count,), 1 / phases, dtype=torch.float64)
    if size % 2:
        weights[[0, -1]] /= 2
    x = torch.zeros(count, 1, FLAT_ROWS, size)
    x[torch.arange(count), :, :, columns] = 1
    return x, columns.double(), weights


def measure(direction: str, name: str, stack: Stack, size: int, photo_size: int) -> list[Drift]:
    """Stacks of 1 to `DEPTH` layers (2, 4, ... where they go down and up)."""
    middle = (size - 1) / 2
    aside = middle - size / 4
    lit, columns, weights = impulses(size, PHASES[direction])
    picture = _picture(photo_size)
    found = []
    for depth in range(2 if direction == "down and up" else 1, DEPTH + 1):
        if direction == "down and up" and depth % 2:
            continue
        chain = stack(size, depth)
        seen = [
            measured_drift(run(chain, blob(size, at)), size, torch.tensor([at]), torch.ones(1))
            for at in (middle, aside)
        ]
        found.append(
            Drift(
                direction, name, size, depth,
                predicted=predicted_drift(chain, size, middle),
                impulses=measured_drift(run(chain, lit), size, columns, weights),
                blob=seen[0],
                photo=_photo_drift(stack(photo_size, depth), picture),
                predicted_aside=predicted_drift(chain, size, aside),
                blob_aside=seen[1],
            )
        )  # fmt: skip
    return found


def run(chain: Sequence[Resizer], x: Tensor) -> Tensor:
    """`x` through all layers."""
    for layer in chain:
        x = layer.run(x)
    return x


def _picture(size: int) -> Tensor:
    """The photo's luma, resized: (1, 1, size, size)."""
    whole = luma(photo(None, 512))[None]
    return resize(whole, ProjectedGrid.project((512, 512), (size, size)))


def _photo_drift(chain: Sequence[Resizer], x: Tensor) -> float | None:
    """Against the same photo resized, with every centre kept, through the same sizes."""
    sizes = [x.shape[-1]]
    for layer in chain:
        sizes.append(layer.axis(sizes[-1]).size)
    if min(sizes) < SMALLEST or max(sizes) > 1024:
        return None
    reference = x
    for size in (*sizes[1:], sizes[0]):
        reference = _resized(reference, size)
    return registered_drift(_resized(run(chain, x), sizes[0]), reference)


def _resized(x: Tensor, size: int) -> Tensor:
    return resize(x, ProjectedGrid.project(size_of(x), (size, size)))


def analyse(options: Options) -> Findings:
    """Predict and measure the drift of stacks of layers, for `ccsr analyze alignment`."""
    from ccsr.analysis.alignment_pictures import draw

    found: list[Drift] = []
    with torch.inference_mode():
        for direction, sizes in SIZES.items():
            for name, stack in stacks(direction).items():
                for size, photo_size in zip(sizes, PHOTO_SIZES[direction], strict=True):
                    found += measure(direction, name, stack, size, photo_size)

    def picture(path: Path) -> None:
        draw(path, found)

    tables = [_table(d, [one for one in found if one.direction == d]) for d in SIZES]
    return Findings(tables, [asdict(one) for one in found], {"alignment.webp": picture})


def _table(direction: str, found: Sequence[Drift]) -> Table:
    depths = sorted({one.layers for one in found})
    lines = [["layers", "side", *(str(depth) for depth in depths), "impulses", "photo", "aside"]]
    for name, size in dict.fromkeys((one.name, one.size) for one in found):
        row = [one for one in found if (one.name, one.size) == (name, size)]
        photos = [one for one in row if one.photo is not None]
        cells = [f"{_number(one.predicted)} / {_number(one.blob)}" for one in row]
        seen = f"{_number(photos[-1].photo or 0.0)} ({photos[-1].layers})" if photos else "-"
        aside = f"{_number(row[-1].predicted_aside)} / {_number(row[-1].blob_aside)}"
        lines.append([name, str(size), *cells, _number(row[-1].impulses), seen, aside])
    title = (
        f"Drift {direction}, in input pixels: predicted / measured (blob) after so many layers; "
        "impulses after all; a photo after (so many); a quarter of the image aside of the middle"
    )
    return Table(title, lines)


def _number(value: float) -> str:
    return f"{0.0 if math.isclose(value, 0, abs_tol=0.005) else value:.2f}"
