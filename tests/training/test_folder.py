"""A run touches nothing of others in its folder, and knows what is its own."""

import pytest
import torch

from ccsr.training.config import is_of
from ccsr.training.folder import held, past_of
from ccsr.training.train import train


def test_a_run_does_not_overwrite_another(finished, configure):
    with pytest.raises(ValueError, match="already holds a run: choose another, or resume="):
        train(configure(), finished[0])


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("names", [["config.yaml", "train.csv"], ["best.safetensors"]])
def test_a_run_overwrites_nothing_of_somebody_else(configure, tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("mine")
    before, message = contents(tmp_path), rf"holds {', '.join(names)} already, which a run there"
    with pytest.raises(ValueError, match=message):
        train(configure(), tmp_path)
    assert contents(tmp_path) == before


def test_a_log_of_somebody_else_survives_a_refused_run(configure, tmp_path):
    (tmp_path / "train.log").write_text("mine\n")
    with pytest.raises(ValueError, match="nothing to learn"):
        train(configure("data.scales.values=[1]"), tmp_path)
    assert (tmp_path / "train.log").read_text().startswith("mine\n")


def test_two_processes_do_not_write_one_folder(finished, configure, tmp_path):
    for folder, resume in ((tmp_path / "new", False), (finished[0], True)):
        folder.mkdir(exist_ok=True)
        before = sorted(path.name for path in folder.iterdir())
        with held(folder), pytest.raises(ValueError, match=f"another process trains in {folder}"):
            train(configure(), folder, resume=resume)
        assert sorted(path.name for path in folder.iterdir()) == before


def test_a_run_that_was_started_again_by_its_launcher_is_known(finished, configure, tmp_path):
    assert is_of(finished[0], configure())
    assert is_of(finished[0], configure("trainer.accumulate_grad_batches=2"))  # by fewer processes
    assert not is_of(finished[0], configure("seed=7"))
    assert not is_of(tmp_path, configure())


@pytest.mark.parametrize(
    "change", [{"global_step": -3}, {"global_step": "x"}, {"optimizer_states": []}]
)
def test_a_checkpoint_that_lacks_what_goes_on_is_damaged(tmp_path, change):
    saved = {"global_step": 5, "optimizer_states": [1], "state_dict": {"a": 1}}
    torch.save(saved, tmp_path / "last.ckpt")
    assert past_of(tmp_path / "last.ckpt").step == 5
    torch.save(saved | change, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"last\.ckpt is damaged and cannot be resumed from"):
        past_of(tmp_path / "last.ckpt")
