"""Runs that are stopped, and go on as if they had not been."""

import os
import shutil
import signal

import pytest
import torch
from PIL import Image

from ccsr.model import checkpoint
from ccsr.training.config import resumed
from ccsr.training.folder import past_of
from ccsr.training.photos import UnreadableError
from ccsr.training.task import SRModule
from ccsr.training.train import train
from runs import assert_same_run, rows, state


def die(monkeypatch, method, when):
    """Make a step of the module fail once `when(module, batch_idx)` holds."""
    original = getattr(SRModule, method)

    def dying(self, batch, batch_idx):
        if when(self, batch_idx):
            raise RuntimeError("killed")
        return original(self, batch, batch_idx)

    monkeypatch.setattr(SRModule, method, dying)


@pytest.mark.parametrize("step", [3, pytest.param(5, marks=pytest.mark.long)])
def test_a_killed_run_goes_on_exactly(finished, configure, tmp_path, monkeypatch, step):
    folder = tmp_path / "run"
    die(monkeypatch, "training_step", lambda module, batch_idx: module.global_step == step)
    with pytest.raises(RuntimeError, match="killed"):
        train(configure("callbacks.checkpoints.minutes=0"), folder)
    monkeypatch.undo()
    assert past_of(folder / "last.ckpt").step == step
    train(resumed(folder, ["callbacks.checkpoints.minutes=5"]), folder, resume=True)
    assert_same_run(folder, finished[0])


@pytest.mark.long
@pytest.mark.parametrize(
    "settings",
    [
        (
            "model=elastic", "model.encoder.channels=6", "model.encoder.blocks=1",
            "model.stack.channels=6",
        ),
        ("data.scales.per=sample", "data.scales.denominator=null", "data.batch_size=3"),
    ],
    ids=["efforts of an elastic network", "a scale for each sample"],
)  # fmt: skip
def test_what_is_drawn_in_each_step_is_the_same_after_a_stop(
    configure, tmp_path, monkeypatch, settings
):
    each = (*settings, "callbacks.checkpoints.minutes=0")
    train(configure(*each), tmp_path / "whole")
    die(monkeypatch, "training_step", lambda module, batch_idx: module.global_step == 3)
    with pytest.raises(RuntimeError, match="killed"):
        train(configure(*each), tmp_path / "cut")
    monkeypatch.undo()
    train(resumed(tmp_path / "cut", []), tmp_path / "cut", resume=True)
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.long
def test_a_run_killed_while_it_validates_goes_on_exactly(
    finished, configure, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    die(monkeypatch, "validation_step", lambda module, batch_idx: batch_idx == 1)
    with pytest.raises(RuntimeError, match="killed"):
        train(configure("callbacks.checkpoints.minutes=0"), folder)
    monkeypatch.undo()
    assert past_of(folder / "last.ckpt").step == 3
    train(resumed(folder, []), folder, resume=True)
    assert_same_run(folder, finished[0])


@pytest.mark.long
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
    assert past_of(folder / "last.ckpt").step == saved
    train(resumed(folder, []), folder, resume=True)
    assert_same_run(folder, finished[0])


def test_a_finished_run_can_be_prolonged(configure, tmp_path):
    folder = tmp_path / "run"
    train(configure("trainer.max_steps=4"), folder)
    train(resumed(folder, ["trainer.max_steps=6"]), folder, resume=True)
    assert [row["step"] for row in rows(folder / "train.csv")] == [str(i) for i in range(1, 7)]
    assert [row["step"] for row in rows(folder / "val.csv")] == ["4", "6"]


@pytest.mark.long
@pytest.mark.parametrize("accumulated", [1, 2])
def test_pictures_that_go_missing_cost_no_step(configure, tmp_path, monkeypatch, accumulated):
    settings = (f"trainer.accumulate_grad_batches={accumulated}", "trainer.max_steps=5")
    train(configure(*settings), tmp_path / "whole")
    counts = iter(range(100))

    def check(self):
        if next(counts) == 3 * accumulated:
            raise UnreadableError("7 of 9 pictures cannot be read")

    folder = tmp_path / "run"
    with monkeypatch.context() as missing:
        missing.setattr("ccsr.training.photos.Photos.check", check)
        next(counts)  # that at the start
        with pytest.raises(UnreadableError, match="7 of 9"):
            train(configure(*settings), folder)
    assert past_of(folder / "last.ckpt").step > 0
    train(resumed(folder, []), folder, resume=True)
    assert_same_run(folder, tmp_path / "whole")


def test_a_run_that_ends_between_the_batches_of_a_step_finishes_it(
    configure, tmp_path, monkeypatch
):
    original = SRModule.training_step

    def ending(self, batch, batch_idx):
        if batch_idx == 4:  # the second of the three of step 2, where a time limit may be reached
            self.trainer.should_stop = True
        return original(self, batch, batch_idx)

    monkeypatch.setattr(SRModule, "training_step", ending)
    train(configure("trainer.accumulate_grad_batches=3"), tmp_path)
    assert past_of(tmp_path / "last.ckpt").step == 2
    assert checkpoint.load(tmp_path / "model.safetensors")[1]["steps"] == 2
    assert "ended at step 2 of 8 by a callback" in (tmp_path / "train.log").read_text()


@pytest.mark.long
def test_what_goes_on_names_what_is_to_be_trusted(configure, tmp_path):
    """A timer of one's own is no `trainer.max_time`, and is named again."""
    timer = "pytorch_lightning.callbacks.Timer"
    words = (f"+callbacks.mine._target_={timer}", "+callbacks.mine.duration='00:00:00:01'")
    long = ("trainer.max_steps=100000", "trainer.val_check_interval=100000")
    train(configure(*long, *words), tmp_path)
    told = [line for line in (tmp_path / "train.log").read_text().splitlines() if "ended" in line]
    command = f"ccsr train 'resume={tmp_path}' callbacks.mine._target_={timer}"
    assert told[0].endswith(f"of 100000 by a callback; to go on: {command}")
    resumed(tmp_path, [command.split()[-1]])


@pytest.mark.long
def test_a_run_whose_time_is_over_says_so(configure, tmp_path):
    folder = tmp_path / "run"
    long = ("trainer.max_steps=100000", "trainer.val_check_interval=100000")
    train(configure("trainer.max_time='00:00:00:01'", *long), folder)
    train(resumed(folder, []), folder, resume=True)
    told = [line for line in (folder / "train.log").read_text().splitlines() if "ended" in line]
    assert len(told) == 2
    for line in told:
        assert (
            "of 100000 by trainer.max_time, which counts from the very first start; to go" in line
        )
        assert line.endswith(f"'resume={folder}' trainer.max_time=null (or a longer one)")
    steps = past_of(folder / "last.ckpt").step + 1
    words = ["trainer.max_time=null", f"trainer.max_steps={steps}"]
    train(resumed(folder, words), folder, resume=True)
    assert "ended" not in (folder / "train.log").read_text().splitlines()[-1]
    train(resumed(folder, words), folder, resume=True)
    assert f"all {steps} steps are done already" in (folder / "train.log").read_text()


@pytest.mark.long
def test_a_run_killed_before_it_wrote_its_result_writes_it(finished, configure, tmp_path):
    folder = tmp_path / "run"
    train(configure(), folder)
    (folder / "model.safetensors").unlink()
    train(resumed(folder, []), folder, resume=True)
    assert_same_run(folder, finished[0])


@pytest.mark.long
def test_accumulated_gradients_and_a_time_limit_survive_a_resume(configure, tmp_path, monkeypatch):
    extra = ("trainer.accumulate_grad_batches=2", "trainer.max_time='00:01:00:00'")
    train(configure(*extra), tmp_path / "whole")
    die(monkeypatch, "training_step", lambda module, batch_idx: batch_idx == 11)
    with pytest.raises(RuntimeError, match="killed"):
        train(configure(*extra, "callbacks.checkpoints.minutes=0"), tmp_path / "cut")
    monkeypatch.undo()
    assert past_of(tmp_path / "cut" / "last.ckpt").step == 5
    train(resumed(tmp_path / "cut", []), tmp_path / "cut", resume=True)
    one, two = state(tmp_path / "whole"), state(tmp_path / "cut")
    assert all(torch.equal(v, two["state_dict"][k]) for k, v in one["state_dict"].items())


def test_the_best_is_the_best_of_one_validation(finished, configure, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as context:
        context.setattr("ccsr.training.task.score", lambda *args: 99.0)  # not to be reached again
        train(configure("trainer.max_steps=4", "data.val.scales=[4]"), folder)
    other = ["trainer.max_steps=8", "data.val.scales=[2]"]
    train(resumed(folder, other), folder, resume=True)
    assert checkpoint.load(folder / "best.safetensors")[1]["steps"] == 8


@pytest.mark.long
def test_the_best_stays_the_best_when_the_last_validation_found_it(
    configure, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    rare = "trainer.val_check_interval=3"  # so that the validation of step 4 is made in the end
    with monkeypatch.context() as context:
        context.setattr("ccsr.training.task.score", lambda *args: 99.0)
        train(configure("trainer.max_steps=4", rare), folder)
    train(resumed(folder, []), folder, resume=True)
    assert [row["step"] for row in rows(folder / "val.csv")] == ["3", "4"]
    weights = state(folder)
    train(resumed(folder, ["trainer.max_steps=6"]), folder, resume=True)
    assert checkpoint.load(folder / "best.safetensors")[1]["validation"]["gain"] > 20
    parts = ("state_dict", "current_model_state")
    assert any(
        not torch.equal(weights[parts[0]][name], value) for name, value in weights[parts[1]].items()
    )  # the weights themselves, from which the run went on, are kept beside their average


def test_a_finished_run_is_validated_on_what_it_is_resumed_with(
    finished, configure, photos, tmp_path
):
    folder, others = tmp_path / "run", tmp_path / "others"
    others.mkdir()
    for path in photos.iterdir():
        with Image.open(path) as photo:
            photo.rotate(180).save(others / path.name)
    shutil.copytree(finished[0], folder)
    before = finished[1]["gain"]
    assert train(resumed(folder, []), folder, resume=True)["gain"] == before
    words = [f"data.val.root={others}"]
    again = train(resumed(folder, words), folder, resume=True)["gain"]
    assert again != before
    assert checkpoint.load(folder / "best.safetensors")[1]["validation"]["gain"] == round(again, 3)
    assert "the best is looked for anew" in (folder / "train.log").read_text()


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_damaged_checkpoint_is_named(finished, tmp_path, share):
    whole = (finished[0] / "last.ckpt").read_bytes()
    (tmp_path / "last.ckpt").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"last\.ckpt is damaged .* remove it to begin again"):
        past_of(tmp_path / "last.ckpt")


@pytest.mark.parametrize("content", [b"no checkpoint", b"\x80\x02}."])
def test_what_is_no_checkpoint_is_named(tmp_path, content):
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=r"last\.ckpt is damaged"):
        past_of(tmp_path / "last.ckpt")


@pytest.mark.long
def test_a_run_of_an_older_layout_goes_on(configure, tmp_path):
    train(configure("module.schedule=cosine", "trainer.max_steps=4"), tmp_path)
    path = tmp_path / "config.yaml"
    text = path.read_text()
    for new, old in (
        ("ccsr.training.task.", "ccsr.module."),
        ("ccsr.training.data.", "ccsr.data."),
        ("ccsr.training.average.Average", "ccsr.callbacks.Average"),
        ("ccsr.training.checkpoints.Checkpoints", "ccsr.training.callbacks.Checkpoints"),
        ("ccsr.training.display.display", "ccsr.callbacks.Lines"),
        ("ccsr.training.pictures.", "ccsr.pictures."),
    ):
        assert new in text
        text = text.replace(new, old)
    newer = ("schedule:", "decay:", "replay:", "compile:", "place:", "device_mb:", "cache:")
    lines = [line for line in text.splitlines() if not line.strip().startswith(newer)]
    path.write_text("\n".join(lines) + "\n")
    train(resumed(tmp_path, ["trainer.max_steps=6"]), tmp_path, resume=True)
    assert past_of(tmp_path / "last.ckpt").step == 6


@pytest.mark.long
def test_other_photos_than_those_of_the_run_so_far_are_said(configure, photos, tmp_path):
    folder, same, other = tmp_path / "run", tmp_path / "same", tmp_path / "other"
    shutil.copytree(photos, same)
    shutil.copytree(photos, other)
    (other / "0.png").rename(other / "9.png")
    train(configure("trainer.max_steps=4"), folder)
    for root, steps, told in ((same, 5, False), (other, 6, True)):
        words = [f"data.root={root}", f"trainer.max_steps={steps}"]
        train(resumed(folder, words), folder, resume=True)
        said = "not those of the run so far, 3 then and 3 now" in (folder / "train.log").read_text()
        assert said == told


def test_a_run_goes_on_with_one_value(finished):
    with pytest.raises(ValueError, match=r"one value of 'trainer\.max_steps', got several: 9,12"):
        resumed(finished[0], ["trainer.max_steps=9,12"])


def test_given_low_resolution_images_are_another_run(finished):
    with pytest.raises(ValueError, match=r"data\.lr cannot change between given .* another run"):
        resumed(finished[0], ["data.lr=somewhere"])
