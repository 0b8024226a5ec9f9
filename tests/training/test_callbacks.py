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
