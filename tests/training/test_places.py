"""Photos in files and photos on the device: the same batches, the same training."""

import pytest
import torch

from ccsr.training.batches import Batches
from ccsr.training.config import resumed
from ccsr.training.photos import Photos, find_images
from ccsr.training.scales import Scales
from ccsr.training.sources import FromFiles, OnDevice
from ccsr.training.train import train
from runs import assert_same_run


def pair(photos, device, **options):
    """The batches of photos in files, and of the same photos on a device."""
    found = Photos(find_images(photos), reduced=[0.9])
    scales = Scales(1, 3, 2, anisotropic=0.5, pairs=8)
    for source in (FromFiles(found), OnDevice(found, torch.device(device))):
        yield Batches(source, found.sizes, scales, 8, 5, seed=3, dots=0.3, **options)


@pytest.mark.parametrize("reduction", ["uint8", "float"])
def test_batches_are_equal_to_the_bit(photos, reduction):
    files, device = pair(photos, "cpu", reduction=reduction)
    for step in range(40):
        assert all(map(torch.equal, files[step], device[step])), step


@pytest.mark.long
def test_weights_are_equal_after_twenty_steps(configure, tmp_path):
    for place in ("memory", "device"):
        longer = ("trainer.max_steps=20", "data.dots=0.1", f"data.place={place}")
        train(configure(*longer), tmp_path / place)
    assert_same_run(tmp_path / "memory", tmp_path / "device")


@pytest.mark.long
def test_a_run_goes_on_with_its_photos_elsewhere(configure, tmp_path):
    train(configure("module.schedule=constant"), tmp_path / "whole")
    folder = tmp_path / "cut"
    first = ("module.schedule=constant", "trainer.max_steps=4", "data.place=device")
    train(configure(*first), folder)
    train(resumed(folder, ["trainer.max_steps=8", "data.place=memory"]), folder, resume=True)
    assert_same_run(folder, tmp_path / "whole")


def test_photos_that_do_not_fit_are_refused(configure, tmp_path):
    message = r"data\.place=device needs 0 MB .* data\.device_mb allows 0: raise it, or take"
    with pytest.raises(ValueError, match=message):
        train(configure("data.place=device", "data.device_mb=0.001"), tmp_path / "run")


def test_a_place_that_is_none_is_refused(configure, tmp_path):
    with pytest.raises(ValueError, match=r"data\.place must be auto, memory or device, got 'gpu'"):
        train(configure("data.place=gpu"), tmp_path / "run")
