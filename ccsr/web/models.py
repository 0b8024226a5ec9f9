"""The networks of a session, loaded when they are first asked for, and how long they take."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ccsr.grid import Size
from ccsr.model import checkpoint
from ccsr.upscaling.engines import ONNX
from ccsr.upscaling.upscaler import AUTO, Upscaler

SIDE = 96  # of the picture that is timed, in input pixels
SCALES = (2.0, 4.0)


@dataclass
class Pace:
    """Seconds that a network takes: so many per input and per output pixel."""

    inputs: float
    outputs: float

    def seconds(self, source: Size, result: Size) -> float:
        """Expected for one picture."""
        return self.inputs * source[0] * source[1] + self.outputs * result[0] * result[1]

    def learn(self, expected: float, seconds: float) -> None:
        """Move halfway to what a picture, its file included, really took."""
        ratio = (1 + min(max(seconds / expected, 0.1), 10)) / 2
        self.inputs, self.outputs = self.inputs * ratio, self.outputs * ratio


@dataclass
class Models:
    """Networks by name.

    Attributes:
        default: name or path of the model that is shown first.
        options: of every `Upscaler`.
        pace: of the networks that were timed.
    """

    default: str
    options: Mapping[str, Any]
    pace: dict[str, Pace] = field(default_factory=dict)
    _paths: dict[str, str | Path] = field(default_factory=dict)
    _loaded: dict[str, Upscaler] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._paths = {AUTO: AUTO, **checkpoint.shipped()}
        if self.default not in self._paths:
            path = checkpoint.resolve(self.default)
            if path.suffix.lower() == ONNX:
                raise ValueError(
                    f"the page computes by torch, which takes no ONNX file, got {path.name}: give "
                    "a model's name or a .safetensors file"
                )
            self.default = path.name
            self._paths[self.default] = path

    @property
    def names(self) -> list[str]:
        """The names of all networks that may be asked for, the default first."""
        return sorted(self._paths, key=lambda name: name != self.default)

    def check(self, name: Any) -> str:
        """`name`, if there is such a model.

        Raises:
            ValueError: if there is not.
        """
        if not isinstance(name, str) or name not in self._paths:
            raise ValueError(f"model must be one of {', '.join(self.names)}, got {name!r}")
        return name

    def upscaler(self, name: str) -> Upscaler:
        """The network called `name`.

        Raises:
            ValueError: for an unknown name or an unsound file.
            OSError: if the file cannot be read.
        """
        path = self._paths[self.check(name)]
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = Upscaler.load(path, **self.options)
            return self._loaded[name]

    def measure(self, name: str) -> None:
        """Time a network on noise, unless that was done."""
        if name in self.pace:
            return
        upscaler = self.upscaler(name)
        noise = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))

        def seconds(scale: float) -> float:
            start = time.perf_counter()
            upscaler.tensor(noise, scale=scale)
            return time.perf_counter() - start

        # the first at each scale sets things up
        less, more = (min(seconds(scale) for _ in range(2)) for scale in SCALES)
        few, many = ((SIDE * scale) ** 2 for scale in SCALES)
        outputs = max(more - less, 0.05 * more) / (many - few)
        self.pace[name] = Pace(max(less - outputs * few, 0.0) / SIDE**2, outputs)
