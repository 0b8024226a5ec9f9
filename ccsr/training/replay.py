"""CUDA graphs: many small operations recorded once, then started as one."""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

Result = TypeVar("Result")


class _Recording(NamedTuple):
    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    result: Any


class Replay:
    """Runs functions of tensors; from the second call with a key on, as a recording.

    To start one operation takes the processor some microseconds, and a small network has more
    operations in a step than there is time for. All recordings share their memory: what is to
    outlast the next call has to be copied, or written into tensors made elsewhere.

    A function must do the same operations on tensors at the same places whenever it is called with
    the same key, and must not wait for the device.

    Args:
        device: of the functions; on others than CUDA's they are simply called.
        records: whether to record at all.
    """

    def __init__(self, device: torch.device, records: bool = True) -> None:
        self.device, self.records = device, records and device.type == "cuda"
        self._recordings: dict[Hashable, _Recording | None] = {}
        self._pool: Any = None

    def __call__(self, key: Hashable, function: Callable[..., Result], *inputs: Tensor) -> Result:
        """Do `function(*inputs)` and return its result.

        Args:
            key: of the recording; stands for everything but the values of `inputs`.
            function: is called by the first call, which warms up what it needs, and while the
                second one records.
            inputs: on the device or the CPU; the function gets them on the device.
        """
        if not self.records or key not in self._recordings:
            self._recordings[key] = None
            return function(*(sent(x, self.device) for x in inputs))
        recording = self._recordings[key]
        if recording is None:
            recording = self._recordings[key] = self._record(function, inputs)
        for place, value in zip(recording.inputs, inputs, strict=True):
            place.copy_(sent(value, self.device))
        recording.graph.replay()
        return cast(Result, recording.result)

    def _record(self, function: Callable[..., Any], inputs: tuple[Tensor, ...]) -> _Recording:
        places = [torch.empty_like(x, device=self.device) for x in inputs]
        graph = torch.cuda.CUDAGraph()
        # other threads, such as a loader's, may go on using the device meanwhile
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            result = function(*places)
        self._pool = self._pool or graph.pool()
        return _Recording(graph, places, result)


def sent(x: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device, without waiting for what a GPU is computing."""
    if device.type == "cuda" and x.device.type == "cpu":
        x = x.pin_memory()
    return x.to(device, non_blocking=True)
