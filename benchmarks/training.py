"""How fast `ccsr train` is, and whether memory stays flat at hundreds of scales."""

import csv
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from hydra import compose, initialize_config_dir

from benchmarks.peak import status
from ccsr.bundled import resource_dir
from ccsr.grid import choose_grid
from ccsr.model import build
from ccsr.training.train import train

BATCHES = {"gpu": 32, "cpu": 8}  # patches of 48x48
SECONDS = {"gpu": 25, "cpu": 60}  # of each run

STEPS = 1200
SCALES = 300
PATCH = 24
ARCHITECTURE: dict[str, Any] = {
    "encoder": {"name": "plain", "channels": 16, "blocks": 2},
    "stack": {
        "name": "friendly",
        "channels": 16,
        "field": {"name": "fourier", "kernel_size": 3, "basis": 8},
    },
    "decoder": {"name": "identity"},
}


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """The speeds of short runs, and the memory of a long one."""
    devices = ["gpu", "cpu"] if torch.cuda.is_available() else ["cpu"]
    speeds = []
    for device in devices:
        for model in ("light", "base"):
            for place in ("memory", "device"):
                speeds.append(speed(model, place, device))
                say(str(speeds[-1]))
    return {"speeds": speeds, **growth(say)}


def speed(model: str, place: str, device: str, *more: str) -> dict[str, Any]:
    """What a run of `ccsr train` on the bundled photos tells of its speed, its second half."""
    overrides = [
        f"experiment={model}",
        "data=samples",
        "data.patch=48",
        f"data.batch_size={BATCHES[device]}",
        "data.scales.anisotropic=0",
        "data.val={images: 1, scales: [2]}",
        f"data.place={place}",
        f"trainer.accelerator={device}",
        f"trainer.max_time='00:00:{SECONDS[device] // 60:02}:{SECONDS[device] % 60:02}'",
        "trainer.log_every_n_steps=50",
        "callbacks.lines.seconds=2",
        *more,
    ]
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        config = compose("train", overrides=overrides)
    with tempfile.TemporaryDirectory() as folder:
        train(config, Path(folder) / "run")
        with (Path(folder) / "run" / "speed.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
    rows = rows[len(rows) // 2 :]
    values = {name: median(float(row[name]) for row in rows) for name in rows[0] if name != "step"}
    return {
        "model": model,
        "place": place,
        "device": torch.cuda.get_device_name() if device == "gpu" else "CPU",
        "patches": BATCHES[device],
        **values,
    }


def growth(say: Callable[[str], None]) -> dict[str, Any]:
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
