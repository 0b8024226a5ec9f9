"""What a run leaves, and what it refuses."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from ccsr.grid import ProjectedGrid
from ccsr.model import CCSR, checkpoint
from ccsr.training.config import resumed
from ccsr.training.loggers import Tables
from ccsr.training.start import check_kept
from ccsr.training.task import SRModule
from ccsr.training.train import train
from ccsr.training.trainer import AtomicIO
from runs import assert_same_run, rows, state
from small_disk import files_of_at_most


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
        "speed.csv",
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


@pytest.mark.long
def test_a_terminal_gets_a_bar(finished, configure, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    train(configure(), tmp_path / "run")
    printed, shown = capsys.readouterr()
    assert printed == ""
    assert "training" in shown
    assert "8/8" in shown
    assert "Mpx/s" in shown
    assert "step 8/8" not in (tmp_path / "run" / "train.log").read_text()
    assert (tmp_path / "run" / "val.csv").read_text() == (finished[0] / "val.csv").read_text()


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


def test_a_folder_whose_name_is_no_text_costs_no_run(configure, photos, tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    try:
        shutil.copytree(photos, folder)
    except OSError:
        pytest.skip("names here are text")
    short = ("trainer.max_steps=1", "trainer.val_check_interval=1", "callbacks=null")
    cfg = configure(*short)
    cfg.data.root = str(folder)
    train(cfg, tmp_path / "run")
    assert checkpoint.load(tmp_path / "run" / "model.safetensors")[1]["data"] == [r"\udcff"]


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


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("callbacks.average.decay=2", r"callbacks\.average\.decay must be in \[0, 1\), got 2"),
        ("callbacks.checkpoints.minutes=-1", "minutes must not be negative, got -1"),
        ("trainer.gradient_clip_val=-1", "gradient_clip_val must not be negative, got -1"),
        ("trainer.log_every_n_steps=0", "log_every_n_steps must be a positive integer, got 0"),
        ("data.scales.values=[1]", "has 1 only, where bicubic is exact: nothing to learn"),
    ],
)
def test_nonsense_is_not_trained(configure, tmp_path, override, message):
    with pytest.raises(ValueError, match=message):
        train(configure(override), tmp_path / "run")


def test_a_run_beyond_its_steps_is_not_resumed(configure, tmp_path):
    train(configure("trainer.max_steps=4"), tmp_path)
    with pytest.raises(ValueError, match=r"at step 4 already, beyond trainer\.max_steps=3"):
        train(resumed(tmp_path, ["trainer.max_steps=3"]), tmp_path, resume=True)


@pytest.mark.long
def test_a_run_shorter_than_its_reports_has_a_table(configure, tmp_path):
    train(configure("trainer.log_every_n_steps=50"), tmp_path)
    assert [row["step"] for row in rows(tmp_path / "train.csv")] == ["8"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+trainer.max_epochs=3", r"trainer\.max_epochs cannot be set: a run here has one epoch"),
        ("+trainer.num_sanity_val_steps=-2", r"num_sanity_val_steps must not be negative, got -2"),
        ("+trainer.enable_progress_bar=false", r"trainer\.enable_progress_bar cannot be set"),
        (
            "+trainer.overfit_batches=1",
            r"trainer\.overfit_batches cannot be set.* data\.root=PHOTO",
        ),
        ("trainer.max_time=1", r"trainer\.max_time must be days, hours, .* 00:06:30:00, .* got 1"),
        ("trainer.max_time='00:00:00:00'", "must be days, hours, minutes and seconds"),
        ("trainer.max_time='6:30'", "must be days, hours, minutes and seconds"),
        ("+trainer.max_time.hour=6", "must be days, hours, minutes and seconds"),
        ("+trainer.profiler=fast", "profiler must be simple, advanced or pytorch, got 'fast'"),
        ("+trainer.fast_dev_run=true", r"trainer\.fast_dev_run cannot be set.*max_steps=1 "),
        ("+trainer.barebones=true", r"trainer\.barebones cannot be set"),
        ("+trainer.limit_val_batches=0", "would leave out the validation"),
        ("trainer.strategy=fsdp", "strategy must be one of auto, ddp, got 'fsdp'"),
        ("trainer.gradient_clip_val=abc", "gradient_clip_val must be a number, got 'abc'"),
        ("+trainer.check_val_every_n_epoch=2", r"trainer\.check_val_every_n_epoch cannot be set"),
        ("+trainer.enable_model_summary=true", r"trainer\.enable_model_summary cannot be set"),
        ("+trainer.logger=false", r"trainer\.logger cannot be set"),
        ("+trainer.default_root_dir=x", r"trainer\.default_root_dir cannot be set"),
        ("callbacks.pictures.rows=x", r"callbacks\.pictures\.rows must be an integer, got 'x'"),
        ("callbacks.average.decay=x", r"callbacks\.average\.decay must be a number, got 'x'"),
        ("+callbacks.x._target_=nowhere.X", r"^callbacks\.x: nowhere\.X cannot be imported"),
        ("+data.scales.foo=1", "^data cannot be made from its settings, by .*PhotoData.*'foo'"),
        ("+trainer.gradient_clip_algorithm=value", "algorithm must be norm, got 'value'"),
        ("trainer.precision=64-true", "precision must be one of auto, 32, .* got '64-true'"),
        ("trainer.precision=bf16-true", "precision must be one of auto, 32, .* got 'bf16-true'"),
    ],
)
def test_settings_that_would_not_be_obeyed_are_refused(configure, tmp_path, override, message):
    with pytest.raises(ValueError, match=message):
        train(configure(override), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_refused_while_it_begins_leaves_nothing(configure, tmp_path):
    tmp_path.joinpath("mine").mkdir()
    for folder in (tmp_path / "mine", tmp_path / "new"):
        with pytest.raises(ValueError, match=r"data\.place=device needs 0 MB .* data\.device_mb"):
            train(configure("data.place=device", "data.device_mb=0"), folder)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_run_without_callbacks_still_gives_a_network(configure, tmp_path):
    short = ("trainer.max_steps=2", "trainer.val_check_interval=2")
    train(configure(*short, "callbacks=null"), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"config.yaml", "model.safetensors", "train.csv", "train.log", "val.csv"}


def test_several_validation_sets_have_a_curve_each(configure, photos, tmp_path):
    sets = f"+data.val.sets={{text: {photos}, people: [{photos}/0.png]}}"
    results = train(configure("data.val.root=null", sets.removeprefix("+")), tmp_path / "run")
    row = rows(tmp_path / "run" / "val.csv")[-1]
    for kind in ("text", "people"):
        for name in ("psnr_x2", "bicubic_x3x1.5", "gain"):
            assert float(row[f"{kind}/{name}"]) == pytest.approx(results[f"{kind}/{name}"])
    assert results["gain"] == pytest.approx((results["text/gain"] + results["people/gain"]) / 2)
    gains = [float(row["gain"]) for row in rows(tmp_path / "run" / "val.csv")]
    best = checkpoint.load(tmp_path / "run" / "best.safetensors")[1]
    assert best["validation"]["gain"] == pytest.approx(max(gains), abs=1e-3)
    assert "validation, people, PSNR (bicubic): x2 " in (tmp_path / "run/train.log").read_text()


def test_a_disk_that_is_full_is_told_in_a_sentence(tmp_path):
    path = tmp_path / "last.ckpt"
    message = rf"^cannot write {path}: File too large$"
    with files_of_at_most(20_000), pytest.raises(OSError, match=message):
        AtomicIO().save_checkpoint({"x": torch.zeros(100_000)}, path)
    assert list(tmp_path.iterdir()) == []


def test_a_table_on_a_full_disk_is_named(tmp_path):
    tables = Tables(tmp_path)
    tables.log_metrics({"train/loss": 1.0}, 1)
    limit = (tmp_path / "train.csv").stat().st_size + 2
    with files_of_at_most(limit), pytest.raises(OSError, match=r"cannot write .*train\.csv: File"):
        tables.log_metrics({"train/loss": 2.0}, 2)


@pytest.mark.parametrize("name", ["last.ckpt", "folder"])
def test_init_takes_no_checkpoint_of_a_training(finished, configure, tmp_path, name):
    path = finished[0] / name if name != "folder" else finished[0]
    message = r"is not an inference file: give .*best\.safetensors, .* taken up again by resume="
    with pytest.raises(ValueError, match=message):
        train(configure(f"init={path}"), tmp_path / "run")


def test_init_that_is_damaged_is_not_blamed_on_its_weights(finished, configure, tmp_path):
    path = tmp_path / "half.safetensors"
    whole = (finished[0] / "model.safetensors").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"half\.safetensors is damaged, truncated"):
        train(configure(f"init={path}"), tmp_path / "run")


class Foreign(torch.nn.Conv2d):
    """A network of somebody else, with all that a step needs."""

    efforts = (1.0,)

    def __init__(self):
        super().__init__(3, 3, 1)

    def route(self, size, grid, effort=1.0):
        return ()


def test_a_network_that_cannot_be_kept_is_refused_before_the_first_step(tmp_path):
    with pytest.raises(ValueError, match="could not be read again from its file, so nothing"):
        check_kept(Foreign(), tmp_path, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_step_has_as_many_batches_whoever_shares_them(configure, tmp_path):
    """One process goes on with what two began: each step adds up two batches."""
    options = ("trainer.accumulate_grad_batches=2", "module.schedule=constant", "module.warmup=0")
    train(configure(*options), tmp_path / "whole")
    train(configure(*options, "trainer.max_steps=4"), tmp_path / "cut")
    kept = state(tmp_path / "cut")
    kept["batches"] = {"processes": 2, "accumulated": 1}
    progress = kept["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    for counts in (progress["total"], progress["current"]):
        behind = counts["ready"] - counts["completed"]
        counts.update(dict.fromkeys(counts, counts["ready"] // 2))
        counts["completed"] -= behind
    torch.save(kept, tmp_path / "cut" / "last.ckpt")
    config = tmp_path / "cut" / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("accumulate_grad_batches: 2", "accumulate_grad_batches: 1"))
    train(resumed(tmp_path / "cut", ["trainer.max_steps=8"]), tmp_path / "cut", resume=True)
    one, two = state(tmp_path / "whole"), state(tmp_path / "cut")
    assert one["global_step"] == two["global_step"] == 8
    for name, value in one["state_dict"].items():
        assert torch.equal(value, two["state_dict"][name]), name
    val = [(tmp_path / name / "val.csv").read_text() for name in ("whole", "cut")]
    assert val[0] == val[1]
    assert "accumulate_grad_batches: 2" in config.read_text()


@pytest.mark.parametrize("place", ["memory", "device"])
def test_no_run_is_trained_on_black_patches(configure, photos, tmp_path, place):
    """The only photo that is large enough turns out to be unreadable; the other one is fine."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with Image.open(photos / "0.png") as photo:
        photo.crop((0, 0, 12, 12)).save(folder / "small.png")
        photo.save(folder / "large.png")
    body = (folder / "large.png").read_bytes()
    (folder / "large.png").write_bytes(body[: len(body) // 2])
    words = [f"data.root={folder}", "data.scales.values=[1.5,4]", f"data.place={place}"]
    with pytest.raises(ValueError, match=r"data\.patch=8 at the scale 4 can be read"):
        train(configure(*words, "data.scales.anisotropic=0"), tmp_path / "run")
