"""The one path from a picture to its enlargement: device, precision, pieces that fit."""

import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, overload

import numpy as np
from PIL import Image

from ccsr.choices import Precision
from ccsr.device import free_memory
from ccsr.grid import ProjectedGrid, Scale, Size, SizeRule, choose_grid
from ccsr.image import Levels, Picture
from ccsr.image.coding import Coding, check_quality, coarsest_jpeg
from ccsr.plain import is_whole
from ccsr.upscaling.effort import LEAST, Effort
from ccsr.upscaling.engines import choose_engine
from ccsr.upscaling.enlargement import Enlargement
from ccsr.upscaling.onnx_engine import OnnxEngine, torch_wanted
from ccsr.upscaling.pixels import FloatSource, LevelSource, Source, check_room
from ccsr.upscaling.tiles import SMALLEST_TILE, Progress, Tile, strips, window_side
from ccsr.upscaling.view import View

if TYPE_CHECKING:  # slow to import, and not always there
    import torch
    from torch import Tensor

    from ccsr.model import Network
    from ccsr.upscaling.torch_engine import TorchEngine

AnyPicture = TypeVar("AnyPicture", Image.Image, Picture)
Piece = TypeVar("Piece")

AUTO = "auto"  # instead of a model's name
LARGEST_WORKING_MEMORY = 384 << 20  # larger pieces are no faster
SMALLEST_MEMORY = 32 << 20


class Upscaler:
    """A trained network, ready to enlarge (or reduce) pictures by any factor.

    Where both axes reduce it has nothing to add: the result is bicubic with antialiasing.

    Args:
        model: a network of torch, moved to `device`, in float32, and set to evaluation; or an
            engine.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`, or one of torch's; the onnx engine has the
            processor only.
        precision: `bf16` or `fp32`; `auto` takes bfloat16 where the processor has it natively, but
            float32 for pictures of more than 8 bits, whose finer steps bfloat16 would disorder.
        tile: side of the pieces, in output pixels, in which large results are computed;
            `auto` follows `memory`, `off` starts with the whole. The result is the same; a
            piece that does not fit into memory is always cut further.
        memory: bytes that may be taken; None is a quarter of what is free.
        ensemble: `flips` averages over the eight flips and quarter turns of the picture, in about
            eight times the time; empty gives the plain result.
        effort: share of the network's work, 0.25 to 1, or `auto:SECONDS`: the largest with which
            a picture (of several in a file, each) is likely to take no longer.
        warn: called with what the user should know of, such as a piece that was computed again.

    Raises:
        TypeError: for what is neither a network nor an engine.
        ValueError: for an unknown or unavailable device, precision or tile, little memory, or an
            ensemble or effort that the network has not.
    """

    def __init__(
        self,
        model: "Network | OnnxEngine",
        *,
        device: "str | torch.device" = "auto",
        precision: str = "auto",
        tile: Tile = "auto",
        memory: int | None = None,
        ensemble: str = "",
        effort: float | str = 1.0,
        warn: Callable[[str], None] = warnings.warn,
    ) -> None:
        if precision not in get_args(Precision):
            known = ", ".join(get_args(Precision))
            raise ValueError(f"precision must be one of {known}, got {precision!r}")
        if tile not in ("auto", "off") and not is_whole(tile, SMALLEST_TILE):
            raise ValueError(f"tile must be auto, off or at least {SMALLEST_TILE}, got {tile!r}")
        if memory is not None and not is_whole(memory, SMALLEST_MEMORY):
            raise ValueError(
                f"memory must be a whole number of bytes, at least {SMALLEST_MEMORY >> 20} MiB, "
                f"got {memory!r}"
            )
        self.tile: Tile = tile if isinstance(tile, str) else int(tile)
        if ensemble not in ("", "flips"):
            raise ValueError(f"ensemble must be flips, or empty for none, got {ensemble!r}")
        self.flips = ensemble == "flips"
        self.effort = Effort.parse(effort)
        _check_model(model)
        model.check_effort(LEAST if self.effort.seconds else self.effort.share)
        self.warn = warn
        self._memory = memory
        if isinstance(model, OnnxEngine):
            self.engine: TorchEngine | OnnxEngine = model.on(device, precision)
        else:
            from ccsr.upscaling import torch_engine

            self.engine = torch_engine.TorchEngine(model, device, precision)

    @classmethod
    def load(
        cls,
        name_or_path: str | Path = AUTO,
        *,
        engine: str = "auto",
        trust: Collection[str] = (),
        **options: Any,
    ) -> "Upscaler":
        """Load a shipped model by its name, a file or a run's folder of `ccsr train`, or an export.

        Args:
            name_or_path: the name, or where the file or folder lies, a file of `ccsr train` or of
                `ccsr export --window`, or `hf://USER/REPO/FILE@REVISION`, a file on the Hugging
                Face Hub (see :mod:`ccsr.model.hub`); ``auto`` takes the network that suits each
                picture, see :class:`ccsr.upscaling.automatic.Automatic`.
            engine: what computes: ``torch``, ``onnx`` (onnxruntime, without torch), or ``auto``:
                torch where it is installed, and onnx for a file that ends in .onnx.
            trust: the packages, but ours, whose classes the file may name and thereby run.
            options: the keyword arguments of the class itself.

        Raises:
            ValueError: for an unknown name, an unsound file, an engine that is not installed or
                has not this model, or as the class itself.
            OSError: if the file cannot be read or had.
            RuntimeError: if the extra `hub` is needed and not installed.
        """
        if name_or_path == AUTO:
            from ccsr.upscaling.automatic import Automatic

            return Automatic(engine=engine, **options)
        if choose_engine(engine, name_or_path) == "onnx":
            return cls(OnnxEngine.load(name_or_path), **options)
        from ccsr.model import checkpoint

        model, _ = checkpoint.load(checkpoint.resolve(name_or_path), trust)
        return cls(model, **options)

    @property
    def model(self) -> Any:
        """The network: of torch, or what the onnx engine has instead."""
        return self.engine.model

    @property
    def device(self) -> "torch.device | None":
        """Where torch computes; None for the onnx engine."""
        return self.engine.device

    @property
    def dtype(self) -> Any:
        """What torch computes in; None for the onnx engine, which has float32."""
        return self.engine.dtype

    def __call__(
        self,
        image: AnyPicture,
        *,
        scale: Scale | None = None,
        size: Size | SizeRule | None = None,
        progress: Progress | None = None,
    ) -> AnyPicture:
        """Enlarge a picture.

        Args:
            image: of Pillow, in any mode with 8 bits, 16-bit grey or float grey, turned as its EXIF
                says; or of `ccsr.image.read`, of any depth and with all its frames.
            scale: output over input, or (vertical, horizontal); the size is rounded to the
                nearest, halves up, at least 1, and the image stays centred.
            size: (H, W) instead of `scale`, or a function that gives it for (h, w), as those of
                `ccsr.sizes`; other pages of another size grow by the same factors.
            progress: called with the share that is done, up to 1.

        Returns:
            Of the same type. Grey stays grey, transparency is kept, and so is what a `Picture`
            says about itself, with a note of the network if it was chosen; a picture of Pillow has
            mode L, LA, RGB, RGBA or, for 16-bit grey, I;16, for float grey, F; and its colour
            profile in `info`.

        Raises:
            TypeError: for what is no picture, such as a path, an array or a tensor.
            ValueError: for a picture without pixels, or not exactly one of `scale` and `size`.
            RuntimeError: see `tensor`.
        """
        if isinstance(image, Image.Image):
            enlarged = self(Picture.of(image), scale=scale, size=size, progress=progress)
            return enlarged.to_pil()
        if not isinstance(image, Picture):
            raise TypeError(
                "expected a picture of Pillow or of ccsr.image.read, got "
                f"{type(image).__name__}: open a path by PIL.Image.open, give an array to "
                "Upscaler.levels and a tensor to Upscaler.tensor"
            )
        first = choose_grid(image.size, scale, size)
        sizes = (None,) * len(image.frames) if size is None else image.sizes(first.size)
        grids = [
            choose_grid((frame.shape[0], frame.shape[1]), scale, its_size)
            for frame, its_size in zip(image.frames, sizes, strict=True)
        ]
        sources = [LevelSource(frame) for frame in image.frames]
        check_room(list(zip(sources, grids, strict=True)))
        chosen: list[tuple[Upscaler, str]]
        if image.several == "pages":  # each may have been a picture of its own
            alone = zip(image.frames, grids, strict=True)
            chosen = [self.suited(frame, [grid], image.coding) for frame, grid in alone]
        else:
            chosen = [self.suited(image.frames[0], grids, image.coding)] * len(grids)
        frames: list[Levels] = []
        for (upscaler, _), source, grid in zip(chosen, sources, grids, strict=True):
            part = _part(progress, len(frames), len(grids))
            frames.append(upscaler._whole(source, grid, part))
        notes = (*image.notes, *_counted([why for _, why in chosen]))
        return replace(image, frames=tuple(frames), notes=notes)

    def suited(
        self, values: Levels, grids: Sequence[ProjectedGrid] = (), coding: Coding | None = None
    ) -> tuple["Upscaler", str]:
        """The upscaler that a picture gets, and why, for a person; empty where it has no choice.

        That one chooses no more: every other picture gets it too. A network that is conditioned on
        the quality of a JPEG is told it (:meth:`at_quality`), by the coarsest that the picture has
        been.

        Args:
            values: (h, w, C), its pixels, of the first frame of an animation.
            grids: of its frames, if it is known what is made of them.
            coding: what its file says of its compression.
        """
        if not self.model.conditioned or (grids and all(grid.reduces for grid in grids)):
            return self, ""
        return self.at_quality(coarsest_jpeg(values, coding)), ""

    def at_quality(self, quality: float | None) -> "Upscaler":
        """The upscaler for pictures that were JPEGs of one quality, as files and pixels tell it.

        Tensors tell nothing of a file: to have a network that is conditioned on the quality take it
        into account there too, take this one's `tensor`. Other networks do not look at it.

        Args:
            quality: 1 to 100 as libjpeg counts; None if they were none, or it is not known.

        Raises:
            ValueError: for another quality.
        """
        check_quality(quality)
        made = copy(self)
        made.engine = self.engine.at_quality(quality)
        return made

    def levels(
        self,
        values: Levels,
        *,
        scale: Scale | None = None,
        size: Size | SizeRule | None = None,
        progress: Progress | None = None,
    ) -> Levels:
        """Enlarge pixels as files hold them.

        Args:
            values: (h, w, C), uint8, uint16 or float32: grey, grey + alpha, RGB, RGBA for C = 1
                to 4. Floats may lie beyond [0, 1], their alpha not.
            scale: see `__call__`.
            size: (H, W) instead of `scale`.
            progress: called with the share that is done, up to 1.

        Returns:
            (H, W, C) of the same type.

        Raises:
            TypeError: for what is no array.
            ValueError: for another array.
            RuntimeError: see `tensor`.
        """
        source = LevelSource(values)
        grid = choose_grid(source.size, scale, size)
        check_room([(source, grid)])
        return self.suited(values, [grid])[0]._whole(source, grid, progress)

    def strips(
        self,
        values: Levels,
        height: int,
        *,
        scale: Scale | None = None,
        size: Size | SizeRule | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Levels]:
        """What `levels` gives, from top to bottom in strips of `height` rows, the last shorter."""
        if not is_whole(height, 1):
            raise ValueError(f"height must be a whole number of at least 1, got {height!r}")
        source = LevelSource(values)
        grid = choose_grid(source.size, scale, size)
        return self.suited(values, [grid])[0]._strips(source, grid, height, progress)

    def tensor(
        self,
        x: "Tensor",
        *,
        scale: Scale | None = None,
        size: Size | SizeRule | None = None,
        grid: ProjectedGrid | None = None,
        progress: Progress | None = None,
    ) -> "Tensor":
        """Enlarge images given as tensors. Exactly one of `scale`, `size` and `grid`.

        Args:
            x: (N, C, h, w) or (C, h, w), RGB or grey (C = 3 or 1), floating point in [0, 1]; what a
                filter made may be up to a half beyond.
            scale: output over input, or (vertical, horizontal); grid anchor `centred`.
            size: (H, W); grid anchor `ratio`.
            grid: laid over (h, w).
            progress: called with the share that is done, up to 1.

        Returns:
            (N, C, H, W) or (C, H, W): float32 in [0, 1], clamped, not rounded, on the CPU.

        Raises:
            TypeError: for what is no tensor.
            ValueError: for another shape or type, or values that are not finite, or far beyond
                [0, 1].
            RuntimeError: if memory does not suffice, or the network gives no finite values.
        """
        torch_wanted(self.engine, "to enlarge tensors")
        source = FloatSource(x)
        grid = choose_grid(source.size, scale, size, grid)
        check_room([(source, grid)])
        return self._whole(source, grid, progress)

    @overload
    def view(
        self,
        values: Levels | LevelSource,
        *,
        memory: int | None = None,
        coding: Coding | None = None,
    ) -> View[Levels]: ...

    @overload
    def view(self, values: "Tensor", *, memory: int | None = None) -> "View[Tensor]": ...

    def view(
        self,
        values: "Levels | LevelSource | Tensor",
        *,
        memory: int | None = None,
        coding: Coding | None = None,
    ) -> View[Any]:
        """Keep a picture's features, to compute windows of it at many scales.

        Args:
            values: levels as for `levels` (or the source that was made of them), or images as for
                `tensor`.
            memory: bytes that the features may take; None is half of what this upscaler may.
            coding: what the picture's file says of its compression, with levels.

        Raises:
            ValueError: as `levels` or `tensor`; for an effort that is chosen by time, or a `coding`
                of a tensor.
        """
        if self.effort.seconds is not None:
            raise ValueError("a view works at one effort: give a share instead of auto:SECONDS")
        torch_wanted(self.engine, "to keep features")
        if not isinstance(values, np.ndarray | LevelSource):
            if coding is not None:
                raise ValueError("a tensor has no file: take the view of at_quality(...) instead")
            return self._view(FloatSource(values), memory)
        source = values if isinstance(values, LevelSource) else LevelSource(values)
        return self.suited(source.values, coding=coding)[0]._view(source, memory)

    def _view(self, source: Source[Piece], memory: int | None) -> View[Piece]:
        if memory is not None and not is_whole(memory, 0):
            raise ValueError(f"memory must be a whole number of bytes, got {memory!r}")
        kept = self.memory // 2 if memory is None else memory
        features = torch_wanted(self.engine, "to keep features").features(
            source.images, kept, self._working_memory
        )
        own = ProjectedGrid.project(source.size, source.size)
        enlargement: Any = self.enlargement(source, own)
        enlargement = replace(enlargement, features=features)
        return View(enlargement, self.effort.share, self.tile, self._working_memory)

    @property
    def memory(self) -> int:
        """Bytes that may be taken."""
        if self._memory is not None:
            return self._memory
        free = free_memory(self.device)
        return (4 << 30 if free is None else free) // 4

    def enlargement(self, source: Source[Piece], grid: ProjectedGrid) -> Enlargement[Piece]:
        """What computes any window of a picture at `grid`, by default with all of the work."""
        return self.engine.enlargement(source, grid, self.flips, self.warn)

    def _whole(
        self, source: Source[Piece], grid: ProjectedGrid, progress: Progress | None
    ) -> Piece:
        return next(self._strips(source, grid, grid.rows.size, progress))

    def _strips(
        self, source: Source[Piece], grid: ProjectedGrid, height: int, progress: Progress | None
    ) -> Iterator[Piece]:
        enlargement = self.enlargement(source, grid)
        side = window_side(enlargement, self.tile, self._working_memory)
        if not grid.reduces:
            enlargement = self.effort.choose(enlargement, side)
        return strips(enlargement, side, height, progress)

    @property
    def _working_memory(self) -> int:
        """Bytes for what is computed at once."""
        return self.memory if self._memory else min(self.memory, LARGEST_WORKING_MEMORY)


def _check_model(model: object) -> None:
    if isinstance(model, OnnxEngine):
        return
    from ccsr.model import Network

    if not isinstance(model, Network):
        raise TypeError(
            f"expected a network of ccsr or an engine, got {type(model).__name__}: "
            "Upscaler.load makes an upscaler of a name or a file"
        )


def _counted(reasons: Sequence[str]) -> Iterator[str]:
    """Each reason once, with the number of its pages where there are several."""
    counts = Counter(filter(None, reasons))
    for why, count in counts.items():
        pages = "1 page" if count == 1 else f"{count} pages"
        yield why if len(counts) == 1 else f"{pages} {why}"


def _part(progress: Progress | None, number: int, count: int) -> Progress | None:
    """Progress of one of several frames, as a share of them all."""
    if progress is None or count == 1:
        return progress
    return lambda share: progress((number + share) / count)
