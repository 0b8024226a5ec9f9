"""Protocols: sizes by hand, the reduction to the last bit, what is compared."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from ccsr import image
from ccsr.image import to_float
from ccsr.metrics import luma, psnr
from ccsr.protocols import PROTOCOLS, by_name, exact_sizes, floor_sizes, matlab

BENCHMARK, ARBSR = PROTOCOLS["benchmark-y"], PROTOCOLS["arbsr-y"]
LIIF_RGB, LIIF_Y = PROTOCOLS["liif-rgb"], PROTOCOLS["liif-y"]


def picture(channels=3, height=40, width=52, seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(channels, height, width, generator=generator)
    shade = torch.linspace(0, 1, width).expand(channels, height, width)
    edges = (torch.arange(height) // 7 % 2)[None, :, None].float()
    return image.to_uint8((0.4 * noise + 0.5 * shade + 0.4 * edges - 0.15).clamp(0, 1))


def read(path):
    return image.to_uint8(image.to_tensor(image.read(path)))


def imresize_rows(pixels, length):
    """MATLAB's recipe for one pass, as its documentation states it, in exact fractions."""

    def cubic(x):
        x = abs(x)
        if x <= 1:
            return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
        return -(x**3) / 2 + Fraction(5, 2) * x**2 - 4 * x + 2 if x <= 2 else 0

    height, scale = len(pixels), Fraction(length, len(pixels))
    result = []
    for o in range(1, length + 1):
        centre = o / scale + (1 - 1 / scale) / 2
        taps = range(math.floor(centre - 2 / scale), math.ceil(centre + 2 / scale) + 1)
        weights = [cubic(scale * (centre - n)) for n in taps]
        rows = [pixels[min(max(n, 1), height) - 1] for n in taps]
        values = sum(w * row for w, row in zip(weights, rows, strict=True)) / sum(weights)
        result.append([min(max(value, Fraction(0)), Fraction(255)) for value in values])
    return np.array(result)


def test_an_edge_reduced_by_hand():
    # weights at x2: 111/256, 29/256, -9/256, -3/256 to either side; 17/256 of 255 is 16.93
    edge = torch.tensor([0, 0, 0, 0, 255, 255, 255, 255], dtype=torch.uint8)
    expected = torch.tensor([0, 17, 238, 255], dtype=torch.uint8)
    assert matlab(edge.expand(1, 4, 8), (2, 4), (2, 2)).tolist() == [[expected.tolist()] * 2]
    assert torch.equal(matlab(edge.view(1, 8, 1), (4, 1), (2, 1)).flatten(), expected)


@pytest.mark.parametrize("scale", [1, 1.5, 1.6, 2, 2.5, 3, 3.05, 3.5, 4, 8])
@pytest.mark.parametrize("transposed", [False, True])
def test_one_pass_is_the_exact_recipe_rounded_to_the_nearest(scale, transposed):
    hr = picture(1, 80, 9)[0]
    low, high = exact_sizes(80, scale)
    hr = hr[:high]
    exact = imresize_rows(hr.numpy().astype(object), low)
    if transposed:
        lr = BENCHMARK.reduce(hr.mT[None], (9, low), (1, scale))[0].mT
    else:
        lr = BENCHMARK.reduce(hr[None], (low, 9), (scale, 1))[0]
    distance = np.abs(lr.numpy().astype(object) - exact)
    assert distance.max() <= Fraction(1, 2) + Fraction(1, 10**9)
    if scale in (1, 2, 4, 8):  # weights are binary fractions: halves are exact, and go up
        nearest = np.vectorize(lambda value: min(math.floor(value + Fraction(1, 2)), 255))(exact)
        assert np.array_equal(lr, nearest)


def test_rows_come_first_and_are_rounded():
    hr = picture(1, 60, 90)
    rows_first = matlab(matlab(hr, (20, 90), (3, 1)), (20, 60), (1, 1.5))
    columns_first = matlab(matlab(hr, (60, 60), (1, 1.5)), (20, 60), (3, 1))
    assert torch.equal(matlab(hr, (20, 60), (3, 1.5)), rows_first)
    assert not torch.equal(rows_first, columns_first)


@pytest.mark.parametrize("testset", ["Set5", "Set14"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_reduction_equals_matlab_to_the_last_bit(benchmarks, testset, scale):
    references = sorted((benchmarks / "reference" / testset / f"x{scale}").iterdir())
    truths = {path.stem: path for path in (benchmarks / "test" / testset).iterdir()}
    assert len(references) == len(truths) == {"Set5": 5, "Set14": 14}[testset]
    for path in references:
        hr, pair = read(truths[path.stem]), (float(scale), float(scale))
        lr_size, (height, width) = BENCHMARK.crop((hr.shape[-2], hr.shape[-1]), pair)
        assert torch.equal(BENCHMARK.reduce(hr[:, :height, :width], lr_size, pair), read(path))


@pytest.mark.parametrize(
    ("extent", "scale", "expected"),
    [
        (481, 2, (240, 480)),  # step 1
        (321, 3, (107, 321)),
        (256, 1.5, (170, 255)),  # step 2: multiples of 3, floor(256 / 3) = 85
        (321, 3.5, (90, 315)),  # step 2: multiples of 7, 45 of them
        (256, 1.6, (160, 256)),  # step 5: multiples of 8, 32
        (228, 1.4, (160, 224)),  # step 5: multiples of 7, 32
        (256, 3.05, (80, 244)),  # step 20: multiples of 61, 4
        (321, 1.45, (220, 319)),  # step 20: multiples of 29, 11
        (321, 1.75, (180, 315)),  # step 20 (1.75 * 2, 5 and 10 are not whole): multiples of 35, 9
        (321, 1.1, (290, 319)),  # step 10: multiples of 11, 29
        (7, 1, (7, 7)),
    ],
)
def test_exact_sizes(extent, scale, expected):
    assert exact_sizes(extent, scale) == expected
    low, high = expected
    assert high == pytest.approx(low * scale, abs=1e-9)


def test_an_anisotropic_crop_treats_each_axis_alone():
    lr_size, hr_size = ARBSR.crop((321, 481), (4, 1.5))  # 4 high, 1.5 wide
    assert lr_size == (80, 320)
    assert hr_size == (320, 480)


@pytest.mark.parametrize(("scale", "shave"), [(2, (2, 2)), (2.5, (3, 3)), (1.5, (2, 2))])
def test_shave_is_the_scale_rounded_up(scale, shave):
    assert BENCHMARK.shave((scale, scale)) == ARBSR.shave((scale, scale)) == shave
    assert LIIF_Y.shave((scale, scale)) == shave
    assert LIIF_RGB.shave((scale, scale)) == (shave[0] + 6, shave[1] + 6)


def test_shave_per_axis():
    assert ARBSR.shave((4, 1.45)) == (4, 2)


def test_scales_without_exact_sizes_are_refused():
    with pytest.raises(ValueError, match=r"got 2.37: use 2.35, or a protocol.*liif-y"):
        exact_sizes(1000, 2.37)


@pytest.mark.parametrize(
    ("rule", "scale"), [(exact_sizes, 3.05), (exact_sizes, 8), (floor_sizes, 8)]
)
def test_images_too_small_are_refused(rule, scale):
    with pytest.raises(ValueError, match="7 pixels are too few"):
        rule(7, scale)


@pytest.mark.parametrize(
    ("extent", "scale", "expected"),
    [
        (1356, 2, (678, 1356)),
        (1356, 18, (75, 1350)),
        (321, 2.37, (135, 320)),
        (321, 1.1, (291, 320)),
    ],
)
def test_floor_sizes(extent, scale, expected):
    assert floor_sizes(extent, scale) == expected


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_liif_reduces_as_matlab_at_its_training_scales(scale):
    hr, size = picture(), (40 // scale, 52 // scale)
    assert torch.equal(
        LIIF_RGB.reduce(hr, size, (scale, scale)), BENCHMARK.reduce(hr, size, (scale, scale))
    )


@pytest.mark.parametrize(
    ("scale", "size"), [((6, 6), (6, 8)), ((2.5, 2.5), (16, 20)), ((2, 4), (20, 13))]
)
def test_liif_reduces_as_pillow_elsewhere(scale, size):
    hr = picture()
    expected = Image.fromarray(hr.permute(1, 2, 0).numpy()).resize(
        size[::-1], Image.Resampling.BICUBIC
    )
    lr = LIIF_RGB.reduce(hr, size, scale)
    assert np.array_equal(lr.permute(1, 2, 0), np.asarray(expected))


def test_output_is_rounded_or_only_clamped():
    sr = torch.tensor([-0.1, 0.3, 100.4 / 255, 1.2]).expand(3, 1, 4)
    rounded = 255 * BENCHMARK.finish(sr)[0, 0]
    torch.testing.assert_close(rounded, torch.tensor([0, 77, 100, 255.0]))
    assert torch.equal(LIIF_RGB.finish(sr), sr.clamp(0, 1))


def test_what_is_compared():
    sr, hr = to_float(picture(seed=1)), to_float(picture(seed=2))
    scale = (2.0, 3.0)
    assert BENCHMARK.psnr(sr, hr, scale) == psnr(luma(sr), luma(hr), (2, 3))
    assert LIIF_RGB.psnr(sr, hr, scale) == psnr(sr, hr, (8, 9))
    # the LIIF family weighs differences; the offset of a luma drops out
    weights = torch.tensor([65.738, 129.057, 25.064]).view(3, 1, 1) / 256
    difference = ((sr - hr) * weights).sum(0)[2:-2, 3:-3]
    expected = -10 * math.log10(float(difference.square().mean()))
    assert LIIF_Y.psnr(sr, hr, scale) == pytest.approx(expected, abs=1e-4)


def test_grey_counts_by_its_own_values_only_where_the_protocol_says_so():
    sr, hr = to_float(picture(1, seed=1)), to_float(picture(1, seed=2))
    own = BENCHMARK.psnr(sr, hr, (2, 2))
    assert ARBSR.psnr(sr, hr, (2, 2)) == own
    assert own == psnr(sr, hr, 2)
    shrunk = -20 * math.log10(219.859 / 256)
    assert LIIF_Y.psnr(sr, hr, (2, 2)) == pytest.approx(own + shrunk, abs=1e-3)


def test_consistency_of_a_perfect_result_is_perfect():
    hr = picture()
    lr = BENCHMARK.reduce(hr, (20, 26), (2, 2))
    assert BENCHMARK.consistency(to_float(hr), lr, (2, 2)) == math.inf
    darker = (to_float(hr) - 0.2).clamp(0, 1)
    assert BENCHMARK.consistency(darker, lr, (2, 2)) < 20


@pytest.mark.parametrize(
    ("hr_size", "lr_size", "scale", "expected"),
    [
        ((481, 321), (240, 160), (2, 2), (480, 320)),
        ((481, 321), (120, 214), (4, 1.5), (480, 321)),
        ((256, 256), (80, 80), (3.05, 3.05), (244, 244)),  # the protocol's own size
        ((256, 256), (83, 83), (3.05, 3.05), (253, 253)),
    ],
)
def test_given_images_are_matched(hr_size, lr_size, scale, expected):
    assert BENCHMARK.crop_to(hr_size, lr_size, scale) == expected


@pytest.mark.parametrize("lr_size", [(120, 80), (241, 160), (240, 80)])
def test_given_images_of_another_scale_are_refused(lr_size):
    message = "expected 160x240 for 321x481 at the scale 2: .* the first 320x480 pixels"
    with pytest.raises(ValueError, match=message):
        BENCHMARK.crop_to((481, 321), lr_size, (2, 2))


def test_names_and_definitions():
    assert by_name("liif-y") is LIIF_Y
    assert all(one.definition and one.name == name for name, one in PROTOCOLS.items())
    with pytest.raises(ValueError, match=r"must be one of benchmark-y, .*got 'set5'"):
        by_name("set5")
