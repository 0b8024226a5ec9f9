"""What is done to low-resolution patches: its share, its amount, and that it is no accident."""

import io
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ccsr.bundled import resource_dir
from ccsr.model import checkpoint
from ccsr.training import jpeg
from ccsr.training.batches import Batches
from ccsr.training.degradation import CODERS, Degradation, Drawn, degraded
from ccsr.training.photos import Photos, find_images
from ccsr.training.scales import Scales
from ccsr.training.sources import FromFiles, OnDevice
from ccsr.training.train import train

SILENT = "conditioned on the quality of JPEGs, and no batch tells it one"
PHOTO = yaml.safe_load((resource_dir("conf") / "data/degradation/photo.yaml").read_text())


def applied(degradation, patches, seed=0):
    size = patches.shape[2:]
    drawn = degradation.draw(np.random.default_rng(seed), len(patches), tuple(size))
    return degraded(patches, drawn), drawn


def grey(count=64, level=128, side=32):
    return torch.full((count, 3, side, side), level, dtype=torch.uint8)


def noise(count=8, side=24):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)


def test_clean_patches_stay_to_the_bit():
    everything = Degradation(**PHOTO | {"clean": 1.0})
    made, _ = applied(everything, noise())
    assert torch.equal(made, noise())


def test_shares_are_kept():
    degradation = Degradation(clean=0.25, noise=1.0, levels=(5, 5))
    made, _ = applied(degradation, grey(400))
    touched = (made != 128).flatten(1).any(1).float().mean()
    assert touched == pytest.approx(0.75, abs=0.07)


@pytest.mark.parametrize("sigma", [2.0, 8.0])
def test_noise_has_its_standard_deviation_smooth_or_not(sigma):
    degradation = Degradation(clean=0.0, noise=1.0, levels=(sigma, sigma))
    made, _ = applied(degradation, grey())
    assert made.float().std((1, 2, 3)).mean() == pytest.approx(sigma, rel=0.1)
    neighbours = (made[..., 1:].float() - made[..., :-1].float()).std((1, 2, 3)) / sigma
    assert neighbours.min() < 0.9  # of those that are smooth
    assert neighbours.max() > 1.3  # near the root of 2 where each pixel is its own


def test_half_of_the_noise_grows_with_the_light():
    degradation = Degradation(clean=0.0, noise=1.0, levels=(8, 8))
    dark, bright = (applied(degradation, grey(level=level))[0] for level in (32, 128))
    ratio = dark.float().std((1, 2, 3)) / bright.float().std((1, 2, 3))
    assert sorted(ratio.round(decimals=1).unique().tolist()) == pytest.approx([0.5, 1.0], abs=0.15)


def test_a_blur_keeps_the_mean_and_takes_out_detail():
    degradation = Degradation(clean=0.0, blur=1.0, sigmas=(0.8, 0.8))
    made, _ = applied(degradation, noise())
    assert made.float().mean() == pytest.approx(float(noise().float().mean()), abs=2)
    assert made.float().std() < 0.6 * noise().float().std()


def test_twice_is_more_than_once():
    once = Degradation(clean=0.0, jpeg=1.0, quality=(40, 40))
    twice = Degradation(clean=0.0, jpeg=1.0, quality=(40, 40), twice=1.0)
    first, second = (applied(each, noise(), seed=3)[0] for each in (once, twice))
    assert not torch.equal(first, noise())
    assert not torch.equal(first, second)


def photos_of(side=40, count=40):
    """Parts of a photo, which formats have something to keep of."""
    with Image.open(resource_dir("samples") / "coffee.png") as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    return torch.stack([pixels[:, 7 * n :, 11 * n :][:, :side, :side] for n in range(count)])


def by_pillow(patch, name, quality):
    stream = io.BytesIO()
    options = {"WEBP": {"method": 2}, "AVIF": {"speed": 8}}[name]
    pixels = patch.permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(stream, name, quality=quality, **options)
    return torch.from_numpy(np.array(Image.open(stream).convert("RGB"))).permute(2, 0, 1)


def test_webp_and_avif_are_shares_of_their_own():
    degradation = Degradation(clean=0.0, jpeg=0.25, webp=0.25, avif=0.25, quality=(40, 90))
    made, drawn = applied(degradation, photos_of())
    counts = {}
    for patch, result, coder, passes, quality in zip(
        photos_of(), made, drawn.coder, drawn.passes, drawn.quality[:, 0].tolist(), strict=True
    ):
        name = CODERS[coder][0] if passes and coder >= 0 else "JPEG" if passes else "none"
        counts[name] = counts.get(name, 0) + 1
        if name in ("WEBP", "AVIF"):
            assert torch.equal(result, by_pillow(patch, name, quality))
        assert torch.equal(result, patch) == (name == "none")
    assert set(counts) == {"JPEG", "WEBP", "AVIF", "none"}
    assert all(4 <= count <= 17 for count in counts.values())


def test_a_webp_may_have_been_a_jpeg():
    degradation = Degradation(clean=0.0, webp=1.0, twice=1.0, quality=(40, 40))
    made, drawn = applied(degradation, photos_of(count=2))
    once = jpeg.compress(
        photos_of(count=2).float(), drawn.steps[:, 0], drawn.halved[:, 0], drawn.start[:, 0]
    )
    for patch, result in zip(once.byte(), made, strict=True):
        assert torch.equal(result, by_pillow(patch, "WEBP", 40))


def test_a_pillow_without_avif_is_named(monkeypatch):
    monkeypatch.setattr("ccsr.training.degradation.features.check", lambda name: False)
    with pytest.raises(ValueError, match=r"webp=0\.1 needs a Pillow that writes WEBP.*webp=0$"):
        Degradation(webp=0.1)
    with pytest.raises(ValueError, match=r"avif=0\.1 needs a Pillow that writes AVIF.*avif=0$"):
        Degradation(avif=0.1)


class Elsewhere(TorchDispatchMode):
    """Sees to it that nothing is sent to another device, as no recording could repeat it."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Refuse operations that take a tensor of the host."""
        for each in tree_leaves((args, kwargs)):
            if isinstance(each, torch.Tensor) and each.device.type == "cpu":
                raise AssertionError(f"{function} takes a tensor from the host")
        return function(*args, **kwargs or {})


def test_on_another_device_nothing_waits_for_the_host(monkeypatch):
    """The device `meta` has no values that one could wait for."""

    def refused(*args, **kwargs):
        raise AssertionError("numbers would be copied to the device")

    degradation = Degradation(**PHOTO)
    for seed in range(2):  # the first call makes what later ones find
        drawn = degradation.draw(np.random.default_rng(seed), 4, (24, 24))
        drawn = Drawn(*(part.to("meta") for part in drawn))
        patches = noise(4).to("meta")
        if seed:
            monkeypatch.setattr(torch, "tensor", refused)
            monkeypatch.setattr(torch.Tensor, "new_tensor", refused)
        with Elsewhere() if seed else nullcontext():
            made = degraded(patches, drawn)
        assert (made.shape, made.dtype) == (patches.shape, torch.uint8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clean": 1.5}, r"data\.degradation\.clean must be in \[0, 1\], got 1\.5"),
        ({"jpeg": 0.7, "webp": 0.7}, "expected at most 1 together, got 0.7, 0.7 and 0.0"),
        ({"quality": [98, 30]}, r"data\.degradation\.quality must be the least and the largest"),
        ({"quality": [0, 30]}, r"data\.degradation\.quality must be in \[1, 100\], got 0"),
        ({"sigmas": [0, 3]}, r"data\.degradation\.sigmas must be in \[0, 0\.8\], got 3"),
        ({"levels": 5}, r"data\.degradation\.levels must be a list of 2 numbers, got 5"),
    ],
)
def test_numbers_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Degradation(**settings)


def test_batches_are_equal_to_the_bit_wherever_the_photos_lie(photos):
    found = Photos(find_images(photos))
    degradation = Degradation(**PHOTO | {"kernels": 0.5})
    files, device, plain = (
        Batches(source, found.sizes, Scales(1, 3, 2), 16, 5, seed=3, degradation=chosen)
        for source, chosen in (
            (FromFiles(found), degradation),
            (OnDevice(found, torch.device("cpu")), degradation),
            (FromFiles(found), None),
        )
    )
    changed = 0
    for step in range(30):
        assert all(map(torch.equal, files[step], device[step])), step
        assert all(map(torch.equal, files[step], files[step])), step
        # the photos and places are those of a training without it
        if torch.equal(files[step].hr, plain[step].hr):
            changed += not torch.equal(files[step].lr, plain[step].lr)
    assert changed > 20


def test_other_kernels_reduce_too(photos):
    found = Photos(find_images(photos))
    one, other = (
        Batches(
            FromFiles(found), found.sizes, Scales(values=[2.0]), 16, 4, seed=1, degradation=each
        )
        for each in (None, Degradation(clean=1.0, kernels=1.0))
    )
    kinds = set()
    for step in range(12):
        difference = (one[step].lr.float() - other[step].lr.float()).abs().mean()
        assert torch.equal(one[step].hr, other[step].hr)
        assert 0 < difference < 20  # another kernel, at the same place
        kinds.add(one_kernel(other, step))
    assert kinds == {"box", "linear", "lanczos"}


def one_kernel(batches, step):
    return batches.degradation.kernel(np.random.default_rng((batches.seed, step, 0, 1)))


def test_fractions_are_refused(photos):
    found = Photos(find_images(photos))
    with pytest.raises(ValueError, match=r"expected data\.reduction=uint8, got float"):
        Batches(
            FromFiles(found), found.sizes, Scales(), 16, 4, reduction="float",
            degradation=Degradation(),
        )  # fmt: skip


def test_the_quality_of_jpegs_is_told_of_the_coarser_of_two():
    degradation = Degradation(clean=0.2, jpeg=0.8, webp=0.1, avif=0.1, twice=0.5, told=0.7)
    drawn = degradation.draw(np.random.default_rng(0), 4000, (2, 2))
    files = (drawn.passes > 0) & (drawn.coder < 0)
    coarser = torch.where(drawn.passes > 1, drawn.quality.amin(1), drawn.quality[:, 0])
    told = drawn.told > 0
    assert not (told & ~files).any()
    assert torch.equal(drawn.told[told], coarser[told].float())
    assert 0.66 < told.sum() / files.sum() < 0.74
    assert 0.75 < (drawn.coder[drawn.passes > 0] < 0).float().mean() < 0.85
    silent = Degradation(jpeg=1, told=0).draw(np.random.default_rng(0), 100, (2, 2))
    assert not silent.told.any()


@pytest.mark.long
def test_a_conditioned_network_learns_from_what_it_is_told(configure, tmp_path):
    words = ["data/degradation=jpeg", "+model.encoder.conditioned=true"]
    words += ["data.val.degrade=[jpeg:40]", "trainer.max_steps=6"]
    train(configure(*words), tmp_path / "run")
    model, _ = checkpoint.load(tmp_path / "run" / "model.safetensors")
    shifts = [value for name, value in model.named_parameters() if name.endswith(".shift")]
    assert shifts
    assert all(each.any() for each in shifts)
    assert SILENT not in (tmp_path / "run" / "train.log").read_text()
    train(configure(*words, "data.degradation.told=0"), tmp_path / "silent")
    assert SILENT in (tmp_path / "silent" / "train.log").read_text()
    silent, _ = checkpoint.load(tmp_path / "silent" / "model.safetensors")
    assert not any(v.any() for name, v in silent.named_parameters() if name.endswith(".shift"))


@pytest.mark.long
def test_a_run_that_cleans_at_scale_1(configure, tmp_path):
    words = ["data/degradation=jpeg", "+model.cleans=true", "data.scales.values=[1,2]"]
    words += ["data.val.scales=[1,2]", "data.val.degrade=[none,jpeg:60]"]
    found = train(configure(*words), tmp_path / "run")
    assert {"jpeg:60/psnr_x1", "jpeg:60/psnr_x2", "none/psnr_x2"} <= set(found)
    assert "none/psnr_x1" not in found
    assert found["gain"] == pytest.approx((found["jpeg:60/gain"] + found["none/gain"]) / 2)
    model, summary = checkpoint.load(tmp_path / "run" / "model.safetensors")
    assert model.cleans
    assert summary["degradation"]["quality"] == [30, 98]
