"""Training from end to end: tiny runs."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image

from ccsr import checkpoint
from ccsr.model import CCSR
from ccsr.module import SRModule
from ccsr.overrides import resumed
from ccsr.resample import ProjectedGrid
from ccsr.resources import resource_dir
from ccsr.train import step_of, train

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


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    generator = torch.Generator().manual_seed(0)
    for i in range(3):
        coarse = torch.rand(1, 3, 7, 8, generator=generator)
        photo = torch.nn.functional.interpolate(coarse, (48, 52), mode="bilinear")[0]
        pixels = (photo * 255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def configure(photos):
    def configured(*overrides):
        roots = f"data.root={photos}", f"data.val.root={photos}"
        with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
            return compose("train", overrides=[*TINY, *roots, *overrides])

    return configured


@pytest.fixture(scope="module")
def finished(photos, tmp_path_factory):
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    roots = f"data.root={photos}", f"data.val.root={photos}"
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        cfg = compose("train", overrides=[*TINY, *roots])
    return folder, train(cfg, folder)


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


def die(monkeypatch, method, when):
    """Make a step of the module fail once `when(module, batch_idx)` holds."""
    original = getattr(SRModule, method)

    def dying(self, batch, batch_idx):
        if when(self, batch_idx):
            raise RuntimeError("killed")
        return original(self, batch, batch_idx)

    monkeypatch.setattr(SRModule, method, dying)


def test_a_run_leaves_one_folder_with_everything(finished):
    folder, results = finished
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "best.safetensors",
        "config.yaml",
        "last.ckpt",
        "model.safetensors",
        "pictures/step_0000004.png",
        "pictures/step_0000008.png",
        "train.csv",
        "train.log",
        "val.csv",
    }
    assert [folder] == list(folder.parent.iterdir())
    assert results["gain"] == pytest.approx(
        (results["psnr_x2"] + results["psnr_x3x1.5"]) / 2
        - (results["bicubic_x2"] + results["bicubic_x3x1.5"]) / 2
    )


def test_the_tables_hold_every_step(finished):
    folder, results = finished
    assert [row["step"] for row in rows(folder / "train.csv")] == [str(i) for i in range(1, 9)]
    assert set(rows(folder / "train.csv")[0]) == {"step", "loss", "learning_rate", "gradient_norm"}
    validations = rows(folder / "val.csv")
    assert [row["step"] for row in validations] == ["4", "8"]
    assert float(validations[1]["gain"]) == pytest.approx(results["gain"])


def test_the_log_tells_of_progress(finished):
    log = (finished[0] / "train.log").read_text()
    assert "3 photos" in log
    assert "step 8/8  loss" in log
    assert "validation, PSNR (bicubic): x2 " in log


def test_the_result_is_the_average_and_upscales(finished):
    folder, results = finished
    model, summary = checkpoint.load(folder / "model.safetensors")
    averaged = state(folder)["state_dict"]
    assert all(torch.equal(v, averaged[f"model.{k}"]) for k, v in model.state_dict().items())
    assert model(torch.rand(1, 3, 5, 6), ProjectedGrid.project((5, 6), (9, 20))).shape[2:] == (
        9,
        20,
    )
    assert summary["steps"] == 8
    assert summary["validation"]["gain"] == pytest.approx(results["gain"], abs=1e-3)


def test_no_path_of_this_machine_is_in_the_result(finished, photos):
    _, summary = checkpoint.load(finished[0] / "model.safetensors")
    assert summary["data"] == [photos.name]
    assert str(photos.parent) not in str(summary)


def test_the_picture_shows_four_tiles_per_row(finished):
    with Image.open(finished[0] / "pictures" / "step_0000008.png") as picture:
        assert picture.size == (4 * (36 + 4) + 4, 2 * (36 + 4) + 4)


def test_batches_of_other_processes_are_the_same(finished, configure, tmp_path):
    train(configure("data.workers=1"), tmp_path / "run")
    assert_same_run(tmp_path / "run", finished[0])


def test_a_terminal_gets_a_bar(finished, configure, tmp_path, monkeypatch, capsys):
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    train(configure(), tmp_path / "run")
    shown = capsys.readouterr().out
    assert "training" in shown
    assert "8/8" in shown
    assert "step 8/8" not in (tmp_path / "run" / "train.log").read_text()
    assert (tmp_path / "run" / "val.csv").read_text() == (finished[0] / "val.csv").read_text()


@pytest.mark.parametrize("step", [3, 5])
def test_a_killed_run_goes_on_exactly(finished, configure, tmp_path, monkeypatch, step):
    folder = tmp_path / "run"
    die(monkeypatch, "training_step", lambda module, batch_idx: module.global_step == step)
    with pytest.raises(RuntimeError, match="killed"):
        train(configure("callbacks.checkpoints.minutes=0"), folder)
    monkeypatch.undo()
    assert step_of(folder / "last.ckpt") == step
    train(resumed(folder, ["callbacks.checkpoints.minutes=5"]), folder, resume=True)
    assert_same_run(folder, finished[0])


def test_an_elastic_network_sees_the_same_efforts_after_a_stop(configure, tmp_path, monkeypatch):
    small = ("model=elastic", "model.encoder.channels=6", "model.encoder.blocks=1")
    small += ("model.stack.channels=6", "callbacks.checkpoints.minutes=0")
    train(configure(*small), tmp_path / "whole")
    die(monkeypatch, "training_step", lambda module, batch_idx: module.global_step == 3)
    with pytest.raises(RuntimeError, match="killed"):
        train(configure(*small), tmp_path / "cut")
    monkeypatch.undo()
    train(resumed(tmp_path / "cut", []), tmp_path / "cut", resume=True)
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_a_run_killed_while_it_validates_goes_on_exactly(
    finished, configure, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    die(monkeypatch, "validation_step", lambda module, batch_idx: batch_idx == 1)
    with pytest.raises(RuntimeError, match="killed"):
        train(configure("callbacks.checkpoints.minutes=0"), folder)
    monkeypatch.undo()
    assert step_of(folder / "last.ckpt") == 3
    train(resumed(folder, []), folder, resume=True)
    assert_same_run(folder, finished[0])


@pytest.mark.parametrize(
    ("number", "stop"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
@pytest.mark.parametrize(
    ("method", "step", "saved"),
    [
        ("training_step", 2, 3),
        ("training_step", 3, 4),
        ("validation_step", 4, 5),
        ("training_step", 7, 8),
    ],
)
def test_a_run_asked_to_stop_finishes_its_step_and_saves(
    finished, configure, tmp_path, monkeypatch, number, stop, method, step, saved
):
    folder = tmp_path / "run"
    original = getattr(SRModule, method)

    def interrupted(self, batch, batch_idx):
        if self.global_step == step and (method == "training_step" or batch_idx == 1):
            os.kill(os.getpid(), number)
        return original(self, batch, batch_idx)

    before = signal.getsignal(number)
    monkeypatch.setattr(SRModule, method, interrupted)
    with pytest.raises(stop):
        train(configure(), folder)
    monkeypatch.undo()
    assert signal.getsignal(number) == before
    assert step_of(folder / "last.ckpt") == saved
    train(resumed(folder, []), folder, resume=True)
    assert_same_run(folder, finished[0])


def test_a_finished_run_can_be_prolonged(configure, tmp_path):
    folder = tmp_path / "run"
    train(configure("trainer.max_steps=4"), folder)
    train(resumed(folder, ["trainer.max_steps=6"]), folder, resume=True)
    assert [row["step"] for row in rows(folder / "train.csv")] == [str(i) for i in range(1, 7)]
    assert [row["step"] for row in rows(folder / "val.csv")] == ["4", "6"]


def test_a_run_killed_before_it_wrote_its_result_writes_it(finished, configure, tmp_path):
    folder = tmp_path / "run"
    train(configure(), folder)
    (folder / "model.safetensors").unlink()
    train(resumed(folder, []), folder, resume=True)
    assert_same_run(folder, finished[0])


def test_accumulated_gradients_and_a_time_limit_survive_a_resume(configure, tmp_path, monkeypatch):
    extra = ("trainer.accumulate_grad_batches=2", "trainer.max_time='00:01:00:00'")
    train(configure(*extra), tmp_path / "whole")
    die(monkeypatch, "training_step", lambda module, batch_idx: batch_idx == 11)
    with pytest.raises(RuntimeError, match="killed"):
        train(configure(*extra, "callbacks.checkpoints.minutes=0"), tmp_path / "cut")
    monkeypatch.undo()
    assert step_of(tmp_path / "cut" / "last.ckpt") == 5
    train(resumed(tmp_path / "cut", []), tmp_path / "cut", resume=True)
    one, two = state(tmp_path / "whole"), state(tmp_path / "cut")
    assert all(torch.equal(v, two["state_dict"][k]) for k, v in one["state_dict"].items())


def test_a_loss_that_is_not_finite_stops_the_run(configure, tmp_path, monkeypatch):
    original = CCSR.forward

    def broken(self, x, grid, via=None):
        return original(self, x, grid, via) * float("nan")

    monkeypatch.setattr(CCSR, "forward", broken)
    message = r"the loss is not finite \(nan\) at step 0, learning rate .*module\.learning_rate"
    with pytest.raises(RuntimeError, match=message):
        train(configure(), tmp_path / "run")
    assert "not finite" in (tmp_path / "run" / "train.log").read_text()


def test_a_gradient_that_is_not_finite_never_reaches_the_weights(configure, tmp_path, monkeypatch):
    original = SRModule.training_step

    def broken(self, batch, batch_idx):
        loss = original(self, batch, batch_idx)
        return loss * float("inf") if self.global_step == 2 else loss

    monkeypatch.setattr(SRModule, "training_step", broken)
    with pytest.raises(RuntimeError, match=r"the gradient is not finite .* at step 2"):
        train(configure("callbacks.checkpoints.minutes=0"), tmp_path / "run")
    assert all(v.isfinite().all() for v in state(tmp_path / "run")["state_dict"].values())


def test_a_run_does_not_overwrite_another(finished, configure):
    with pytest.raises(ValueError, match="already holds a run: choose another, or resume="):
        train(configure(), finished[0])


def test_a_run_starts_from_the_weights_of_init(finished, configure, tmp_path):
    path = finished[0] / "model.safetensors"
    train(configure(f"init={path}", "trainer.max_steps=1", "module.learning_rate=0"), tmp_path)
    result, summary = checkpoint.load(tmp_path / "model.safetensors")
    expected = checkpoint.load(path)[0].state_dict()
    for name, value in result.state_dict().items():
        assert torch.equal(value, expected[name])
    assert summary["init"] == "model"


def test_weights_of_another_shape_are_refused(finished, configure, tmp_path):
    start = f"init={finished[0] / 'model.safetensors'}"
    with pytest.raises(ValueError, match=r"init=.* do not fit .* at least as large"):
        train(configure(start, "model.encoder.channels=4"), tmp_path)


@pytest.mark.parametrize(
    "override",
    [
        "trainer.max_steps=0",
        "trainer.val_check_interval=null",
        "data.batch_size=2.5",
        "data.patch=0",
    ],
)
def test_counts_must_be_positive_integers(configure, tmp_path, override):
    key, _, value = override.partition("=")
    message = rf"{key} must be a positive integer, got {'None' if value == 'null' else value}"
    with pytest.raises(ValueError, match=message):
        train(configure(override), tmp_path / "run")


def test_the_best_is_the_best_of_one_validation(finished, configure, tmp_path):
    folder = tmp_path / "run"
    train(configure("trainer.max_steps=4", "data.val.scales=[4]"), folder)
    other = ["trainer.max_steps=8", "data.val.scales=[2]"]
    train(resumed(folder, other), folder, resume=True)
    gains = [float(row["gain"]) for row in rows(folder / "val.csv")]
    assert gains[1] < gains[0]
    assert checkpoint.load(folder / "best.safetensors")[1]["steps"] == 8


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "last.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"last\.ckpt is damaged"):
        step_of(tmp_path / "last.ckpt")


def from_the_command_line(folder, *arguments, program=("-m", "ccsr.train")):
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


STOPPED = """
import os, signal
from ccsr.module import SRModule
from ccsr.train import main

original = SRModule.training_step

def stopped(self, batch, batch_idx):
    if self.global_step == 2 and self.trainer.global_rank == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    return original(self, batch, batch_idx)

if os.environ.get("STOPPED"):
    SRModule.training_step = stopped
main()
"""


def test_two_processes_train_one_network_and_stop_together(photos, tmp_path, monkeypatch):
    script, folder = tmp_path / "script.py", tmp_path / "run"
    script.write_text(STOPPED)
    several = ("trainer=ddp", "trainer.devices=2", f"data.root={photos}", f"data.val.root={photos}")
    monkeypatch.setenv("STOPPED", "1")
    result = from_the_command_line(
        tmp_path, *TINY, *several, "hydra.run.dir=run", program=[str(script)]
    )
    assert result.returncode == 143, result.stderr
    assert step_of(folder / "last.ckpt") == 3
    monkeypatch.delenv("STOPPED")
    result = from_the_command_line(tmp_path, f"resume={folder}", program=[str(script)])
    assert result.returncode == 0, result.stderr
    assert step_of(folder / "last.ckpt") == 8
    assert [row["step"] for row in rows(folder / "train.csv")] == [str(i) for i in range(1, 9)]
    checkpoint.load(folder / "model.safetensors")


def test_a_sweep_from_the_command_line(photos, tmp_path):
    short = ("trainer.max_steps=2", "trainer.val_check_interval=2")
    several = ("logger=wandb", "seed=1,2", "--multirun")
    result = from_the_command_line(tmp_path, *TINY, *short, f"data.root={photos}", *several)
    assert result.returncode == 0, result.stderr
    assert "Warn" not in result.stderr
    (sweep,) = (tmp_path / "runs").iterdir()
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    seeds = [checkpoint.load(sweep / job / "model.safetensors")[1]["seed"] for job in "01"]
    assert seeds == [1, 2]
    names = sorted(path.name for path in sweep.glob("*/wandb/offline-run-*"))
    assert [name[-8:] for name in names] == ["_train_0", "_train_1"]
