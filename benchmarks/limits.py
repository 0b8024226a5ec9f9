"""Measure the guard's limits on photos: `python -m benchmarks.limits MODEL FOLDER...`.

They are written into the model's file. A limit is `MARGIN` times the largest value that the
features after a block have on a share of the pictures: the photos as they are, and reduced by one
of `REDUCTIONS`. (A share, as some photo holds a pattern that runs away.)
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from ccsr import image
from ccsr.device import has_native_bfloat16
from ccsr.grid import ProjectedGrid, output_size
from ccsr.model import build, checkpoint
from ccsr.model.conditioning import QUALITIES
from ccsr.model.network import CCSR, parts_of
from ccsr.model.residual import Residual
from ccsr.resample import resize
from ccsr.training.photos import find_images

MARGIN = 1.4
REDUCTIONS = (1.5, 2.0, 3.0, 4.0)
TOLD = (None, *QUALITIES)
LARGEST_SIDE = 512  # the middle of larger ones


def largest(model: CCSR, pictures: Iterable[Tensor], share: float) -> list[float]:
    """Measure the value after every second block that a share of the pictures keep to.

    Pictures are (3, h, w) in [0, 1]. One that is conditioned is told each of a few qualities.

    Raises:
        ValueError: if the encoder has no residual blocks that could be guarded.
    """
    body = getattr(model.encoder, "body", None)
    if not isinstance(body, Residual):
        raise ValueError(f"expected residual blocks, got a {type(model.encoder).__name__}")
    found: list[list[float]] = []

    def note(body: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(body, Residual)
        found.append(body.largest(given[0]))

    encoders = [each.encoder for each in dict.fromkeys(map(model.at_quality, TOLD))]
    for encoder in encoders:
        encoder.get_submodule("body").register_forward_pre_hook(note)
    cpu = torch.device("cpu")
    mixed = torch.autocast("cpu", torch.bfloat16, enabled=has_native_bfloat16(cpu))
    with torch.inference_mode(), mixed:
        for picture in pictures:
            x = picture[None].contiguous(memory_format=torch.channels_last)
            for encoder, effort in product(encoders, model.efforts):
                encoder(x - 0.5, encoder.grid((x.shape[2], x.shape[3]), effort))
    return torch.tensor(found).quantile(share, 0, interpolation="lower").tolist()


def spread(files: Sequence[Path], limit: int | None) -> Sequence[Path]:
    """Take at most so many of the files, evenly."""
    count = min(len(files), limit or len(files))
    return [files[number * len(files) // count] for number in range(count)]


def pictures(files: Iterable[Path]) -> Iterable[Tensor]:
    """Each photo's middle, and that reduced, in turn by each of the factors."""
    for number, file in enumerate(files):
        photo = image.to_float(image.read_rgb(file))
        top, left = (max(0, side - LARGEST_SIDE) // 2 for side in photo.shape[1:])
        photo = photo[:, top : top + LARGEST_SIDE, left : left + LARGEST_SIDE]
        factor = REDUCTIONS[number % len(REDUCTIONS)]
        size = (photo.shape[1], photo.shape[2])
        yield resize(photo, ProjectedGrid.project(size, output_size(size, 1 / factor))).clamp(0, 1)
        yield photo[:, :192, :192]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser("python -m benchmarks.limits", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, help="photos of each folder, evenly spread")
    parser.add_argument(
        "--share", type=float, default=0.99, help="of the pictures, that keep to it"
    )
    args = parser.parse_args(argv)
    model, summary = checkpoint.load(args.model)
    ours = parts_of(model)
    files = [file for folder in args.folders for file in spread(find_images(folder), args.limit)]
    measured = largest(ours, pictures(files), args.share)
    limits = [round(MARGIN * value, 2) for value in measured]
    print(
        f"{len(files)} photos: largest {[round(value, 2) for value in measured]}", file=sys.stderr
    )
    write(args.model, ours, summary, limits)
    return 0


def write(path: Path, model: CCSR, summary: Mapping[str, Any], limits: list[float]) -> None:
    """Write the network again with these limits, its weights as they are."""
    encoder = model.architecture["encoder"] | {"limits": limits}
    rebuilt = build(**{**model.architecture, "encoder": encoder})
    rebuilt.load_state_dict(model.state_dict())
    with safe_open(path, framework="pt") as file:
        kind = file.get_slice(next(iter(file.keys()))).get_dtype()
    dtype = torch.float16 if kind == "F16" else torch.float32  # as it was stored
    checkpoint.save(path, rebuilt, summary, dtype)


if __name__ == "__main__":
    sys.exit(main())
