"""What holds on a GPU; without one these are skipped."""

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir

from ccsr.bundled import resource_dir
from ccsr.model import build, checkpoint
from ccsr.training.batches import Batches
from ccsr.training.config import resumed
from ccsr.training.degradation import Degradation
from ccsr.training.optimizer import Muon, split
from ccsr.training.photos import Photos, find_images
from ccsr.training.scales import Scales
from ccsr.training.sources import FromFiles, OnDevice
from ccsr.training.task import SRModule
from ccsr.training.train import train
from runs import TINY, rows

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.mark.parametrize("degrades", [False, True])
@pytest.mark.parametrize("reduction", ["uint8", "float"])
def test_batches_are_those_of_the_cpu(reduction, degrades):
    if degrades and reduction == "float":
        pytest.skip("levels of files only")
    settings = (resource_dir("conf") / "data/degradation/photo.yaml").read_text()
    everything = Degradation(**yaml.safe_load(settings) | {"webp": 0.0, "avif": 0.0})
    photos = Photos(find_images(None), reduced=[0.7])
    scales = Scales(1.25, 4, 4, anisotropic=0.5, pairs=8)
    files, device = (
        Batches(
            source,
            photos.sizes,
            scales,
            16,
            8,
            seed=3,
            dots=0.2,
            reduction=reduction,
            degradation=everything if degrades else None,
        )
        for source in (FromFiles(photos), OnDevice(photos, torch.device("cuda")))
    )
    unequal, values = 0, 0
    for step in range(40):
        for one, two in zip(files[step], device[step], strict=True):
            difference = (one.float() - two.cpu().float()).abs()
            unequal += int((difference > (0 if reduction == "uint8" else 1e-5)).sum())
            values += one.numel()
    print(f"{unequal} of {values} values differ")
    # halves that fall the other way, thresholds of dots; a JPEG spreads them over a block
    assert unequal <= (1e-3 if degrades else 1e-4) * values


def trained(folder, *overrides):
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        cfg = compose(
            "train",
            overrides=[
                *TINY,
                "model=light",
                "data=samples",
                "data.patch=16",
                "data.batch_size=4",
                "data.scales.values=[2,3]",
                "trainer.max_steps=20",
                "trainer.val_check_interval=10",
                "trainer.precision=32-true",
                *overrides,
            ],
        )
    train(cfg, folder)
    return checkpoint.load(folder / "model.safetensors")[0].state_dict()


def distance(one, two):
    """Of all weights, relative to how long they are."""
    square = sum((one[name] - two[name]).square().sum() for name in one)
    return float((square / sum(x.square().sum() for x in one.values())).sqrt())


def test_a_training_is_that_of_the_cpu(tmp_path):
    cpu = trained(tmp_path / "cpu", "trainer.accelerator=cpu")
    gpu = ("trainer.accelerator=gpu", "data.place=device", "trainer.benchmark=false")
    eager = trained(tmp_path / "eager", *gpu, "module.replay=false")
    replayed = trained(tmp_path / "replayed", *gpu)
    fused = trained(tmp_path / "fused", *gpu, "module.compile=true")
    files = trained(tmp_path / "files", *gpu, "data.place=memory", "data.workers=1")
    found = [distance(each, replayed) for each in (eager, fused, files, cpu)]
    print("eager, fused, files, cpu from replayed:", found)
    assert max(found) < 1e-3


def test_recordings_of_a_conditioned_network_are_told_the_quality(tmp_path):
    gpu = (
        "trainer.accelerator=gpu",
        "data/degradation=jpeg",
        "+model.encoder.conditioned=true",
        "data.scales.values=[2]",
    )
    eager = trained(tmp_path / "eager", *gpu, "module.replay=false")
    replayed = trained(tmp_path / "replayed", *gpu)
    assert any(name.endswith("shift") and weights.any() for name, weights in eager.items())
    assert distance(eager, replayed) < 1e-3


def test_accumulated_recordings_are_those_of_one_operation_after_the_other(tmp_path):
    gpu = ("trainer.accelerator=gpu", "trainer.accumulate_grad_batches=2")
    eager = trained(tmp_path / "eager", *gpu, "module.replay=false")
    replayed = trained(tmp_path / "replayed", *gpu)
    assert distance(eager, replayed) < 1e-3


def test_a_run_is_resumed(tmp_path):
    gpu = ("trainer.accelerator=gpu", "module.schedule=constant", "module.warmup=0")
    whole = trained(tmp_path / "whole", *gpu)
    folder = tmp_path / "cut"
    trained(folder, *gpu, "trainer.max_steps=8")
    train(resumed(folder, ["trainer.max_steps=20"]), folder, resume=True)
    other = checkpoint.load(folder / "model.safetensors")[0].state_dict()
    assert distance(whole, other) < 1e-3
    assert len(rows(folder / "train.csv")) == 20


def test_a_loss_that_is_not_finite_stops_the_run_before_anything_is_saved(tmp_path, monkeypatch):
    original = SRModule.loss_of

    def broken(self, lr, hr, effort=1.0):
        return original(self, lr, hr, effort) / 0.0

    monkeypatch.setattr(SRModule, "loss_of", broken)
    with pytest.raises(RuntimeError, match=r"the loss is not finite \(inf\) at step 0"):
        trained(tmp_path, "trainer.accelerator=gpu", "trainer.log_every_n_steps=5")
    assert not (tmp_path / "last.ckpt").exists()


def test_recorded_steps_of_the_optimizer_are_the_others():
    torch.manual_seed(0)
    field = {"name": "fourier", "kernel_size": 3, "basis": 8}
    parts = (
        {"name": "plain", "channels": 8, "blocks": 2},
        {"name": "friendly", "channels": 8, "field": field},
        {"name": "identity"},
    )
    models = [build(*parts).cuda() for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    optimizers = [
        Muon(*split(model), lr=1e-2, weight_decay=0.1, replay=replay)
        for model, replay in zip(models, (False, True), strict=True)
    ]
    for model in models:
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
    for _ in range(6):
        for p, q in zip(models[0].parameters(), models[1].parameters(), strict=True):
            p.grad.normal_()
            q.grad.copy_(p.grad)
        for optimizer in optimizers:
            optimizer.step()
    for p, q in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
