"""Any picture through a file, the upscaler and a file again, against what the numbers must be."""

from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ccsr import Upscaler, image
from ccsr.grid import output_size
from ccsr.image import Output, Picture
from networks import tiny

SHALLOW = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
DEEP_COLOUR = ("LA16", "RGB16", "RGBA16")
DEEP_GREY = ("I;16", "I;16B", "I", "F")
DEEP = (*DEEP_COLOUR, *DEEP_GREY)
CHANNELS = {"1": 1, "L": 1, "LA": 2, "RGBA": 4, "LA16": 2, "RGBA16": 4}
CHANNELS |= dict.fromkeys(DEEP_GREY, 1)
SIDES = st.integers(1, 24)
FACTORS = st.sampled_from((0.4, 1.0, 1.3, 2.37, 3.0))


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    """Of a network that has learned nothing: bicubic, exactly."""
    return Upscaler(tiny(None), precision="fp32")


def save(mode: str, size: tuple[int, int], seed: int, folder: Path) -> Path:
    """A file of a picture of noise: TIFF, where that has the mode, else PNG."""
    generator = np.random.default_rng(seed)
    if mode in DEEP_COLOUR:
        values = generator.integers(0, 65536, (*size, CHANNELS.get(mode, 3)), np.uint16)
        image.write(Picture((values,)), folder / "in.png")
        return folder / "in.png"
    height, width = size
    if mode in ("I;16", "I;16B", "I"):
        deep = generator.integers(0, 65536, size, np.uint16)
        kinds = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4"}
        picture = Image.frombytes(mode, (width, height), deep.astype(kinds[mode]).tobytes())
    elif mode == "F":
        picture = Image.fromarray(generator.random(size, np.float32))
    else:
        colours = Image.fromarray(generator.integers(0, 256, (*size, 3), np.uint8))
        picture = colours.convert(mode.replace("PA", "P").replace("A", ""))
        if mode.endswith("A"):
            picture = picture.convert(mode)
            picture.putalpha(Image.fromarray(generator.integers(0, 256, size, np.uint8)))
    path = folder / ("in.png" if mode in ("PA", "P") else "in.tif")
    (picture.convert("RGBA") if mode == "PA" else picture).save(path)
    return path


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    mode=st.sampled_from((*SHALLOW, *DEEP)),
    size=st.tuples(SIDES, SIDES),
    scale=st.tuples(FACTORS, FACTORS),
    suffix=st.sampled_from((".png", ".tif", ".webp")),
    seed=st.integers(0, 2**32 - 1),
)
def test_kind_depth_size_and_range(
    upscaler: Upscaler,
    mode: str,
    size: tuple[int, int],
    scale: tuple[float, float],
    suffix: str,
    seed: int,
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        source = image.read(save(mode, size, seed, folder))
        assert source.size == size
        result = upscaler(source, scale=scale)
        assert result.size == output_size(size, scale)
        image.write(result, folder / f"out{suffix}", Output(lossless=True))
        (before,), (after,) = source.frames, image.read(folder / f"out{suffix}").frames

    (enlarged,) = result.frames
    channels = before.shape[2]
    if mode not in ("P", "PA"):  # a palette may happen to hold greys only
        assert channels == CHANNELS.get(mode, 3)
    deep = np.float32 if mode == "F" else np.uint16
    assert before.dtype == (deep if mode in DEEP else np.uint8)
    assert enlarged.dtype == before.dtype
    assert enlarged.shape[2] == channels
    if suffix == ".webp":  # 8 bit, and grey as colour; alpha that hides nothing is not stored
        assert after.dtype == np.uint8
        assert after.shape[2] in (3, 4)
        assert after.shape[2] == 4 or not result.has_alpha
    else:
        assert np.array_equal(after, enlarged)
    if channels in (2, 4):  # alpha does not ring
        assert before[..., -1].min() <= enlarged[..., -1].min()
        assert before[..., -1].max() >= enlarged[..., -1].max()
    elif scale == (1.0, 1.0):
        assert np.abs(enlarged.astype(int) - before).max() <= 1


@pytest.mark.parametrize(("suffix", "channels"), list(product((".png", ".tif"), (1, 2, 3, 4))))
def test_a_16_bit_ramp_keeps_more_than_99_percent_of_its_levels(
    upscaler: Upscaler, tmp_path: Path, suffix: str, channels: int
) -> None:
    ramp = np.linspace(0, 65535, 2048).round().astype(np.uint16)
    values = np.broadcast_to(ramp[None, :, None], (4, 2048, channels)).copy()
    if channels in (2, 4):
        values[..., -1] = 65535
    image.write(Picture((values,)), tmp_path / f"in{suffix}")
    result = upscaler(image.read(tmp_path / f"in{suffix}"), scale=2)
    image.write(result, tmp_path / f"out{suffix}")
    (got,) = image.read(tmp_path / f"out{suffix}").frames
    expected = np.unique(np.linspace(-8, 65543, 4096).round().clip(0, 65535))
    assert len(np.unique(got[..., 0])) > 0.99 * len(expected)


def test_no_fringe_around_what_is_transparent(upscaler: Upscaler, tmp_path: Path) -> None:
    """A red disc on hidden white, green or black: every pixel that is seen is red."""
    for hidden in ((255, 255, 255), (0, 255, 0), (0, 0, 0)):
        values = np.empty((24, 24, 4), np.uint8)
        values[...] = (*hidden, 0)
        y, x = np.mgrid[:24, :24] - 11.5
        values[x**2 + y**2 < 64] = (200, 0, 0, 255)
        image.write(Picture((values,)), tmp_path / "in.png")
        (got,) = upscaler(image.read(tmp_path / "in.png"), scale=2.37).frames
        seen = got[got[..., 3] > 0][..., :3].astype(int)
        assert np.abs(seen - [200, 0, 0]).max() <= 1
