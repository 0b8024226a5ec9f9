"""Photos of noise for the tests."""

import torch
from PIL import Image


def noise(h, w, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (3, h, w), generator=generator, dtype=torch.uint8)


def save(photo, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo.permute(1, 2, 0).numpy()).save(path)
