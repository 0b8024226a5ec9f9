"""A network that is conditioned on the quality of JPEGs is told it, whatever the way to it."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from ccsr import Upscaler
from ccsr.bundled import resource_dir
from ccsr.export import save
from ccsr.image import Picture
from ccsr.image.coding import Coding
from details import as_jpeg, clean, photo
from networks import conditioned


@pytest.fixture(scope="module")
def both_told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Upscaler, Upscaler]:
    """A network that is told the quality of JPEGs, by both engines."""
    path = tmp_path_factory.mktemp("told") / "a.onnx"
    save(path, conditioned(), None, window=True)
    return Upscaler(conditioned(), device="cpu", precision="fp32"), Upscaler.load(path)


@pytest.mark.parametrize(
    "quality", [None, 75.4, *(pytest.param(q, marks=pytest.mark.long) for q in (20, 60, 100))]
)
def test_both_are_told_the_quality_of_a_jpeg(
    quality: float | None, both_told: tuple[Upscaler, Upscaler]
) -> None:
    coding = Coding("JPEG", quality) if quality else None
    picture = Picture((photo(3),), coding=coding)
    network = conditioned().at_quality(quality)
    expected = Upscaler(network, device="cpu", precision="fp32")(picture, scale=2.37).frames[0]
    for each in both_told:
        got = each(picture, scale=2.37).frames[0]
        assert np.abs(got.astype(int) - expected).max() <= 1
        assert np.array_equal(each.at_quality(quality).levels(photo(3), scale=2.37), got)
        other = each.at_quality(45).levels(photo(3), scale=2.37)
        assert np.abs(other.astype(int) - expected).max() > 3
        again = pickle.loads(pickle.dumps(each.at_quality(quality)))
        assert np.array_equal(again.levels(photo(3), scale=2.37), got)


def test_the_last_quality_counts(both_told: tuple[Upscaler, Upscaler]) -> None:
    for each in both_told:
        first = each.at_quality(40)
        for quality in (90, None):
            expected = each.at_quality(quality).levels(photo(3), scale=2)
            assert np.array_equal(first.at_quality(quality).levels(photo(3), scale=2), expected)


def test_each_page_is_told_its_own_quality(both_told: tuple[Upscaler, Upscaler]) -> None:
    """Frames of an animation are of one file, and the first tells for all."""
    fine, coarse = clean(), as_jpeg(clean(), 30)
    for each in both_told:
        for frames in ((fine, coarse), (coarse, fine)):
            pages = each(Picture(frames), scale=2).frames
            for page, frame in zip(pages, frames, strict=True):
                assert np.array_equal(page, each.levels(frame, scale=2))
        frames = each(Picture((coarse, fine), durations=(40.0, 40.0)), scale=2).frames
        assert np.array_equal(frames[1], each.at_quality(30).levels(fine, scale=2))


def test_pixels_and_files_tell_a_view_the_quality_too(
    both_told: tuple[Upscaler, Upscaler],
) -> None:
    """Of what was saved as PNG afterwards its pixels; a tensor tells nothing."""
    with Image.open(resource_dir("samples") / "chelsea.png") as opened:
        values = as_jpeg(np.asarray(opened.convert("RGB")), 50)
    upscaler, part = both_told[0], (slice(40, 90), slice(200, 300))
    expected = upscaler.at_quality(50).levels(values, scale=2)[part]
    np.testing.assert_allclose(upscaler.levels(values, scale=2)[part], expected, atol=1)
    np.testing.assert_allclose(upscaler.view(values).window(*part, scale=2), expected, atol=1)
    small = photo(3)
    view = upscaler.view(small, coding=Coding("JPEG", 30))
    expected = upscaler.at_quality(30).levels(small, scale=2)
    whole = slice(0, expected.shape[0]), slice(0, expected.shape[1])
    np.testing.assert_allclose(view.window(*whole, scale=2), expected, atol=1)
    x = torch.rand(3, 9, 9)
    with pytest.raises(ValueError, match="a tensor has no file: take the view of at_quality"):
        upscaler.view(x, coding=Coding("JPEG", 30))  # type: ignore[call-overload]
    untold, told = (each.tensor(x, scale=2) for each in (upscaler, upscaler.at_quality(60)))
    torch.testing.assert_close(upscaler.at_quality(None).tensor(x, scale=2), untold)
    assert (told - untold).abs().max() > 0.01
    for quality in (0, 101, float("nan")):
        with pytest.raises(ValueError, match="quality must be from 1 to 100, or None, got"):
            upscaler.at_quality(quality)
