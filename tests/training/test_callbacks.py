from types import SimpleNamespace

import pytest
import torch

from ccsr.training.average import Average
from ccsr.training.task import SRModule


def test_the_average_follows_faster_at_the_start():
    module = SRModule(torch.nn.Linear(1, 1, bias=False))
    weight, average = module.model.weight, Average(decay=0.5)
    average.setup(None, module, "fit")
    seen = []
    for step, value in enumerate([4.0, 8.0, 16.0, 16.0], start=1):
        weight.data.fill_(value)
        average.on_train_batch_end(SimpleNamespace(global_step=step), module, None, None, 0)
        seen.append(average.network.weight.item())
    decays = [0, 2 / 11, 3 / 12, 4 / 13]
    expected, mean = [], 0.0
    for decay, value in zip(decays, [4.0, 8.0, 16.0, 16.0], strict=True):
        mean = decay * mean + (1 - decay) * value
        expected.append(mean)
    assert seen == pytest.approx(expected)


def test_buffers_are_those_of_the_network():
    """What is validated and kept would otherwise normalise by the statistics of no picture."""
    module = SRModule(torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.BatchNorm2d(3)))
    average = Average(decay=0.9)
    average.setup(None, module, "fit")
    for step in (1, 2):
        module.model(torch.rand(2, 3, 8, 8))
        average.on_train_batch_end(SimpleNamespace(global_step=step), module, None, None, 0)
    kept, trained = average.network[1], module.model[1]
    assert kept.num_batches_tracked == 2
    assert torch.equal(kept.running_mean, trained.running_mean)
    assert torch.equal(kept.running_var, trained.running_var)
    assert kept.running_mean is not trained.running_mean
