"""Whether memory stays flat while a network learns at hundreds of scales."""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peak import status
from ccsr.choice import choose_grid
from ccsr.model import build

STEPS = 1200
SCALES = 300
PATCH = 24
ARCHITECTURE: dict[str, Any] = {
    "encoder": {"name": "light", "channels": 16, "blocks": 2},
    "stack": {
        "name": "friendly",
        "channels": 16,
        "field": {"name": "fourier", "kernel_size": 3, "basis": 8},
    },
    "decoder": {"name": "identity"},
}


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """Resident memory after every sixth of the steps, each scale anew in each of them."""
    torch.manual_seed(0)
    model = build(**ARCHITECTURE)
    optimizer = torch.optim.Adam(model.parameters())
    x = torch.rand(4, 3, PATCH, PATCH)
    resident = []
    for step in range(1, STEPS + 1):
        scale = 1 + 3 * (step * 7 % SCALES) / SCALES  # 7 and SCALES share no factor
        y = model(x, choose_grid((PATCH, PATCH), scale=scale))
        optimizer.zero_grad()
        y.square().mean().backward()
        optimizer.step()
        if step % (STEPS // 6) == 0:
            resident.append((step, status("VmRSS")))
            say(f"step {step}: {resident[-1][1] / 1e6:.0f} MB")
    return {"model": "light, narrow", "scales": SCALES, "resident": resident}
