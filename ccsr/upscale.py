"""The one path from a picture to its enlargement: device, precision, tiles, alpha, rounding."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

import torch
from PIL import Image
from torch import Tensor

from ccsr import checkpoint
from ccsr.alpha import bleed, confine
from ccsr.device import choose_device, free_memory, has_native_bfloat16
from ccsr.ensemble import Ensemble
from ccsr.image import Levels, Picture, from_array, to_array
from ccsr.model import CCSR
from ccsr.resample import ProjectedGrid, Scale, Size, output_size
from ccsr.tiles import SMALLEST_TILE, for_each_window

Precision = Literal["auto", "fp32", "bf16"]
Tile = int | Literal["auto", "off"]
Progress = Callable[[float], None]
AnyPicture = TypeVar("AnyPicture", Image.Image, Picture)

LARGEST_AUTO_TILE = 1024
INPUT_PIXEL_BYTES = 16_384  # working memory, generous for the widest preset, float32
OUTPUT_PIXEL_BYTES = 1_024
RESULT_VALUE_BYTES = 12  # the float result, and again while it is rounded
RESULT_PIXEL_BYTES = 8  # of each of several frames, and again while they are written
GREY = (0.299, 0.587, 0.114)  # BT.601, sums to 1


class Upscaler:
    """A trained network, ready to enlarge (or reduce) pictures by any factor.

    Args:
        model: moved to `device` and set to evaluation.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `bf16` or `fp32`; `auto` takes bfloat16 where the processor has it natively.
        tile: side of the pieces, in output pixels, in which large results are computed;
            `auto` follows the free memory, `off` starts with the whole. The result is the
            same; a piece that does not fit into memory is always cut further.
        ensemble: what to average over, as in :meth:`ccsr.ensemble.Ensemble.parse`.

    Raises:
        ValueError: for an unknown or unavailable device, precision, tile or ensemble.
    """

    def __init__(
        self,
        model: CCSR,
        *,
        device: str = "auto",
        precision: str = "auto",
        tile: Tile = "auto",
        ensemble: str = "",
    ) -> None:
        if precision not in ("auto", "fp32", "bf16"):
            raise ValueError(f"precision must be auto, fp32 or bf16, got {precision!r}")
        if tile not in ("auto", "off") and (isinstance(tile, str) or tile < SMALLEST_TILE):
            raise ValueError(f"tile must be auto, off or at least {SMALLEST_TILE}, got {tile!r}")
        self.device = choose_device(device)
        native = precision == "auto" and has_native_bfloat16(self.device)
        self.dtype = torch.bfloat16 if precision == "bf16" or native else torch.float32
        self.tile = tile
        self.ensemble = Ensemble.parse(ensemble)
        self.model = model.eval().to(self.device)
        self.model.to(memory_format=torch.channels_last)

    @classmethod
    def load(
        cls,
        name_or_path: str | Path = "light",
        *,
        device: str = "auto",
        precision: str = "auto",
        tile: Tile = "auto",
        ensemble: str = "",
    ) -> "Upscaler":
        """Load a shipped model by its name, or a `.safetensors` file of `ccsr train`.

        Raises:
            ValueError: for an unknown name, an unsound file, or as the class itself.
            OSError: if the file cannot be read.
        """
        model, _ = checkpoint.load(checkpoint.resolve(name_or_path))
        return cls(model, device=device, precision=precision, tile=tile, ensemble=ensemble)

    def __call__(
        self,
        image: AnyPicture,
        *,
        scale: Scale | None = None,
        size: Size | None = None,
        progress: Progress | None = None,
    ) -> AnyPicture:
        """Enlarge a picture.

        Args:
            image: of Pillow, in any mode with 8 bits, or 16-bit grey, turned as its EXIF says;
                or of `ccsr.image.read`, with up to 16 bits and all its frames.
            scale: output over input, or (vertical, horizontal); the size is rounded to the
                nearest, halves up, at least 1, and the image stays centred.
            size: (H, W) instead of `scale`; other pages of another size grow by the same factors.
            progress: called with the share that is done, up to 1.

        Returns:
            Of the same type. Grey stays grey, transparency is kept, and so is what a `Picture`
            says about itself; a picture of Pillow has mode L, LA, RGB, RGBA or, for 16-bit grey,
            I;16, and its colour profile in `info`.
        """
        if isinstance(image, Image.Image):
            enlarged = self(Picture.of(image), scale=scale, size=size, progress=progress)
            return enlarged.to_pil()
        sizes = image.sizes(size) if isinstance(size, tuple) else (size,) * len(image.frames)
        grids = [
            choose_grid((frame.shape[0], frame.shape[1]), scale, its_size)
            for frame, its_size in zip(image.frames, sizes, strict=True)
        ]
        count = len(grids)
        if count > 1:
            what = f"a result of {count} times {grids[0].size[1]}x{grids[0].size[0]} pixels"
            _refuse_too_much(what, sum(math.prod(grid.size) for grid in grids) * RESULT_PIXEL_BYTES)
        frames: list[Levels] = []
        for values, grid in zip(image.frames, grids, strict=True):
            frames.append(self._levels(values, grid, _part(progress, len(frames), count)))
        return replace(image, frames=tuple(frames))

    def _levels(self, values: Levels, grid: ProjectedGrid, progress: Progress | None) -> Levels:
        """Pixels (h, w, C) as files hold them: (H, W, C) of the same type."""
        x = from_array(values)  # (C, h, w)
        if x.shape[0] in (1, 3):
            return to_array(self.tensor(x, grid=grid, progress=progress), like=values)
        return to_array(self._with_alpha(x[:-1], x[-1:], grid, progress), like=values)

    def tensor(
        self,
        x: Tensor,
        *,
        scale: Scale | None = None,
        size: Size | None = None,
        grid: ProjectedGrid | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Enlarge images given as tensors. Exactly one of `scale`, `size` and `grid`.

        Args:
            x: (N, C, h, w) or (C, h, w), RGB or grey (C = 3 or 1), floating point in [0, 1].
            scale: output over input, or (vertical, horizontal); grid anchor `centred`.
            size: (H, W); grid anchor `ratio`.
            grid: laid over (h, w).
            progress: called with the share that is done, up to 1.

        Returns:
            (N, C, H, W) or (C, H, W): float32 in [0, 1], clamped, not rounded, on the CPU.

        Raises:
            ValueError: for another shape, or values that are not finite.
            RuntimeError: if memory does not suffice, or the network gives no finite values.
        """
        if x.ndim not in (3, 4) or x.shape[-3] not in (1, 3) or not x.is_floating_point():
            raise ValueError(
                "expected a floating-point tensor (N, C, h, w) or (C, h, w) with C of 1 or 3, "
                f"got {x.dtype} {tuple(x.shape)}"
            )
        if not bool(x.isfinite().all()):
            raise ValueError("expected finite values in [0, 1], got NaN or infinity")
        grid = choose_grid((x.shape[-2], x.shape[-1]), scale, size, grid)
        batch = x.detach().float().reshape(-1, *x.shape[-3:])  # (N, C, h, w)
        result = self._run(batch, grid, progress or (lambda share: None))
        return result.reshape(*x.shape[:-2], *grid.size)

    def _with_alpha(
        self, colour: Tensor, alpha: Tensor, grid: ProjectedGrid, progress: Progress | None
    ) -> Tensor:
        """Colour (1 or 3, h, w) and alpha (1, h, w), enlarged as one batch: (C + 1, H, W)."""
        colour = bleed(colour, alpha)
        if float(alpha.min()) == float(alpha.max()):
            enlarged = self.tensor(colour, grid=grid, progress=progress)
            return torch.cat((enlarged, alpha[:, :1, :1].expand(1, *grid.size)))
        both = torch.stack((colour, alpha.expand_as(colour)))
        enlarged, enlarged_alpha = self.tensor(both, grid=grid, progress=progress)
        return torch.cat((enlarged, confine(_to_grey(enlarged_alpha), alpha, grid)))

    def _run(self, x: Tensor, grid: ProjectedGrid, progress: Progress) -> Tensor:
        """(N, C, h, w) -> (N, C, H, W), window by window."""
        result = self._allocate((*x.shape[:2], *grid.size))
        size = x.shape[2], x.shape[3]
        routes = self.ensemble.routes(size, self.model.route(size, grid))

        def compute(rows: slice, columns: slice) -> None:
            parts = [self._window(x, grid, via, rows, columns) for via in routes]
            result[..., rows, columns] = torch.stack(parts).mean(0)

        for_each_window(grid.size, self._tile_size(x, grid), compute, progress)
        return result

    def _window(
        self,
        x: Tensor,
        grid: ProjectedGrid,
        via: tuple[ProjectedGrid, ...],
        rows: slice,
        columns: slice,
    ) -> Tensor:
        """One window of the output, (N, C, rows, columns), clamped, from the input it needs."""
        crop = self.model.crop((x.shape[2], x.shape[3]), grid, via, rows, columns)
        part = x[..., crop.rows, crop.columns].expand(-1, 3, -1, -1)
        part = part.to(self.device).contiguous(memory_format=torch.channels_last)
        for dtype in dict.fromkeys((self.dtype, torch.float32)):
            mixed = dtype != torch.float32
            with torch.inference_mode(), torch.autocast(self.device.type, dtype, enabled=mixed):
                y = self.ensemble.run(self.model, part, crop.grid, crop.via).float()
            if bool(y.isfinite().all()):
                return (_to_grey(y) if x.shape[1] == 1 else y).clamp(0, 1).cpu()
        raise RuntimeError(
            f"the network gives values that are not finite in rows {rows.start} to {rows.stop}, "
            f"columns {columns.start} to {columns.stop}: its weights are damaged, use another model"
        )

    def _allocate(self, shape: tuple[int, ...]) -> Tensor:
        what = f"a result of {shape[-1]}x{shape[-2]} pixels"
        _refuse_too_much(what, math.prod(shape) * RESULT_VALUE_BYTES)
        return torch.empty(shape)

    def _tile_size(self, x: Tensor, grid: ProjectedGrid) -> int:
        """Side of a window in output pixels."""
        if isinstance(self.tile, int):
            return self.tile
        if self.tile == "off":
            return max(grid.size)
        free = free_memory(self.device)
        budget = (4 << 30 if free is None else free) / 4
        per_pixel = OUTPUT_PIXEL_BYTES + INPUT_PIXEL_BYTES / math.prod(grid.scale)
        side = math.isqrt(int(budget / (x.shape[0] * per_pixel)))
        return min(max(side, SMALLEST_TILE), LARGEST_AUTO_TILE)


def choose_grid(
    input_size: Size,
    scale: Scale | None = None,
    size: Size | None = None,
    grid: ProjectedGrid | None = None,
) -> ProjectedGrid:
    """The grid of a `scale` (anchor `centred`) or of a `size` (anchor `ratio`), or `grid` itself.

    Raises:
        ValueError: if not exactly one of them is given, or it is not positive.
    """
    match scale, size, grid:
        case None, None, ProjectedGrid():
            return grid
        case None, tuple(), None:
            return ProjectedGrid.project(input_size, size)
        case float() | int() | tuple(), None, None:
            target = output_size(input_size, scale)
            return ProjectedGrid.project(input_size, target, scale, "centred")
    raise ValueError(
        "expected exactly one of scale (a number or a vertical and a horizontal one), size (H, W) "
        f"and grid, got scale={scale}, size={size}, grid={grid}"
    )


def _refuse_too_much(what: str, needed: int) -> None:
    free = free_memory(torch.device("cpu"))
    if free is not None and needed > free:
        raise RuntimeError(
            f"{what} needs {needed / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free: "
            "ask for a smaller size"
        )


def _part(progress: Progress | None, number: int, count: int) -> Progress | None:
    """Progress of one of several frames, as a share of them all."""
    if progress is None or count == 1:
        return progress
    return lambda share: progress((number + share) / count)


def _to_grey(rgb: Tensor) -> Tensor:
    """(..., 3, H, W) -> (..., 1, H, W); grey keeps its value."""
    weights = torch.tensor(GREY, device=rgb.device)[:, None, None]
    return (rgb * weights).sum(-3, keepdim=True)
