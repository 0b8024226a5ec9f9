"""What browsers ask for: read, or refused with a sentence."""

import pytest

from ccsr import image, sizes
from ccsr.jobs.target import Target
from ccsr.web import requests
from ccsr.web.views import Window

VIEW = {
    "picture": 1, "target": {"scale": [2, 3.5]}, "left": 0, "top": 5, "width": 10, "height": 20,
    "methods": ["bicubic", "light"], "divider": -3,
}  # fmt: skip


def test_a_view_is_read():
    expected = Window(1, Target((2.0, 3.5)), 0, 5, 10, 20, ("bicubic", "light"), -3)
    assert requests.view(VIEW) == expected


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"left": -1}, "left must be a whole number from 0"),
        ({"width": 0}, "width must be a whole number from 1"),
        ({"top": 1.5}, "top must be a whole number"),
        ({"top": True}, "top must be a whole number"),
        ({"top": None}, "top must be a whole number"),
        ({"height": 1 << 40}, "height must be a whole number"),
        ({"methods": ["bicubic"]}, "methods must be two names"),
        ({"methods": ["bicubic", 2]}, "methods must be two names"),
        ({"methods": "ab"}, "methods must be two names"),
        ({"picture": "/etc/passwd"}, "picture must be a whole number"),
        ({"divider": "middle"}, "divider must be a whole number"),
    ],
)
def test_a_view_that_makes_no_sense_is_refused(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        requests.view(VIEW | fields)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"scale": [1, 2]}, Target((1.0, 2.0))),
        ({"width": 5}, Target(width=5)),
        ({"height": 5}, Target(height=5)),
        ({"width": 5, "height": 6}, Target(None, 6, 5)),
        ({"longest": 7}, Target(rule=sizes.longest(7))),
    ],
)
def test_a_target_is_read(given, expected):
    assert requests.target(given) == expected


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"scale": [2, 0]}, "scale must be two factors"),
        ({"scale": [2, 1e9]}, "scale must be two factors up to 1000"),
        ({"scale": [2, float("nan")]}, "scale must be two factors"),
        ({"scale": ["2", 2]}, "scale must be two factors"),
        ({"scale": 2}, "scale must be two factors"),
        ({"longest": 2.5}, "longest must be a whole number"),
        ({"width": 10**12}, "width must be a whole number"),
        (
            {"width": 3, "scale": [1, 1]},
            "a target is a scale, a width, a height, both or the longest",
        ),
        ({}, "a target is a scale, a width, a height, both or the longest"),
        (2, "expected a target, got 2"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        requests.target(given)


def test_an_output_is_read():
    given = {"format": "jpg", "quality": 80, "background": [1, 2, 3], "metadata": "no-gps"}
    expected = image.Output("jpg", 80, background=(1, 2, 3), metadata="no-gps")
    assert requests.output(given) == expected
    assert requests.output({"format": "webp", "lossless": True}) == image.Output("webp", None, True)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"format": "exe"}, "format must be one of"),
        ({"format": ["png"]}, "format must be one of"),
        ({}, "format must be one of"),
        ({"format": "png", "metadata": "all"}, "metadata must be"),
        ({"format": "jpg", "quality": 101}, "quality must be a whole number from 1 to 100"),
        ({"format": "jpg", "background": [1, 2]}, "background must be red, green and blue"),
        ({"format": "jpg", "background": [1, 2, 256]}, "background must be a whole number"),
        ("png", "expected an output, got 'png'"),
    ],
)
def test_an_output_that_makes_no_sense_is_refused(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        requests.output(given)
