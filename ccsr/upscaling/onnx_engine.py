"""Windows of a result, computed by onnxruntime from a file of `ccsr export --window`."""

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

import numpy as np

from ccsr.bundled import resource_dir
from ccsr.device import CPU
from ccsr.distribution import remedy
from ccsr.grid import Axis, ProjectedGrid, Size
from ccsr.image.floats import Floats
from ccsr.resample import resize
from ccsr.upscaling.engines import ONNX, is_there
from ccsr.upscaling.enlargement import Enlargement
from ccsr.upscaling.flips import SYMMETRIES, Symmetry
from ccsr.upscaling.pixels import Source

if TYPE_CHECKING:  # slow to import, and not always there
    import torch

    from ccsr.upscaling.torch_engine import TorchEngine

Piece = TypeVar("Piece")

QUALITY = "quality"  # an input of networks that are conditioned on it
CLOSE = 1e-6  # pixels: positions are the same


class OnnxEngine:
    """A network in an ONNX file, on the processor, in float32.

    Args:
        path: of the file.

    Attributes:
        least: the smallest scale along an axis.
        radius: how many input pixels around a position its result may depend on.
        cleans: see :class:`ccsr.model.whole.Network`.
        conditioned: likewise.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not one of `ccsr export --window`.
    """

    channels = 48  # of the shipped networks; only the size of tiles follows from it
    efforts = (1.0,)
    device = None
    dtype = None

    def __init__(self, path: str | Path) -> None:
        import onnxruntime

        if not Path(path).is_file():
            raise FileNotFoundError(f"no model file at {path}: check the path")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # an error is raised, too
        options.intra_op_num_threads = _threads()
        options.enable_mem_pattern = False  # which is for inputs of one size
        try:
            self._session = onnxruntime.InferenceSession(
                Path(path).read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # each of onnxruntime's is a class of its own
            raise ValueError(f"{path} is damaged, or no ONNX file: {error}") from error
        self._path = Path(path).absolute()
        told = self._session.get_modelmeta().custom_metadata_map
        if not {"least", "radius"} <= told.keys():
            raise ValueError(
                f"{path} is no file that the engine can use: expected one of ccsr export --window, "
                "write it again with this version"
            )
        self.least, self.radius = float(told["least"]), int(told["radius"])
        self.cleans = told.get("cleans") == "true"
        self._takes_quality = QUALITY in (each.name for each in self._session.get_inputs())
        self._quality: float | None = None
        self.conditioned = self._takes_quality

    @classmethod
    def load(cls, name_or_path: str | Path) -> "OnnxEngine":
        """The file of a shipped model's name, or of a path.

        Raises:
            ValueError: if there is none for that name, or as the class itself.
            OSError: if the file cannot be read.
        """
        path = Path(name_or_path)
        if path.suffix.lower() == ONNX:
            return cls(path)
        shipped = {each.stem: each for each in sorted(resource_dir("checkpoints").glob(f"*{ONNX}"))}
        if str(name_or_path) not in shipped:
            raise ValueError(
                f"the engine onnx has no model {str(name_or_path)!r}, only {', '.join(shipped)}: "
                f"{_by_torch()}, or write a file with it by ccsr export "
                f"--model {name_or_path} --window -o FILE.onnx, and give that"
            )
        return cls(shipped[str(name_or_path)])

    @property
    def model(self) -> Self:
        """The engine itself: it answers what an enlargement asks of a network."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, for another process too, opens the file again."""
        told = {"_quality": self._quality, "conditioned": self.conditioned}
        return type(self), (self._path,), told

    def on(self, device: "str | torch.device", precision: str) -> Self:
        """The engine itself, if it can compute there and in that precision.

        Raises:
            ValueError: for another device than the processor, or another precision than float32.
        """
        if str(device) not in ("auto", *CPU):
            raise ValueError(f"the engine onnx computes on the cpu, got device {str(device)!r}")
        if precision not in ("auto", "fp32"):
            raise ValueError(f"the engine onnx computes in fp32, got precision {precision!r}")
        return self

    def at_quality(self, quality: float | None) -> Self:
        """The same for pictures that were JPEGs of a quality, see `Network.at_quality`."""
        made = object.__new__(type(self))  # with the session: a copy would open the file again
        vars(made).update(vars(self), _quality=quality, conditioned=False)
        return made

    def check_effort(self, effort: float) -> None:
        """Raise ValueError for anything but all of the work."""
        if effort != 1:
            raise ValueError(
                f"the engine onnx always works at full effort, got effort {effort:g}: use the "
                "engine torch and the model elastic"
            )

    def route(self, size: Size, grid: ProjectedGrid, effort: float = 1.0) -> tuple[()]:
        """No grids on the way: the file knows them."""
        self.check_effort(effort)
        return ()

    def enlargement(
        self, source: Source[Piece], grid: ProjectedGrid, flips: bool, warn: Callable[[str], None]
    ) -> Enlargement[Piece]:
        """What computes any window of a picture at `grid`.

        Raises:
            ValueError: for a grid that is not centred on the picture, or a scale that is too small
                along one axis.
        """
        made = OnnxEnlargement(self, source, grid, (), flips, warn)
        if grid.reduces:
            return made
        centred = ProjectedGrid.project(source.size, grid.size, grid.scale, "centred")
        for wanted, axis in ((grid.rows, centred.rows), (grid.columns, centred.columns)):
            if abs(wanted.origin + wanted.first / wanted.scale - axis.origin) > CLOSE:
                raise ValueError(f"the engine onnx takes a scale or a size: {_by_torch()}")
        if min(grid.scale) < self.least:
            raise ValueError(
                f"the engine onnx enlarges by {self.least:g} or more along both axes, or reduces "
                f"along both, got {grid.scale[0]:g} (vertical) and {grid.scale[1]:g} "
                f"(horizontal): {_by_torch()}"
            )
        return made

    def run(
        self, image: Floats, corner: Size, whole: Size, grid: ProjectedGrid, origin: Size
    ) -> Floats:
        """A window of the enlarged picture, (n, 3, *grid.size).

        Args:
            image: a part of the picture, (n, 3, h, w).
            corner: the row and column of the picture where the part begins.
            whole: (h, w) of the picture.
            grid: the window, laid over the picture.
            origin: the row and column of the enlarged picture where the window begins.

        Raises:
            RuntimeError: if onnxruntime fails, as where the memory does not suffice.
        """
        numbers = {"corner": corner, "whole": whole, "origin": origin, "size": grid.size}
        inputs: dict[str, Any] = {name: np.array(pair) for name, pair in numbers.items()}
        inputs |= {"image": image, "scale": np.array(grid.scale)}
        if self._takes_quality:
            inputs[QUALITY] = np.array([self._quality or 0], np.float32)
        try:
            (result,) = self._session.run(["enlarged"], inputs)
        except Exception as error:  # each of onnxruntime's is a class of its own
            raise RuntimeError(str(error)) from error
        made: Floats = result
        return made


@dataclass(frozen=True)
class OnnxEnlargement(Enlargement[Piece]):
    """See :class:`ccsr.upscaling.enlargement.Enlargement`."""

    @property
    def pixel_bytes(self) -> float:
        """What computing a pixel of the result takes, of one image: the last layer gathers."""
        gathered = 0 if self.grid.reduces else 1500 / self.grid.scale[1]
        return super().pixel_bytes + gathered

    def resized(self, x: Floats, grid: ProjectedGrid) -> Floats:
        """See :meth:`Enlargement.resized`."""
        return resize(x, grid)

    def computed(self, rows: slice, columns: slice) -> Floats:
        """See :meth:`Enlargement.computed`."""
        window = self.grid.window(rows, columns)
        top, bottom = self._read(window.rows, self.source.size[0])
        left, right = self._read(window.columns, self.source.size[1])
        x = self.source.read(slice(top, bottom), slice(left, right))
        turns = SYMMETRIES if self.flips else SYMMETRIES[:1]
        parts = [self._turned(turn, x, (top, left), window) for turn in turns]
        made: Floats = np.mean(parts, 0) if self.flips else parts[0]
        return made

    def _read(self, axis: Axis, limit: int) -> tuple[int, int]:
        """The pixels, start and stop, that a window may depend on along an axis."""
        first, last = (
            axis.origin + index / axis.scale for index in (axis.first, axis.first + axis.size - 1)
        )
        radius = self.model.radius
        return max(math.floor(first) - radius, 0), min(math.ceil(last) + radius + 1, limit)

    def _turned(self, turn: Symmetry, x: Floats, corner: Size, window: ProjectedGrid) -> Floats:
        """The window, computed from the flipped and turned picture, and turned back."""
        axes = [
            _Side(start, pixels, limit, part.first, part, whole.size).mirrored(mirrored)
            for mirrored, start, pixels, limit, part, whole in zip(
                (turn.rows, turn.columns),
                corner,
                x.shape[2:],
                self.source.size,
                (window.rows, window.columns),
                (self.grid.rows, self.grid.columns),
                strict=True,
            )
        ]
        rows, columns = reversed(axes) if turn.transposed else axes
        y = self.model.run(
            np.ascontiguousarray(turn.turned(x)),
            (rows.start, columns.start),
            (rows.limit, columns.limit),
            ProjectedGrid(rows.part, columns.part),
            (rows.origin, columns.origin),
        )
        return turn.turned_back(y)


class _Side(NamedTuple):
    """One axis of a part of the picture, and of a window.

    Attributes:
        start: where the part begins.
        pixels: of the part.
        limit: pixels of the picture.
        origin: where the window begins.
        part: the window.
        whole: pixels of the whole result.
    """

    start: int
    pixels: int
    limit: int
    origin: int
    part: Axis
    whole: int

    def mirrored(self, wanted: bool) -> "_Side":
        """The same, counted from the other end."""
        if not wanted:
            return self
        return self._replace(
            start=self.limit - self.start - self.pixels,
            origin=self.whole - self.origin - self.part.size,
        )


def _by_torch() -> str:
    """What to do where this engine cannot."""
    how = "" if is_there("torch") else f" (run {remedy()})"
    return f"use the engine torch{how}"


def _threads() -> int:
    """As many as OpenMP has where it is told, as torch takes them; 0 for as many as there are."""
    told = re.match(r"\s*(\d{1,4})\s*(,|$)", os.environ.get("OMP_NUM_THREADS", ""))
    return int(told[1]) if told else 0


def torch_wanted(engine: "TorchEngine | OnnxEngine", what: str) -> "TorchEngine":
    """The engine itself, if it is torch.

    Raises:
        ValueError: if it is another, with what it is wanted for.
    """
    if isinstance(engine, OnnxEngine):
        raise ValueError(f"torch is needed {what}: {_by_torch()}")
    return engine
