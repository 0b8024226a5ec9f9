"""What Lightning offers beside our settings: it works, or it is refused with a sentence."""

import pytest
import torch
from pytorch_lightning import Callback

from ccsr.training.config import plain
from ccsr.training.train import train
from ccsr.training.trainer import build_trainer
from runs import assert_same_run, rows, state


def lightning(name, *more):
    return f"+callbacks.x._target_=pytorch_lightning.callbacks.{name}", *more


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            lightning("EMAWeightAveraging"),
            r"x cannot be a WeightAveraging: .* callbacks\.average\.decay",
        ),
        (
            lightning("StochasticWeightAveraging", "+callbacks.x.swa_lrs=0.1"),
            r"x cannot be a StochasticWeightAveraging: .* callbacks\.average\.decay",
        ),
        (
            lightning("GradientAccumulationScheduler", "+callbacks.x.scheduling={0: 2}"),
            r"x cannot be a GradientAccumulationScheduler: .* trainer\.accumulate_grad_batches",
        ),
        (lightning("LearningRateFinder"), r"x cannot be a LearningRateFinder: .*learning_rate"),
        (lightning("BatchSizeFinder"), r"x cannot be a BatchSizeFinder: give data\.batch_size"),
        (
            lightning("ModelPruning", "+callbacks.x.pruning_fn=l1_unstructured"),
            "x cannot be a ModelPruning: .* cannot be kept",
        ),
        (lightning("BackboneFinetuning"), r"x cannot be a BaseFinetuning: .* give init=FILE"),
        (
            lightning("EarlyStopping", "+callbacks.x.monitor=loss"),
            r"^callbacks\.x\.monitor must be a column of val\.csv .* val/gain, got 'loss'",
        ),
        (
            lightning("EarlyStopping", "+callbacks.x.monitor=val/gain"),
            r"^callbacks\.x\.mode is min, .* and of val/gain more is better: give .*mode=max",
        ),
        (
            lightning("ModelCheckpoint", "+callbacks.x.monitor=val/psnr_x2"),
            r"of val/psnr_x2 more is better",
        ),
        (
            ("+callbacks.x._target_=collections.Counter",),
            r"^callbacks\.x must be a callback of Lightning, got (builtins|collections)",
        ),
    ],
)
def test_callbacks_that_would_not_be_obeyed_are_refused(configure, tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        train(configure(*overrides), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["benchmark", "detect_anomaly", "deterministic", "inference_mode"])
def test_what_lightning_would_take_for_true_is_refused(configure, tmp_path, name):
    message = f"^trainer.{name} must be true or false, got 'abc'"
    with pytest.raises(ValueError, match=message):
        train(configure(f"++trainer.{name}=abc"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_package_that_a_callback_lacks_is_a_sentence(configure, tmp_path, monkeypatch):
    class Lacking(Callback):
        def setup(self, trainer, pl_module, stage):
            raise ModuleNotFoundError("it needs `nosuch`, which is not installed")

    monkeypatch.setattr("pytorch_lightning.callbacks.Timer", Lacking)
    with pytest.raises(RuntimeError, match="it needs `nosuch`, which is not installed"):
        train(configure(*lightning("Timer")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["EarlyStopping", "ModelCheckpoint"])
def test_a_column_that_there_is_not_is_refused_before_the_first_step(configure, tmp_path, name):
    words = lightning(name, "+callbacks.x.monitor=val/psnr_x7", "+callbacks.x.mode=max")
    message = f"a callback, {name}, watches 'val/psnr_x7', .* expected one of val/bicubic_x2, "
    with pytest.raises(ValueError, match=message):
        train(configure(*words), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_callbacks_of_lightning_work(configure, finished, tmp_path):
    """They change nothing of the training."""
    watching = ("+callbacks.y._target_=pytorch_lightning.callbacks.ModelCheckpoint",)
    watching += ("+callbacks.y.monitor=val/gain", "+callbacks.y.mode=max")
    watching += (f"+callbacks.y.dirpath={tmp_path}/best",)
    train(configure(*lightning("LearningRateMonitor"), *watching), tmp_path / "run")
    assert_same_run(tmp_path / "run", finished[0])
    assert len(list((tmp_path / "best").glob("*.ckpt"))) == 1
    (monitored,) = (tmp_path / "run").glob("lr-*.csv")
    assert len(rows(monitored)) == 8


def test_a_run_that_stops_early_is_whole(configure, tmp_path):
    stopping = lightning("EarlyStopping", "+callbacks.x.monitor=val/gain", "+callbacks.x.mode=max")
    always = (*stopping, "+callbacks.x.patience=1", "+callbacks.x.min_delta=100")
    train(configure(*always, "trainer.max_steps=40", "trainer.val_check_interval=2"), tmp_path)
    steps = [int(row["step"]) for row in rows(tmp_path / "val.csv")]
    assert steps == [2, 4]
    assert state(tmp_path)["global_step"] == 4
    assert (tmp_path / "model.safetensors").exists()


@pytest.mark.long
def test_a_validation_before_the_first_step_changes_nothing(configure, finished, tmp_path):
    """It shows that validating works; its few images are no result."""
    seen = []

    class Watching(Callback):
        def on_sanity_check_end(self, trainer, pl_module):
            seen.append((trainer.global_step, sorted(p.name for p in tmp_path.iterdir())))

        def on_validation_batch_end(self, trainer, *more):
            seen.append(trainer.sanity_checking)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytorch_lightning.callbacks.Timer", Watching)
        train(configure("+trainer.num_sanity_val_steps=2", *lightning("Timer")), tmp_path)
    assert seen[:3] == [True, True, (0, ["train.log"])]
    assert set(seen[3:]) == {False}
    assert_same_run(tmp_path, finished[0])


def test_what_is_to_be_deterministic_is_not_tried_out(configure, tmp_path):
    config = plain(configure("+trainer.deterministic=true"))
    build_trainer(config, tmp_path, 0)
    try:
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("simple", "run_training_batch"),
        ("advanced", "run_training_batch"),
        pytest.param("pytorch", "aten::", marks=pytest.mark.long),
    ],
)
@pytest.mark.filterwarnings("ignore:The PyTorch Profiler default schedule:UserWarning")
@pytest.mark.filterwarnings("ignore:.*Profiler clears events at the end of each cycle:UserWarning")
def test_a_profile_lies_in_the_runs_folder(configure, tmp_path, name, told):
    short = ("trainer.max_steps=2", "trainer.val_check_interval=2")
    train(configure(*short, f"+trainer.profiler={name}"), tmp_path)
    (profile,) = tmp_path.glob("fit-profile*.txt")
    assert told in profile.read_text()
