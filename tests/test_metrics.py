"""PSNR, SSIM and luma: arithmetic first, other libraries second."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import (
    peak_signal_noise_ratio as torchmetrics_psnr,
)
from torchmetrics.functional.image import (
    structural_similarity_index_measure as torchmetrics_ssim,
)

from ccsr.metrics import WEIGHTS_BT601, WEIGHTS_LIIF, load_lpips, luma, psnr, ssim


def pictures(seed=0, channels=3, height=24, width=31, noise=0.1):
    generator = torch.Generator().manual_seed(seed)
    hr = torch.rand(channels, height, width, generator=generator)
    hr = torch.nn.functional.avg_pool2d(hr, 3, 1, 1)
    sr = (hr + noise * torch.randn(hr.shape, generator=generator)).clamp(0, 1)
    return sr, hr


def test_luma_of_black_white_and_primaries():
    colours = torch.tensor([[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    levels = 255 * luma(colours[:, :, None, None]).flatten()
    torch.testing.assert_close(
        levels, torch.tensor([16, 235, 16 + 65.481, 16 + 128.553, 16 + 24.966])
    )


def test_luma_of_grey_is_itself():
    grey = torch.rand(2, 1, 3, 4)
    assert torch.equal(luma(grey), grey)


def test_liif_weights_are_within_a_thousandth_of_a_level():
    assert sum(WEIGHTS_LIIF) == pytest.approx(sum(WEIGHTS_BT601), abs=1e-5)
    assert pytest.approx(WEIGHTS_BT601, abs=2e-5) == WEIGHTS_LIIF


@pytest.mark.parametrize("shape", [(2, 4, 4), (4, 4, 4), (3, 4)])
def test_luma_refuses_other_channels(shape):
    with pytest.raises(ValueError, match="1 or 3 channels"):
        luma(torch.zeros(shape))


@pytest.mark.parametrize("offset", [1, 0.1, 1 / 255])
def test_psnr_of_a_constant_offset(offset):
    hr = torch.zeros(3, 5, 5)
    assert psnr(hr + offset, hr) == pytest.approx(-20 * math.log10(offset), abs=1e-5)


def test_psnr_of_equal_images_is_infinite():
    hr = torch.rand(1, 4, 4)
    assert psnr(hr, hr) == math.inf


@pytest.mark.parametrize(("shave", "expected"), [(0, 10), (1, math.inf), ((1, 0), math.inf)])
def test_psnr_leaves_out_the_border(shave, expected):
    hr = torch.zeros(1, 10, 8)
    sr = hr.clone()
    sr[:, [0, -1]] = math.sqrt(0.5)  # 16 of 80 pixels, squared error 0.5: mean 0.1
    assert psnr(sr, hr, shave) == pytest.approx(expected)


def test_shave_is_vertical_then_horizontal():
    hr = torch.zeros(1, 6, 6)
    sr = hr.clone()
    sr[:, :, 0] = 1
    assert psnr(sr, hr, (0, 1)) == math.inf
    assert psnr(sr, hr, (1, 0)) < math.inf


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 3]),
    st.integers(11, 40),
    st.sampled_from([0.01, 0.3]),
)
def test_psnr_and_ssim_agree_with_scikit_image(seed, channels, height, noise):
    sr, hr = pictures(seed, channels, height, noise=noise)
    truth, other = hr.double().numpy(), sr.double().numpy()
    assert psnr(sr, hr) == pytest.approx(
        peak_signal_noise_ratio(truth, other, data_range=1), abs=1e-4
    )
    expected = structural_similarity(
        truth,
        other,
        data_range=1,
        channel_axis=0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(sr, hr) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("noise", [0.01, 0.2])
def test_psnr_and_ssim_agree_with_torchmetrics(channels, noise):
    sr, hr = pictures(3, channels, noise=noise)
    assert psnr(sr, hr) == pytest.approx(float(torchmetrics_psnr(sr, hr, data_range=1.0)), abs=1e-4)
    batch = sr[None].double(), hr[None].double()
    _, similarity = torchmetrics_ssim(*batch, data_range=1.0, return_full_image=True)
    whole_windows = similarity[..., 5:-5, 5:-5]  # the others hang over reflected borders
    assert ssim(sr, hr) == pytest.approx(float(whole_windows.mean()), abs=1e-4)


def test_ssim_of_constants_is_the_brightness_term():
    low, high = torch.full((1, 12, 12), 0.25), torch.full((1, 12, 12), 0.5)
    expected = (2 * 0.125 + 1e-4) / (0.0625 + 0.25 + 1e-4)
    assert ssim(low, high) == pytest.approx(expected)
    assert ssim(high, high) == pytest.approx(1)


def test_ssim_leaves_out_the_border():
    sr, hr = pictures()
    sr[:, :4] = 0
    assert ssim(sr, hr, (4, 2)) == pytest.approx(ssim(sr[:, 4:-4, 2:-2], hr[:, 4:-4, 2:-2]))


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_what_is_not_a_number_is_no_perfect_result(metric):
    sr, hr = pictures()
    sr[0, 12, 15] = math.nan
    assert math.isnan(metric(sr, hr))


@pytest.mark.parametrize("metric", [psnr, ssim, lambda x, _: luma(x)])
@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.bool])
def test_levels_are_refused(metric, kind):
    x = torch.ones(3, 12, 12, dtype=kind)
    with pytest.raises(TypeError, match=r"expected floats in \[0, 1\], got torch\."):
        metric(x, x)


@pytest.mark.parametrize("metric", [psnr, ssim, lambda x, _: luma(x)])
@pytest.mark.parametrize("given", [np.ones((3, 12, 12)), Image.new("RGB", (12, 12)), "a.png", None])
def test_what_is_no_tensor_is_refused(metric, given):
    with pytest.raises(TypeError, match=r"expected a tensor .* got \w+: `ccsr.image.to_tensor`"):
        metric(given, given)


@pytest.mark.parametrize("shave", [1.5, (1,), (1, 2, 3), "1", (1, 2.0), None])
def test_a_border_is_one_whole_number_or_two(shave):
    sr, hr = pictures()
    with pytest.raises(ValueError, match="shave must be a whole number of pixels, or two of them"):
        psnr(sr, hr, shave)
    assert psnr(sr, hr, np.int64(2)) == psnr(sr, hr, [2, 2]) == psnr(sr, hr, 2)


def test_images_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="two images of one shape"):
        psnr(torch.zeros(3, 4, 4), torch.zeros(3, 4, 5))


@pytest.mark.parametrize(("metric", "size", "shave"), [(psnr, 4, 2), (ssim, 12, 1), (psnr, 4, -1)])
def test_nothing_left_after_shaving_is_refused(metric, size, shave):
    with pytest.raises(ValueError, match="use larger images or a smaller scale"):
        metric(torch.zeros(1, size, size), torch.zeros(1, size, size), shave)


def test_lpips_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(ValueError, match=r"pip install 'ccsr\[metrics\]'"):
        load_lpips()


def test_lpips_without_weights_says_what_to_do(monkeypatch):
    def unreachable(**options):
        raise OSError("no route to host")

    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=unreachable))
    with pytest.raises(ValueError, match=r"weights of AlexNet \(no route to host\)"):
        load_lpips()


def test_lpips_gets_rgb_in_unit_range(monkeypatch):
    class Distance(torch.nn.Module):
        def forward(self, sr, hr, normalize):
            assert normalize
            assert sr.shape == hr.shape == (1, 3, 5, 6)
            return (sr - hr).abs().mean()[None]

    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=lambda **options: Distance()))
    assert load_lpips()(torch.ones(1, 5, 6), torch.zeros(1, 5, 6)) == pytest.approx(1)
