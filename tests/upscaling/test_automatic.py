"""The network that suits a picture by itself: which one, why, and what stays exact."""

import numpy as np
import pytest
import torch
from PIL import Image

import details
from ccsr import Upscaler, image
from ccsr.bundled import resource_dir
from ccsr.image.coding import Coding
from ccsr.jobs import large_tiff
from ccsr.jobs.checks import Job
from ccsr.jobs.pipeline import run
from ccsr.jobs.target import Target
from ccsr.upscaling.automatic import CLEAN, CLEANING, Automatic, choose


@pytest.fixture(scope="module")
def automatic():
    return Upscaler.load("auto", precision="fp32")


@pytest.fixture(scope="module")
def both():
    return {name: Upscaler.load(name, precision="fp32") for name in (CLEAN, CLEANING)}


@pytest.fixture(scope="module")
def clean():
    return details.clean()


def saved(path, levels, **options):
    Image.fromarray(levels).save(path, **options)
    return image.read(path)


@pytest.mark.parametrize(
    ("name", "options", "network", "why"),
    [
        ("a.png", {}, CLEAN, "clean"),
        ("a.jpg", {"quality": 60}, CLEANING, "JPEG of quality 60"),
        ("a.jpg", {"quality": 98}, CLEAN, "JPEG of quality 98"),
        ("a.jpg", {"quality": 95}, CLEANING, "JPEG of quality 95"),
        ("a.jpg", {"quality": 96}, CLEAN, "JPEG of quality 96"),
        ("a.webp", {"quality": 50}, CLEANING, "WebP of quality 5"),
        ("a.webp", {"quality": 89}, CLEANING, "WebP of quality 89"),
        ("a.webp", {"quality": 90}, CLEAN, "WebP of quality 90"),
        ("a.webp", {"lossless": True}, CLEAN, "clean"),
        ("a.tif", {}, CLEAN, "clean"),
    ],
)
def test_a_file_gets_the_network_that_suits_it(
    automatic, both, clean, tmp_path, name, options, network, why
):
    picture = saved(tmp_path / name, clean, **options)
    result = automatic(picture, scale=1.5)
    np.testing.assert_array_equal(result.frames[0], both[network](picture, scale=1.5).frames[0])
    assert f"by {network}: {why}" in str(result)


def test_where_no_network_works_none_is_named(automatic, both, clean, tmp_path):
    coarse = saved(tmp_path / "a.jpg", clean, quality=60)
    smaller = automatic(coarse, scale=(0.5, 0.9))
    assert smaller.notes[-1] == "by bicubic: it gets smaller"
    np.testing.assert_array_equal(
        smaller.frames[0], both[CLEANING](coarse, scale=(0.5, 0.9)).frames[0]
    )
    assert "by photo: JPEG of quality 60" in automatic(coarse, scale=(0.5, 1)).notes
    assert "by photo: JPEG of quality 60" in automatic(coarse, scale=1).notes
    fine = saved(tmp_path / "a.png", clean)
    assert automatic(fine, scale=1).notes[-1] == "as it is: clean"
    assert automatic(fine, size=fine.size).notes[-1] == "as it is: clean"
    assert automatic(fine, scale=1.001).notes[-1] == "by light: clean"


def test_a_png_that_was_a_jpeg_is_found_out(automatic, both, clean, tmp_path):
    decoded = saved(tmp_path / "a.jpg", clean, quality=50).frames[0]
    picture = saved(tmp_path / "a.png", decoded[3:, 5:])
    result = automatic(picture, scale=2)
    assert "by photo: it was a JPEG of quality" in str(result)
    values = picture.frames[0]
    np.testing.assert_array_equal(
        automatic.levels(values, scale=2), both[CLEANING].levels(values, scale=2)
    )
    strips = list(automatic.strips(values, 64, scale=2))
    np.testing.assert_array_equal(np.concatenate(strips), automatic.levels(values, scale=2))


def test_a_file_in_strips_gets_the_network_of_the_whole(clean, tmp_path, monkeypatch):
    """The header decides there too: a WebP's pixels have no trace of a JPEG."""
    Image.fromarray(clean).save(tmp_path / "a.webp", quality=50)
    said = []
    for name, streamed in (("whole.tif", False), ("strips.tif", True)):
        monkeypatch.setattr(large_tiff, "worthwhile", lambda *_, streamed=streamed: streamed)
        upscaler = Upscaler.load("auto", precision="fp32")
        jobs = [Job(tmp_path / "a.webp", tmp_path / name)]
        run(jobs, Target((2.0, 2.0)), upscaler, lambda outcome: said.append(outcome.summary))
    assert all("by photo: WebP of quality" in each for each in said)
    assert "in strips" in said[1]
    whole, strips = (image.read(tmp_path / name).frames[0] for name in ("whole.tif", "strips.tif"))
    np.testing.assert_array_equal(whole, strips)


def test_a_view_gets_it_too(automatic, both, clean, tmp_path):
    values = saved(tmp_path / "a.jpg", clean, quality=50).frames[0]
    window = slice(10, 60), slice(20, 90)
    expected = both[CLEANING].view(values).window(*window, scale=2)
    np.testing.assert_array_equal(automatic.view(values).window(*window, scale=2), expected)


def test_noise_is_noticed_in_8_and_16_bits(clean):
    noise = np.random.default_rng(0).normal(0, 8, clean.shape)
    noisy = (clean + noise).round().clip(0, 255)
    assert choose(noisy.astype(np.uint8)).cleans
    assert choose(noisy.astype(np.uint16) * 257).cleans
    assert not choose(clean.astype(np.uint16) * 257).cleans
    assert not choose((clean / 255).astype(np.float32)).cleans


def test_the_header_is_believed_before_the_pixels(clean):
    assert choose(clean, Coding("JPEG", 40)).why == "JPEG of quality 40"
    assert choose(clean, Coding("WebP", 99)) == (False, "WebP of quality 99", None)


def test_a_fine_jpeg_of_a_coarse_one_is_found_out(tmp_path):
    with Image.open(resource_dir("samples") / "coffee.png") as picture:
        photo = np.asarray(picture.convert("RGB"))
    coarse = saved(tmp_path / "a.jpg", photo, quality=50).frames[0]
    fine = saved(tmp_path / "b.jpg", coarse[4:, 4:], quality=97)
    found = choose(fine.frames[0], fine.coding)
    assert found.cleans
    assert found.why.startswith("it was a JPEG of quality")
    fine = saved(tmp_path / "c.jpg", photo, quality=96)
    assert choose(fine.frames[0], fine.coding) == (False, "JPEG of quality 96", 96)


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "astronaut.png", "camera.png"])
def test_no_clean_photo_is_taken_for_another(name):
    with Image.open(resource_dir("samples") / name) as picture:
        size = picture.width * 3 // 4, picture.height * 3 // 4
        reduced = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    assert not choose(np.asarray(reduced)).cleans


def test_scale_1_cleans_what_is_to_be_cleaned_and_nothing_else(automatic, clean, tmp_path):
    picture = saved(tmp_path / "a.jpg", clean, quality=40)
    cleaned = automatic(picture, scale=1).frames[0].astype(float)
    before = picture.frames[0].astype(float)
    assert np.square(cleaned - clean).mean() < np.square(before - clean).mean()
    same = automatic(image.Picture((clean,)), scale=1)
    np.testing.assert_array_equal(same.frames[0], clean)


@pytest.mark.parametrize("quality", [40, 60, 75])
def test_a_jpeg_gains_more_than_by_the_other_and_by_bicubic(both, clean, quality, tmp_path):
    truth = clean[: clean.shape[0] // 2 * 2, : clean.shape[1] // 2 * 2]
    half = Image.fromarray(truth).resize((truth.shape[1] // 2, truth.shape[0] // 2))
    half.save(tmp_path / "a.jpg", quality=quality)
    picture = image.read(tmp_path / "a.jpg")
    size = (truth.shape[1], truth.shape[0])
    results = {name: each(picture, scale=2).frames[0] for name, each in both.items()}
    results["bicubic"] = np.asarray(Image.fromarray(picture.frames[0]).resize(size))
    errors = {name: np.square(each - truth.astype(float)).mean() for name, each in results.items()}
    assert min(errors, key=lambda name: errors[name]) == CLEANING


@pytest.mark.long
def test_pages_get_a_network_each(automatic, both, clean):
    coarse = details.as_jpeg(clean, 40)
    result = automatic(image.Picture((clean, coarse, clean)), scale=1.5)
    for page, values, name in zip(
        result.frames, (clean, coarse, clean), (CLEAN, CLEANING, CLEAN), strict=True
    ):
        np.testing.assert_array_equal(page, both[name].levels(values, scale=1.5))
    first, second = result.notes
    assert first == "2 pages by light: clean"
    assert second.startswith("1 page by photo: it was a JPEG of quality ")
    alike = automatic(image.Picture((clean, clean)), scale=1.5)
    assert alike.notes == ("by light: clean",)


def test_what_was_chosen_chooses_no_more(automatic, both, clean):
    """A file tells more than its pixels, and not everything that takes pixels has the file."""
    coarse = details.as_jpeg(clean, 40)
    assert choose(coarse).cleans
    suited, _ = automatic.suited(clean)
    np.testing.assert_array_equal(
        suited.levels(coarse, scale=1.5), both[CLEAN].levels(coarse, scale=1.5)
    )


@pytest.mark.long
def test_each_quality_has_its_network(automatic, both, clean):
    x = image.to_tensor(Image.fromarray(clean))
    for quality, expected in (
        (50, both[CLEANING].at_quality(50)),
        (95, both[CLEANING].at_quality(95)),
        (96, both[CLEAN]),
        (None, both[CLEAN]),
    ):
        chosen = automatic.at_quality(quality)
        torch.testing.assert_close(chosen.tensor(x, scale=2), expected.tensor(x, scale=2))
    with pytest.raises(ValueError, match="quality must be from 1 to 100, or None, got 101"):
        automatic.at_quality(101)


def test_options_reach_both(tmp_path):
    upscaler = Upscaler.load("auto", precision="fp32", tile=64, ensemble="flips")
    assert isinstance(upscaler, Automatic)
    for each in (upscaler, upscaler.cleaning):
        assert (each.tile, each.flips) == (64, True)
    with pytest.raises(ValueError, match="tile must be"):
        Upscaler.load("auto", tile=3)
