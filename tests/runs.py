"""Tiny training runs: their settings, and what they leave."""

import csv
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from ccsr.bundled import resource_dir
from ccsr.model import checkpoint

TINY = (
    "model=tiny",
    "trainer.max_steps=8",
    "trainer.val_check_interval=4",
    "trainer.log_every_n_steps=1",
    "trainer.accelerator=cpu",
    "data.patch=8",
    "data.batch_size=2",
    "data.scales.denominator=2",
    "data.val.scales=[2,[1.5,3]]",
    "data.val.images=2",
    "data.val.crop=36",
)


def rows(table):
    with table.open() as stream:
        return list(csv.DictReader(stream))


def state(folder):
    return torch.load(folder / "last.ckpt", weights_only=True)


def assert_same_run(folder, other):
    one, two = state(folder), state(other)
    assert one["global_step"] == two["global_step"]
    for part in ("state_dict", "current_model_state"):
        for name, value in one[part].items():
            assert torch.equal(value, two[part][name]), name
    moments = (each["optimizer_states"][0]["state"] for each in (one, two))
    for first, second in zip(*(m.values() for m in moments), strict=True):
        assert all(
            torch.equal(torch.as_tensor(first[k]), torch.as_tensor(second[k])) for k in first
        )
    for table in ("train.csv", "val.csv"):
        assert (folder / table).read_text() == (other / table).read_text()
    weights = (checkpoint.load(f / "model.safetensors")[0].state_dict() for f in (folder, other))
    first, second = weights
    assert all(torch.equal(first[name], second[name]) for name in first)


def composed(*overrides: str) -> Any:
    """What `ccsr train` composes of these, as plain values."""
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        cfg = compose("train", overrides=["data.root=somewhere", *overrides])
    return OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
