import io

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from ccsr.bundled import resource_dir
from ccsr.image import traces

SAMPLES = ("chelsea.png", "coffee.png", "astronaut.png")


def sample(name, part=1.0):
    with Image.open(resource_dir("samples") / name) as image:
        size = (round(image.width * part), round(image.height * part))
        return image.convert("RGB").resize(size, Image.Resampling.BICUBIC)


def through_jpeg(image, quality, **options):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, **options)
    return Image.open(stream)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("quality", [30, 50, 75, 90, 94])
def test_the_quality_is_read_from_pixels_at_any_offset(name, quality):
    image = through_jpeg(sample(name, 0.75), quality)
    pixels = np.asarray(image.convert("RGB"))
    for top, left in ((0, 0), (3, 5), (7, 1)):
        assert traces.jpeg_quality(pixels[top:, left:]) == pytest.approx(quality, abs=3)


@pytest.mark.parametrize("name", [*SAMPLES, "camera.png", "gravel.png"])
def test_what_was_never_a_jpeg_has_no_trace(name):
    assert traces.jpeg_quality(np.asarray(sample(name, 0.75))) is None


def test_grey_and_alpha_do_not_matter():
    grey = np.asarray(through_jpeg(sample("chelsea.png", 0.75).convert("L"), 60))[..., None]
    assert traces.jpeg_quality(grey) == pytest.approx(60, abs=2)
    colour = np.asarray(through_jpeg(sample("chelsea.png", 0.75), 60))
    holes = np.random.default_rng(0).integers(0, 256, (*colour.shape[:2], 1), np.uint8)
    both = np.concatenate((colour, holes), 2)
    assert traces.jpeg_quality(both) == traces.jpeg_quality(colour)


def test_scaling_takes_the_trace_away():
    image = through_jpeg(sample("coffee.png", 0.75), 60).resize((431, 287))
    assert traces.jpeg_quality(np.asarray(image)) is None


@pytest.mark.parametrize("shape", [(31, 200, 3), (1, 1, 1), (40, 40, 3)])
def test_small_and_empty_pictures(shape):
    assert traces.jpeg_quality(np.zeros(shape, np.uint8)) is None
    assert traces.jpeg_quality(np.full(shape, 255, np.uint8)) is None
    assert traces.noise_level(np.full(shape, 255, np.uint8)) == 0


def test_sixteen_bits_have_no_jpeg():
    noise = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), np.uint16)
    assert traces.jpeg_quality(noise) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("sigma", [2.0, 5.0, 10.0])
def test_noise_on_an_even_picture_is_measured(dtype, sigma):
    unit = 1 if dtype == np.uint8 else 257
    noise = np.random.default_rng(1).normal(128, sigma, (200, 300, 1)) * unit
    measured = traces.noise_level(noise.round().astype(dtype))
    assert measured == pytest.approx(sigma, rel=0.2)


def test_noise_adds_to_a_photo():
    image = np.asarray(sample("chelsea.png", 0.75)).astype(float)
    clean = traces.noise_level(image.astype(np.uint8))
    noisy = image + np.random.default_rng(2).normal(0, 8, image.shape)
    assert traces.noise_level(noisy.clip(0, 255).astype(np.uint8)) > clean + 2


@pytest.mark.parametrize("quality", [20, 50, 75, 95, 100])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_the_quality_of_a_file_is_in_its_table(quality, subsampling):
    image = through_jpeg(sample("camera.png", 0.2), quality, subsampling=subsampling)
    measured = traces.quality_of_table(image.quantization[0])
    assert measured == pytest.approx(quality, abs=1.5)


def test_the_transform_is_the_usual_one():
    block = np.random.default_rng(3).random((8, 8))
    expected = dctn(block, norm="ortho").reshape(-1)
    np.testing.assert_allclose(traces._basis() @ block.reshape(-1), expected, atol=1e-6)
