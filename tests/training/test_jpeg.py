"""JPEG in tensors against libjpeg."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from ccsr.bundled import resource_dir
from ccsr.training import jpeg


def canvas(size, name="coffee.png", top=90, left=110):
    with Image.open(resource_dir("samples") / name) as image:
        pixels = np.array(image.convert("RGB"))
    return pixels[top : top + size[0], left : left + size[1]]


def by_libjpeg(pixels, quality, halved):
    stream = io.BytesIO()
    subsampling = 2 if halved else 0
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(stream) as image:
        return np.array(image), np.array(list(image.quantization.values()))


def tensor(pixels):
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float()


@pytest.mark.parametrize("quality", [1, 10, 30, 50, 75, 90, 98, 100])
def test_tables_are_those_of_libjpeg(quality):
    _, expected = by_libjpeg(canvas((16, 16)), quality, halved=True)
    assert torch.equal(jpeg.tables(torch.tensor([quality]))[0], torch.from_numpy(expected).float())


@pytest.mark.parametrize("quality", [30, 60, 75, 90, 98])
@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("start", [(0, 0), (3, 5), (8, 8), (15, 1)])
@pytest.mark.parametrize("name", ["coffee.png", "chelsea.png"])
def test_a_patch_is_what_libjpeg_makes_of_it_wherever_its_grid_lies(quality, halved, start, name):
    """To the bit, of the patch with its border replicated to whole units."""
    patch = canvas((48, 40), name)
    rows = (np.arange(64) - start[0]).clip(0, 47)
    columns = (np.arange(64) - start[1]).clip(0, 39)
    decoded, _ = by_libjpeg(patch[rows][:, columns], quality, halved)
    expected = decoded[start[0] : start[0] + 48, start[1] : start[1] + 40]
    made = jpeg.compress(
        tensor(patch),
        jpeg.tables(torch.tensor([quality])),
        torch.tensor([halved]),
        torch.tensor([start]),
    )
    # a few pixels of the last unit of 64 columns see chroma beyond it otherwise
    difference = (made - tensor(expected)).abs()
    assert difference.max() == 0, (difference > 0).nonzero()[:3]


def test_each_patch_gets_its_own():
    patches = torch.cat([tensor(canvas((32, 32), top=10 * n)) for n in range(4)])
    steps = jpeg.tables(torch.tensor([30, 50, 75, 95]))
    halved = torch.tensor([True, False, True, False])
    start = torch.tensor([[0, 0], [1, 2], [7, 9], [15, 15]])
    together = jpeg.compress(patches, steps, halved, start)
    for n in range(4):
        one = slice(n, n + 1)
        alone = jpeg.compress(patches[one], steps[one], halved[one], start[one])
        assert torch.equal(alone, together[one])


def test_black_white_and_grey_stay():
    for level in (0, 128, 255):
        patch = torch.full((1, 3, 24, 24), float(level))
        steps = jpeg.tables(torch.tensor([90]))
        made = jpeg.compress(patch, steps, torch.tensor([True]), torch.zeros(1, 2).long())
        assert torch.equal(made, patch)
