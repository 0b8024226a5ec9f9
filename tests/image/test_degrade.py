import io

import numpy as np
import pytest
import torch
from PIL import Image

from ccsr.bundled import resource_dir
from ccsr.image.coding import Coding
from ccsr.image.degrade import Degrade


def photo(mode="RGB"):
    with Image.open(resource_dir("samples") / "coffee.png") as picture:
        pixels = np.array(picture.convert(mode).resize((120, 80)))
    return torch.from_numpy(pixels.reshape(80, 120, -1)).permute(2, 0, 1)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_is_pillows(mode):
    stream = io.BytesIO()
    given = photo(mode).permute(1, 2, 0).numpy().squeeze()
    Image.fromarray(given).save(stream, "JPEG", quality=40)
    expected = np.array(Image.open(stream)).reshape(80, 120, -1)
    made = Degrade.parse("jpeg:40")(photo(mode), "a")
    np.testing.assert_array_equal(made.permute(1, 2, 0), expected)


def test_noise_is_the_names_own():
    chain = Degrade.parse("noise:5")
    grey = torch.full((3, 100, 100), 128, dtype=torch.uint8)
    first, again, other = (chain(grey, name) for name in ("a x2", "a x2", "b x2"))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.float().std() == pytest.approx(5, rel=0.05)


def test_steps_follow_each_other():
    one, two = Degrade.parse("blur:1+noise:3"), Degrade.parse("noise:3+blur:1")
    assert one(photo(), "a").float().sub(two(photo(), "a").float()).abs().mean() > 1
    assert one.text == "blur:1+noise:3"
    assert "blur of 1 pixels, then Gaussian noise of 3 levels" in one.definition


def test_the_last_step_is_what_a_file_tells():
    for text, coding, told in (
        ("noise:3+jpeg:75", Coding("JPEG", 75), True),
        ("jpeg:40+webp:60", Coding("WebP", 60), False),
        ("jpeg:40+noise:3", None, False),
    ):
        chain = Degrade.parse(text)
        assert chain.coding == coding
        assert ("which networks that ask for it are told" in chain.definition) == told


def test_the_text_says_all_that_is_done():
    for text in ("noise:1.2345678", "jpeg:40+jpeg:40", "blur:0.5+webp:0"):
        assert Degrade.parse(text).text == text
        assert Degrade.parse(Degrade.parse(text).text) == Degrade.parse(text)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1)])
def test_a_row_of_pixels_goes_through_everything(mode, size):
    lr = photo(mode)[:, : size[0], : size[1]]
    made = Degrade.parse("blur:1+noise:3+webp:40+jpeg:40")(lr, "a")
    assert made.shape == lr.shape


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jpg:40", "unknown degradation 'jpg'"),
        ("jpeg", "expected jpeg: with a whole number from 1 to 100, such as jpeg:40, got 'jpeg'"),
        ("jpeg:0", "from 1 to 100"),
        ("jpeg:101", "from 1 to 100"),
        ("jpeg:40.6", "expected jpeg: with a whole number"),
        ("webp:0.5", "expected webp: with a whole number"),
        ("jpeg:abc", "got 'jpeg:abc'"),
        ("noise:-1", "expected noise: with a number from 0 to 100"),
        ("noise:", "got 'noise:'"),
        ("jpeg:40+", "unknown degradation ''"),
        ("noise:nan", "from 0 to 100"),
        ("blur:1+", "unknown degradation ''"),
    ],
)
def test_chains_that_are_none(text, message):
    with pytest.raises(ValueError, match=message):
        Degrade.parse(text)


def test_nothing_less_nothing_is_nothing():
    x = torch.zeros(3, 8, 8, dtype=torch.uint8)
    chain = Degrade.parse("noise:-0+blur:-0.0")
    assert chain.text == "noise:0+blur:0"
    assert torch.equal(chain(x, "a"), x)
