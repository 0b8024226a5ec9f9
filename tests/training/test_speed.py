"""What a run tells of its speed, and the forms in which it is cut into parts."""

import pytest
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from ccsr.bundled import resource_dir
from ccsr.grid import ProjectedGrid
from ccsr.model import build
from ccsr.training.config import resumed
from ccsr.training.folder import past_of
from ccsr.training.schedule import Rate
from ccsr.training.speed import Meter, multiply_adds, peak
from ccsr.training.train import train
from networks import tiny
from runs import assert_same_run, rows


def network(name):
    config = yaml.safe_load((resource_dir("conf") / "model" / f"{name}.yaml").read_text())
    del config["_target_"]
    return build(**config)


def test_a_table_tells_of_the_speed(finished):
    (row,) = rows(finished[0] / "speed.csv")
    assert set(row) == {
        "step",
        "steps_per_second",
        "pixels_per_second",
        "waiting",
        "memory_mb",
        "macs_per_second",
        "of_peak",
    }
    steps, pixels = float(row["steps_per_second"]), float(row["pixels_per_second"])
    assert pixels == pytest.approx(2 * 8 * 8 * steps)  # a batch is 2 patches of 8 x 8
    assert 0 < float(row["waiting"]) < 1
    assert 0 < float(row["of_peak"]) < 1
    log = (finished[0] / "train.log").read_text()
    assert "it/s" in log
    assert "% waiting for data" in log
    assert "multiply-adds/s" in log


def test_multiply_adds_are_those_of_the_convolutions_and_more():
    light = network("light")
    convolutions = 9 * 48 * (3 + 11 * 48)  # of the encoder, per pixel
    found = multiply_adds(light, (16, 20), (32, 40)) / (16 * 20)
    assert convolutions < found < 1.3 * convolutions


def test_a_step_takes_three_times_the_multiply_adds_of_a_result():
    model = tiny()
    size, target = (12, 12), (24, 24)
    grid = ProjectedGrid.project(size, target)
    with FlopCounterMode(display=False) as counter:
        x = torch.rand(1, 3, *size, requires_grad=True)
        model(x, grid).sum().backward()
    assert counter.get_total_flops() / 2 == pytest.approx(
        3 * multiply_adds(model, size, target), rel=0.1
    )


def test_a_meter_counts_between_two_readings(monkeypatch):
    now = 0.0
    monkeypatch.setattr("ccsr.training.speed.peak", lambda device, dtype: 1e9)
    monkeypatch.setattr("time.perf_counter", lambda: now)
    model = tiny()
    meter = Meter(model, torch.device("cpu"), torch.float32, processes=2)
    lr, hr = torch.zeros(4, 3, 8, 8), torch.zeros(4, 3, 16, 16)
    for _ in range(10):
        meter.count(lr, hr, 1.0)
    now = 3.0
    meter.pause()
    now = 5.0
    meter.resume()
    speed = meter.read(10, waited=0.75)
    assert speed.steps_per_second == pytest.approx(10 / 3)
    assert speed.pixels_per_second == pytest.approx(2 * 10 * 4 * 64 / 3)
    assert speed.waiting == pytest.approx(0.25)
    macs = 10 * 4 * 3 * multiply_adds(model, (8, 8), (16, 16)) / 3
    assert speed.macs_per_second == pytest.approx(macs)
    assert speed.of_peak == pytest.approx(macs / 1e9)
    now = 7.0
    later = meter.read(4, waited=0.75)
    assert later.memory_mb > 0  # of the whole process, where other threads come and go
    assert later._replace(memory_mb=0) == (2.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_the_peak_is_one():
    assert peak(torch.device("cpu"), torch.float32) > 1e8


def test_a_trapezoid_stays_and_falls_to_zero():
    rates = [Rate("trapezoid", 10, 0.3).factor(step, 100) for step in range(101)]
    assert rates[:11] == [Rate(warmup=10).factor(step, 100) for step in range(11)]
    assert set(rates[10:71]) == {1.0}
    assert rates[85] == pytest.approx(0.5)
    assert rates[100] == 0
    assert rates[70:] == sorted(rates[70:], reverse=True)


def test_a_constant_rate_stays():
    assert [Rate("constant", 2).factor(step, 20) for step in (0, 1, 2, 8, 20)] == [
        pytest.approx(1 / 3),
        pytest.approx(2 / 3),
        1.0,
        1.0,
        1.0,
    ]


@pytest.mark.long
def test_legs_of_a_trapezoid_are_one_training(configure, tmp_path):
    trapezoid = ("module.schedule=trapezoid", "module.warmup=0", "module.decay=0.25")
    train(configure(*trapezoid), tmp_path / "whole")
    train(configure(*trapezoid, "module.decay=1e-9", "trainer.max_steps=4"), tmp_path / "legs")
    rest = ["module.decay=0.25", "trainer.max_steps=8"]
    train(resumed(tmp_path / "legs", rest), tmp_path / "legs", resume=True)
    assert_same_run(tmp_path / "legs", tmp_path / "whole")


@pytest.mark.long
def test_the_state_of_base_can_be_carried(configure, tmp_path):
    one = ("model=base", "trainer.max_steps=1", "data.batch_size=1", "data.val.scales=[2]")
    train(configure(*one), tmp_path)
    assert (tmp_path / "last.ckpt").stat().st_size < 16 * 2**20


@pytest.mark.long
def test_a_run_of_a_gpu_goes_on_without_one(configure, tmp_path, monkeypatch):
    with monkeypatch.context() as context:
        context.setattr("torch.serialization.location_tag", lambda storage: "cuda:0")
        train(configure("module.schedule=constant", "trainer.max_steps=4"), tmp_path / "run")
    assert past_of(tmp_path / "run" / "last.ckpt").step == 4
    train(resumed(tmp_path / "run", ["trainer.max_steps=6"]), tmp_path / "run", resume=True)
    assert past_of(tmp_path / "run" / "last.ckpt").step == 6
