"""The page in a real browser: what is on the screen is what the network computes."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from ccsr import image

NETWORK = "tiny.safetensors"


def part(values, view):
    """The window of a view, of the whole enlargement."""
    return values[
        view["top"] : view["top"] + view["height"], view["left"] : view["left"] + view["width"]
    ]


def test_the_screen_shows_the_bytes_of_the_network(page, cat, upscaler):
    page.send(cat)
    page.settle()
    page.compare(NETWORK, NETWORK)
    page.type("5.1")
    values = upscaler.levels(image.read(cat).frames[0], scale=5.1)
    expected = part(values, page.views[-1])
    shown = page.screen()
    print(shown.shape, expected.shape, page.views[-1])
    differ = np.abs(shown.astype(int) - expected)
    print(differ.max(), (differ>0).mean())
    assert differ.max() == 0
