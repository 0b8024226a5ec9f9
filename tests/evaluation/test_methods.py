"""The contenders: bicubic, Lanczos, and a network: alone, averaged, followed by Lanczos."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from ccsr import image
from ccsr.bundled import resource_dir
from ccsr.evaluation.cases import Case, Files
from ccsr.evaluation.methods import build
from ccsr.evaluation.testsets import TestSet
from ccsr.grid import ProjectedGrid
from ccsr.image import to_float
from ccsr.image.degrade import Degrade
from ccsr.model import checkpoint
from ccsr.protocols import PROTOCOLS
from ccsr.resample import resize
from ccsr.upscaling.upscaler import Upscaler
from networks import conditioned, tiny

BENCHMARK, LIIF = PROTOCOLS["benchmark-y"], PROTOCOLS["liif-rgb"]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A tiny network with random weights in a file."""
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    checkpoint.save(path, tiny(), {})
    return path


def low(channels=3):
    generator = torch.Generator().manual_seed(0)
    soft = 0.4 + 0.2 * torch.rand(channels, 9, 12, generator=generator)  # nothing overshoots
    return image.to_uint8(soft)


def only(name, protocol=BENCHMARK):
    (method,) = build([str(name)], protocol, device="cpu", precision="fp32")
    return method


def test_bicubic_is_8_bit_where_the_output_is(network):
    lr = low()
    rounded = only("bicubic").upscale(lr, (18, 30))
    assert torch.equal(BENCHMARK.finish(rounded), rounded)
    smooth = only("bicubic", LIIF).upscale(lr, (18, 30))
    expected = resize(to_float(lr), ProjectedGrid.project((9, 12), (18, 30)))
    torch.testing.assert_close(smooth, expected)
    assert (BENCHMARK.finish(smooth) - rounded).abs().max() < 1.1 / 255


def test_lanczos_agrees_with_pillow():
    lr = low()
    pillow = Image.fromarray(lr.permute(1, 2, 0).numpy()).resize((30, 18), Image.Resampling.LANCZOS)
    ours = image.to_uint8(only("lanczos").upscale(lr, (18, 30))).permute(1, 2, 0)
    inner = (slice(6, -6), slice(8, -8))  # Pillow cuts its kernel at borders, ours repeats pixels
    difference = np.asarray(pillow)[inner].astype(int) - ours.numpy()[inner]
    assert abs(difference).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(18, 24), (22, 30), (36, 18)])
def test_a_network_gives_the_exact_size(network, channels, size):
    method = only(network)
    sr = method.upscale(low(channels), size)
    grid = ProjectedGrid.project((9, 12), size)
    upscaler = Upscaler.load(network, device="cpu", precision="fp32")
    torch.testing.assert_close(sr, upscaler.tensor(to_float(low(channels)), grid=grid))
    assert sr.shape == (channels, *size)
    assert method.checkpoint == network
    assert method.sha256 == hashlib.sha256(network.read_bytes()).hexdigest()


def test_network_then_lanczos(network):
    lr = low()
    at_4 = only(network).upscale(lr, (36, 48))
    both = only(f"{network}@4+lanczos")
    # at 4 itself Lanczos reads at pixel centres and changes nothing
    torch.testing.assert_close(both.upscale(lr, (36, 48)), at_4, atol=1e-6, rtol=0)
    further = resize(at_4, ProjectedGrid.project((36, 48), (54, 30)), "lanczos")
    torch.testing.assert_close(both.upscale(lr, (54, 30)), further)


def test_network_with_an_ensemble(network):
    lr, size = low(), (22, 30)
    upscaler = Upscaler.load(network, device="cpu", precision="fp32", ensemble="flips")
    expected = upscaler.tensor(to_float(lr), grid=ProjectedGrid.project((9, 12), size))
    averaged = only(f"{network}+flips").upscale(lr, size)
    torch.testing.assert_close(averaged, expected)
    assert not torch.allclose(averaged, only(network).upscale(lr, size), atol=1e-4)


def test_network_with_an_ensemble_then_lanczos(network):
    lr = low()
    at_4 = only(f"{network}+flips").upscale(lr, (36, 48))
    further = resize(at_4, ProjectedGrid.project((36, 48), (54, 30)), "lanczos")
    both = only(f"{network}+flips@4+lanczos").upscale(lr, (54, 30))
    torch.testing.assert_close(both, further)


def test_a_folder_may_be_called_like_an_ensemble(network, tmp_path):
    path = tmp_path / "new+flips" / "tiny.safetensors"
    path.parent.mkdir()
    path.write_bytes(network.read_bytes())
    assert only(path).checkpoint == path
    assert only(f"{path}+flips").checkpoint == path


@pytest.mark.parametrize("ensemble", ["flipss", "scales:3"])
def test_unknown_ensembles_are_refused(network, ensemble):
    with pytest.raises(ValueError, match=f"ensemble must be flips, or .* got '{ensemble}'"):
        build([f"{network}+{ensemble}"], BENCHMARK)


def test_names_in_the_table_are_short_where_they_are_clear(network, tmp_path):
    other = tmp_path / "tiny.safetensors"
    other.write_bytes(network.read_bytes())
    names = ["bicubic", str(network), f"{network}@4+lanczos"]
    assert [m.name for m in build(names, BENCHMARK, "cpu")] == ["bicubic", "tiny", "tiny@4+lanczos"]
    twins = [str(network), str(other)]
    assert [m.name for m in build(twins, BENCHMARK, "cpu")] == twins


def test_a_network_is_loaded_once(network, monkeypatch):
    calls = []
    load = checkpoint.load
    monkeypatch.setattr(checkpoint, "load", lambda *a, **k: calls.append(a) or load(*a, **k))
    build([str(network), f"{network}@4+lanczos", f"{network}@2.5+lanczos"], BENCHMARK, "cpu")
    assert len(calls) == 1


def test_the_same_model_twice_is_refused():
    with pytest.raises(ValueError, match="lanczos twice"):
        build(["lanczos", "bicubic", "lanczos"], BENCHMARK)


@pytest.mark.parametrize("name", ["bicubicc", "nosuchmodel@4+lanczos", "nosuchmodel+flips"])
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match="no model called"):
        build([name], BENCHMARK)


def test_a_conditioned_network_is_told_what_files_tell(tmp_path):
    """Of an image that goes through JPEG here, or whose low-resolution file is one."""
    path, (high, low) = tmp_path / "told.safetensors", (tmp_path / "HR", tmp_path / "LR" / "x2")
    checkpoint.save(path, conditioned(), {})
    method = only(path)
    high.mkdir()
    low.mkdir(parents=True)
    with Image.open(resource_dir("samples") / "chelsea.png") as picture:
        photo = picture.convert("RGB").crop((100, 60, 260, 180))
    photo.save(high / "cat.png")
    photo.reduce(2).save(low / "cat.jpg", quality=60)

    def case(given, degrade):
        chain = Degrade.parse(degrade) if degrade else None
        testset = TestSet("cats", {0: high})
        return Case(testset, "cat.png", (2.0, 2.0), BENCHMARK, given, chain, Files())

    network = Upscaler.load(path, device="cpu", precision="fp32")
    for given, degrade, quality in (
        (None, None, None),
        (None, "jpeg:75", 75),
        (None, "noise:9", None),
        (tmp_path / "LR", None, 60),
    ):
        one = case(given, degrade)
        expected = network.at_quality(quality).tensor(to_float(one.lr), size=one.size)
        torch.testing.assert_close(method.output(one), expected)
        assert (expected - network.at_quality(30).tensor(to_float(one.lr), size=one.size)).any()
