import numpy as np
import pytest
import torch
from PIL import Image

from ccsr import image
from ccsr.image import Picture


def noise(channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 5, channels), np.uint8)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_tensors_and_back(channels: int, mode: str) -> None:
    values = noise(channels)
    picture = Picture((values,))
    x = image.to_tensor(picture)
    assert x.shape == (channels, 4, 5)
    assert x.dtype == torch.float32
    assert 0 <= x.min() <= x.max() <= 1
    assert torch.equal(image.to_tensor(picture.to_pil()), x)
    back = image.to_image(x)
    assert back.mode == mode
    assert np.array_equal(Picture.of(back).frames[0], values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_level_survives(dtype: type) -> None:
    values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)[None, :, None]
    assert np.array_equal(image.to_array(image.from_array(values), like=values), values)


def test_rounding_is_to_nearest_and_clamped() -> None:
    x = torch.tensor([-0.3, 0.49 / 255, 0.51 / 255, 1.5 / 255, 254.6 / 255, 1.7])
    kept = x.clone()
    assert image.to_uint8(x).tolist() == [0, 0, 1, 2, 255, 255]
    assert torch.equal(x, kept)


def test_doors_refuse_other_shapes_and_modes() -> None:
    with pytest.raises(ValueError, match=r"expected mode L, LA, RGB or RGBA, got P: see Picture"):
        image.to_tensor(Image.new("P", (1, 1)))
    with pytest.raises(ValueError, match=r"expected a tensor \(C, H, W\) .* got \(5, 2, 2\)"):
        image.to_image(torch.zeros(5, 2, 2))
    with pytest.raises(ValueError, match="expected a single picture, got 2 frames or pages"):
        image.to_tensor(Picture((noise(1), noise(1))))
