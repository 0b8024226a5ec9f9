"""The bound: a network's own convolutions and matrix products alone, on the same shapes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ccsr.grid import ProjectedGrid
from ccsr.model import CCSR

aten = torch.ops.aten
PRODUCTS = {
    aten.convolution.default, aten.mm.default, aten.addmm.default, aten.bmm.default,
    aten.baddbmm.default,
}  # fmt: skip
StandIns = dict[tuple[Any, ...], Tensor]
Call = tuple[Callable[..., Tensor], tuple[Any, ...]]


class _Recorder(TorchDispatchMode):
    """Notes every product with stand-ins for its arguments: one tensor per shape and layout."""

    def __init__(self, calls: list[Call], stand_ins: StandIns) -> None:
        TorchDispatchMode.__init__(self)
        self.calls = calls
        self.stand_ins = stand_ins

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in PRODUCTS:
            self.calls.append((func, tuple(map(self._stand_in, args))))
        return func(*args, **(kwargs or {}))

    def _stand_in(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        last = value.ndim == 4 and value.shape[1] > 1
        key = (*value.shape, value.dtype, last)
        if key not in self.stand_ins:
            layout = torch.channels_last if last else torch.contiguous_format
            stand_in = torch.rand(value.shape, dtype=value.dtype)
            self.stand_ins[key] = stand_in.contiguous(memory_format=layout)
        return self.stand_ins[key]


def bound(
    model: CCSR, x: Tensor, grid: ProjectedGrid, dtype: torch.dtype, stand_ins: StandIns
) -> Callable[[], None]:
    """What repeats the products of `model.enlarge(x, grid)`, computed in `dtype`, and nothing else.

    `stand_ins` are shared between calls, to save memory.
    """
    autocast = torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32)
    recorder = _Recorder([], stand_ins)
    # inference mode would show convolutions by other names
    with torch.no_grad(), autocast, recorder:
        model.enlarge(x, grid)

    def repeat() -> None:
        with torch.inference_mode():
            for product, arguments in recorder.calls:
                product(*arguments)

    return repeat
