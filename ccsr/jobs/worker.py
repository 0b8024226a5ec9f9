"""What a worker of a cluster does: loads the network once, and enlarges pictures with it."""

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Self

from ccsr import __version__, image
from ccsr.device import free_memory
from ccsr.jobs import pipeline
from ccsr.jobs.checks import Job
from ccsr.jobs.target import Target
from ccsr.jobs.writing import Outcome
from ccsr.upscaling.engines import choose_engine
from ccsr.upscaling.upscaler import AUTO, SMALLEST_MEMORY, Upscaler


class Recipe(NamedTuple):
    """What all workers of a run have in common.

    Attributes:
        model: its name, or that of its file.
        weights: the bytes of that file, which need not be where the worker is; None for a name.
        trust: packages whose classes the file may name.
        options: those of `Upscaler.load`.
        target: the size of the outputs.
        saving: how they are written.
        max_pixels: that an input may have.
        max_frames: that an input may have.
    """

    model: str
    weights: bytes | None
    trust: Sequence[str]
    options: dict[str, Any]
    target: Target
    saving: image.Output
    max_pixels: int
    max_frames: int

    @classmethod
    def of(cls, model: str, trust: Sequence[str], options: dict[str, Any], *rest: Any) -> Self:
        """A recipe with the file of a model as it is here, and the engine that is chosen here.

        Args:
            model: see `Upscaler.load`.
            trust: see there.
            options: likewise.
            rest: the further attributes.

        Raises:
            ValueError, OSError, RuntimeError: see `Upscaler.load`.
        """
        engine = choose_engine(options.get("engine", "auto"), model)
        file = Path(model) if Path(model).is_file() else None
        if engine == "torch" and model != AUTO:
            from ccsr.model import checkpoint

            file = checkpoint.resolve(model)
        elsewhere = {"device": "cpu"} if engine == "onnx" else {}  # it has no other
        options = options | {"engine": engine} | elsewhere
        if file is None:
            return cls(model, None, trust, options, *rest)
        return cls(file.name, file.read_bytes(), trust, options, *rest)


class Hello(NamedTuple):
    """What a worker says when it is ready, or cannot be.

    Attributes:
        version: of its ccsr.
        error: why it cannot work; empty if it can.
        node: the machine that it is on, as the cluster names it.
    """

    version: str
    error: str
    node: str


class Worker:
    """Lives in a process of the cluster.

    Args:
        recipe: what is to be done.
        device: where it computes.
    """

    def __init__(self, recipe: Recipe, device: str) -> None:
        self._recipe = recipe
        self._device = device
        self._node: str = import_module("ray").get_runtime_context().get_node_id()

    def begin(self) -> Hello:
        """Load the network."""
        recipe = self._recipe
        image.limit_pixels(recipe.max_pixels)
        image.limit_frames(recipe.max_frames)
        free = free_memory(None)
        # each of the workers of a machine takes its part of what one process would take
        share = None if free is None else max(SMALLEST_MEMORY, free // 4 // (os.cpu_count() or 1))
        options = {"memory": share} | recipe.options | {"device": self._device}
        try:
            with TemporaryDirectory(prefix="ccsr-") as room:
                model = recipe.model
                if recipe.weights is not None:
                    model = str(Path(room, recipe.model))
                    Path(model).write_bytes(recipe.weights)
                self._upscaler = Upscaler.load(
                    model, trust=recipe.trust, **options, warn=lambda text: None
                )
        except (OSError, ValueError, RuntimeError) as error:
            return Hello(__version__, str(error), self._node)
        return Hello(__version__, "", self._node)

    def do(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Enlarge pictures; returns what came of each, in their order."""
        outcomes: list[Outcome] = []
        target, saving = self._recipe.target, self._recipe.saving
        pipeline.run(jobs, target, self._upscaler, outcomes.append, saving, prepared=True)
        return outcomes
