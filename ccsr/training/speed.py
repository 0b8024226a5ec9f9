"""How fast a training is: steps, pixels, multiply-adds, and what it waits for."""

import copy
import time
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ccsr.device import used_memory
from ccsr.grid import ProjectedGrid, Size, size_of
from ccsr.model import Network

_BACKWARD = 2  # gradients of inputs and of weights: each as many multiply-adds as the result
_TIMED = 0.2  # seconds in which the peak is measured


class Speed(NamedTuple):
    """What was done in a stretch of time.

    Attributes:
        steps_per_second: steps of the optimizer.
        pixels_per_second: low-resolution pixels that were trained on, in all processes.
        waiting: share of the time in which nothing but data was waited for.
        memory_mb: megabytes that this process holds on the training's device.
        macs_per_second: multiply-adds of convolutions and matrix products, of this process.
        of_peak: these as a share of what one large matrix product reaches on the device.
    """

    steps_per_second: float
    pixels_per_second: float
    waiting: float
    memory_mb: float
    macs_per_second: float
    of_peak: float

    def __str__(self) -> str:
        return (
            f"{self.steps_per_second:.2f} it/s  {self.pixels_per_second / 1e6:.3g} Mpx/s  "
            f"{100 * self.waiting:.0f} % waiting for data  {self.memory_mb:.0f} MB  "
            f"{self.macs_per_second / 1e12:.3g} T multiply-adds/s, "
            f"{100 * self.of_peak:.0f} % of the peak"
        )


class Meter:
    """Measures a training between two readings.

    Args:
        network: what is trained.
        device: where.
        dtype: that it mostly computes in.
        processes: that train together.
    """

    def __init__(
        self, network: Network, device: torch.device, dtype: torch.dtype, processes: int = 1
    ) -> None:
        self._network = copy.deepcopy(network).cpu()
        self._device, self._processes = device, processes
        self._peak = peak(device, dtype)
        self._costs: dict[tuple[Size, Size, float], float] = {}
        self._start = self._paused = time.perf_counter()
        self._waited = 0.0
        self._pixels = self._macs = 0.0

    def count(self, lr: Tensor, hr: Tensor, effort: float) -> None:
        """Add a batch, (N, 3, h, w) and (N, 3, H, W), to what was trained on."""
        key = size_of(lr), size_of(hr), effort
        if key not in self._costs:
            self._costs[key] = (1 + _BACKWARD) * multiply_adds(self._network, *key)
        self._pixels += lr.shape[0] * lr.shape[2] * lr.shape[3]
        self._macs += lr.shape[0] * self._costs[key]

    def pause(self) -> None:
        """Something else begins."""
        self._paused = time.perf_counter()

    def resume(self) -> None:
        """It has ended: its time does not count."""
        self._start += time.perf_counter() - self._paused

    def read(self, steps: int, waited: float) -> Speed:
        """The speed since the last reading.

        Args:
            steps: that were done since then.
            waited: seconds that data was waited for, since the beginning.
        """
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        seconds = max(now - self._start, 1e-9)
        speed = Speed(
            steps / seconds,
            self._pixels * self._processes / seconds,
            min(1.0, (waited - self._waited) / seconds),
            used_memory(self._device) / 1e6,
            self._macs / seconds,
            self._macs / seconds / self._peak,
        )
        self._start, self._waited, self._pixels, self._macs = now, waited, 0.0, 0.0
        return speed


def multiply_adds(network: Network, size: Size, target: Size, effort: float = 1.0) -> float:
    """Multiply-adds of the convolutions and matrix products that enlarge one image.

    Args:
        network: on the CPU.
        size: (h, w) of the image.
        target: (H, W) of the result.
        effort: see :meth:`ccsr.model.Network.route`.
    """
    grid = ProjectedGrid.project(size, target)
    image = torch.zeros(1, 3, *size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image, grid, network.route(size, grid, effort))
    return float(counter.get_total_flops()) / 2


@cache
def peak(device: torch.device, dtype: torch.dtype) -> float:
    """Multiply-adds per second of a large matrix product on the device, measured once."""
    side = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))

    def timed(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            a @ b
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    timed(2)  # the first are slower
    count = max(1, round(_TIMED / timed(1)))
    return count * side * side * side / timed(count)
