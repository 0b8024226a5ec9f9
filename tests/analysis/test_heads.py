import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor

from ccsr.analysis import consistency, heads
from ccsr.analysis.findings import Options
from ccsr.analysis.scoring import Bicubic
from ccsr.bundled import resource_dir
from ccsr.evaluation.methods import BICUBIC
from ccsr.grid import ProjectedGrid
from ccsr.model import build, checkpoint
from ccsr.model.network import parts_of
from ccsr.training import train
from ccsr.training.checkpoints import FINAL

TINY = (
    "model.encoder.channels=8", "model.encoder.blocks=1", "data.patch=8", "data.batch_size=1",
    "data.scales.values=[2]", "data.scales.anisotropic=0", "data.val.images=1", "data.val.crop=48",
    "data.val.scales=[2]",
)  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two heads, little to train and little to measure."""
    monkeypatch.setitem(heads.HEADS, "small", {"friendly": (), "thera": ()})
    monkeypatch.setitem(heads.ENCODERS, "small", TINY)
    monkeypatch.setattr(heads, "SCALES", ((2.0, 2.0), (1.5, 4.0)))
    monkeypatch.setattr(heads, "CROP", 48)
    monkeypatch.setattr(heads, "COUNTED", ((6, 8), (24, 32)))
    monkeypatch.setattr(heads, "TIMED", ((12, 16), (24, 32)))
    monkeypatch.setattr(heads, "SIDE", 24)
    monkeypatch.setattr(consistency, "SIDE", 32)


def saved(path: Path, channels: int = 8, summary: dict[str, Any] | None = None) -> str:
    torch.manual_seed(0)
    encoder = {"name": "plain", "channels": channels, "blocks": 1}
    stack = {"name": "ccsr.peers.thera:Thera", "waves": 4}
    path.parent.mkdir(exist_ok=True)
    checkpoint.save(path, build(encoder, stack, {"name": "identity"}), summary or {})
    return str(path)


@pytest.mark.usefixtures("small")
def test_finished_runs_and_files_are_measured(tmp_path: Path) -> None:
    file = saved(tmp_path / "file.safetensors")
    saved(tmp_path / "run" / FINAL, summary={"max_steps": 7})
    findings = heads.analyse(Options((file, str(tmp_path / "run")), limit=1))
    bicubic, *both = findings.records
    assert [one["name"] for one in findings.records] == [BICUBIC, "file", "run"]
    assert [one["steps"] for one in findings.records] == [None, None, 7]
    assert both[0]["psnr"] == both[1]["psnr"] != bicubic["psnr"]
    assert bicubic["same_positions"] > consistency.EXACT
    assert all(len(one["psnr"]) == 2 and one["seconds"] > 0 for one in findings.records)
    quality, cost = findings.tables
    assert quality.lines[0] == ["head", "2", "4 wide x 1.5 high"]
    assert f"| {BICUBIC} | {bicubic['psnr'][0]:.2f}" in quality.markdown()
    assert [line[0] for line in cost.lines[1:]] == [BICUBIC, "file", "run"]
    findings.pictures["heads.png"](tmp_path / "heads.png")
    assert (tmp_path / "heads.png").stat().st_size > 10_000


@pytest.mark.long
@pytest.mark.usefixtures("small")
def test_heads_are_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(
        data=resource_dir("samples"), encoder="small", limit=1, steps=2, out=tmp_path / "out"
    )
    findings = heads.analyse(options)
    assert [one["name"] for one in findings.records] == [BICUBIC, "friendly", "thera"]
    assert [one["steps"] for one in findings.records] == [None, 2, 2]

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("it trained again")

    monkeypatch.setattr(train, "train", refuse)
    again = heads.analyse(options).records
    assert [one["psnr"] for one in again] == [one["psnr"] for one in findings.records]
    with pytest.raises(ValueError, match=r"holds a run with data.root=.*: choose another --out"):
        heads.analyse(replace(options, data=tmp_path))


@pytest.mark.thinned(2)
@pytest.mark.parametrize("encoder", list(heads.ENCODERS))
def test_the_head_alone_differs(encoder: str) -> None:
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        settings = [*heads.TRAINING, *heads.ENCODERS[encoder], "data.root=x"]
        made = [
            compose("train", overrides=[f"model={heads.PRESETS[name]}", *own, *settings])
            for name, own in heads.HEADS[encoder].items()
        ]
    stacks = {cfg.model.stack.name for cfg in made}
    assert len(stacks) == len(heads.PRESETS)
    kept = []
    for cfg in made:
        plain: Any = OmegaConf.to_container(cfg)
        del plain["model"]["stack"]
        plain["model"].setdefault("base", "bicubic")
        kept.append(plain)
    assert all(each == kept[0] for each in kept)


def test_multiply_adds_and_weights_of_liif() -> None:
    """Four answers an output pixel, of a layer from 3x3 features, three between, one to colours."""
    channels, hidden = 8, 16
    network = build(
        {"name": "plain", "channels": channels, "blocks": 1},
        {"name": "ccsr.peers.liif:LIIF", "hidden": hidden},
        {"name": "identity"},
        base="none",
    )
    encoder = sum(p.numel() for p in parts_of(network).encoder.parameters() if p.ndim > 1)
    inputs = 9 * channels + 4
    products = inputs * hidden + 3 * hidden**2 + 3 * hidden
    whole, head, multiplies = heads.sizes(network)
    assert head == products + 4 * hidden + 3
    assert whole == sum(p.numel() for p in network.parameters())
    assert math.isclose(multiplies, (4 * products + encoder / 16) / 1000)


class Slow(Bicubic):
    """Bicubic that takes its time, and counts."""

    calls = 0

    def tensor(self, x: Tensor, *, grid: ProjectedGrid) -> Tensor:
        self.calls += 1
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return super().tensor(x, grid=grid)


def test_what_takes_long_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "TIMED", ((6, 8), (12, 16)))
    monkeypatch.setattr(heads, "PATIENCE", 0.04)
    slow = Slow()
    times = heads.seconds({"fast": Bicubic(), "slow": slow})
    assert slow.calls == 1
    assert times["slow"] > 0.05 > times["fast"]


def test_other_encoders_are_refused(tmp_path: Path) -> None:
    files = [saved(tmp_path / f"{channels}.safetensors", channels) for channels in (4, 8)]
    with pytest.raises(ValueError, match=r"differ in the head alone, but 8 has .*, and 4 .*"):
        heads.analyse(Options(tuple(files)))


def test_it_needs_photos_and_a_folder_or_runs(tmp_path: Path) -> None:
    for options in (Options(data=tmp_path), Options(out=tmp_path)):
        with pytest.raises(ValueError, match=r"heads trains networks: give --data .* by --model"):
            heads.analyse(options)
