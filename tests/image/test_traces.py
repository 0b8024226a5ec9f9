import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
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


def drawn(kind):
    """Pictures that no camera took: text, a window with rows, a ramp, tiles of a few colours."""
    random = np.random.default_rng(0)
    font = ImageFont.load_default(12)
    ink, paper = {"dark": (220, 40), "light": (30, 240)}.get(kind.split()[0], (0, 0))
    image = Image.new("RGB", (400, 300), (paper, paper, paper))
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1" if kind.endswith("hard text") else "L"
    if kind.endswith("text"):
        for top in range(2, 300, 15):
            word = "".join(map(chr, random.integers(33, 126, 80)))
            draw.text((3, top), word, (ink, ink, ink), font)
    elif kind == "rows":
        draw.rectangle((0, 0, 400, 300), (245, 246, 247))
        draw.rectangle((10, 50, 200, 280), (230, 230, 235), (180, 180, 190))
        for top in range(60, 280, 20):
            draw.text((20, top), f"item {top}", (20, 20, 30))
            shade = int(random.integers(80, 200)), 150, 200
            draw.rounded_rectangle((220, top, 390, top + 14), 4, shade)
    elif kind == "ramp":
        image = Image.fromarray(np.tile(np.linspace(0, 255, 400), (300, 1)).astype(np.uint8))
    else:
        colours = random.integers(0, 255, (8, 3), np.uint8)
        small = Image.fromarray(colours[random.integers(0, 8, (38, 50))])
        image = small.resize((400, 304), Image.Resampling.NEAREST)
    return image.convert("RGB")


@pytest.mark.parametrize(
    "kind",
    ["dark text", "light text", "dark hard text", "light hard text", "rows", "ramp", "tiles"],
)
def test_drawings_have_no_trace_until_they_are_a_jpeg(kind):
    image = drawn(kind)
    for top, left in ((0, 0), (3, 5)):
        pixels = np.asarray(image)[top:, left:]
        assert traces.jpeg_quality(pixels) is None
        assert traces.noise_level(pixels) == 0
    if kind.startswith("dark"):  # of the others few blocks are different and not cut at white
        decoded = np.asarray(through_jpeg(image, 75))
        assert traces.jpeg_quality(decoded) == pytest.approx(75, abs=3)


def test_noise_on_a_drawing_is_noise():
    noisy = np.asarray(drawn("dark text")) + np.random.default_rng(3).normal(0, 4, (300, 400, 1))
    assert traces.noise_level(noisy.round().clip(0, 255).astype(np.uint8)) > 2.2


@pytest.mark.parametrize("quality", [6, 10, 20])
def test_coarse_steps_are_found_too(quality):
    pixels = np.asarray(through_jpeg(sample("chelsea.png"), quality))
    assert traces.jpeg_quality(pixels) == pytest.approx(quality, abs=1)


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
    assert measured == quality


def test_the_transform_is_the_usual_one():
    block = np.random.default_rng(3).random((8, 8))
    expected = dctn(block, norm="ortho").reshape(-1)
    np.testing.assert_allclose(traces._basis() @ block.reshape(-1), expected, atol=1e-6)
