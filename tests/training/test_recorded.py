import pytest

from ccsr.training.task import SRModule
from ccsr.training.train import train
from runs import assert_same_run


@pytest.mark.parametrize("accumulated", [1, pytest.param(2, marks=pytest.mark.long)])
def test_recorded_steps_are_those_of_autograd(configure, tmp_path, monkeypatch, accumulated):
    # in bfloat16 gradients are summed in another order
    cfg = configure(f"trainer.accumulate_grad_batches={accumulated}", "trainer.precision=32-true")
    train(cfg, tmp_path / "plain")
    monkeypatch.setattr(SRModule, "replays", True)  # a CPU calls what a GPU records
    train(cfg, tmp_path / "recorded")
    assert_same_run(tmp_path / "plain", tmp_path / "recorded")
