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
        ({"scale": 5}, "a view has the fields picture, target, .*, got scale too"),
    ],
)
def test_a_view_that_makes_no_sense_is_refused(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        requests.view(VIEW | fields)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"scale": [1, 2]}, Target((1.0, 2.0))),
        ({"text": "2,5"}, Target((2.5, 2.5))),
        ({"text": " 2 x 1.5 "}, Target((1.5, 2.0))),
        ({"text": "64"}, Target((64.0, 64.0))),
        ({"text": "65"}, Target(rule=sizes.longest(65))),
        ({"text": "48px"}, Target(rule=sizes.longest(48))),
        ({"text": "48x50 px"}, Target(None, 50, 48)),
        ({"text": "1920×1080"}, Target(None, 1080, 1920)),
        ({"text": "Width 5"}, Target(width=5)),
        ({"text": "height 5px"}, Target(height=5)),
        ({"text": "longest 7"}, Target(rule=sizes.longest(7))),
        ({"text": "shortest 7"}, Target(rule=sizes.shortest(7))),
        ({"text": "fit 1920x1080"}, Target(rule=sizes.fit((1080, 1920)))),
        ({"text": "cover 19*10"}, Target(rule=sizes.cover((10, 19)))),
        ({"text": "at  least 19x10"}, Target(rule=sizes.at_least((10, 19)))),
        ({"text": "12.5mp"}, Target(rule=sizes.megapixels(12.5))),
        ({"text": "12 megapixels"}, Target(rule=sizes.megapixels(12))),
        ({"text": "30x20cm@300"}, Target(rule=sizes.printed((20, 30), "cm", 300))),
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
        *(
            ({"text": text}, "Type a factor such as 2.37")
            for text in (
                "",
                "big",
                "-2",
                "0",
                "2x",
                "70.5",
                "longest 2.5",
                "width 1000000000000",
                "fit 3",
                "longest 3x4",
                "12x3 mp",
                "fit 12 mp",
                "1e9",
                "2" * 400,
                "12 mp 3",
                "0 mp",
                "2px3",
                "2" + " " * 300 + "x3",
            )
        ),
        ({"text": "30x20cm@0"}, "pixels an inch, such as 30x20cm@300"),
        ({"text": "30x20km@300"}, "pixels an inch, such as 30x20cm@300"),
        ({"text": 3}, "a target is a scale or a text"),
        ({"text": "2", "scale": [1, 1]}, "a target is a scale or a text"),
        ({}, "a target is a scale or a text"),
        (2, "expected a target, an object of JSON, got int"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        requests.target(given)


def test_paper_tells_the_resolution():
    assert requests.wish({"text": "print 30x20cm@300"}).dpi == 300
    assert requests.wish({"text": "300"}).dpi is None


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
        ({"format": "webp", "lossless": 1}, "lossless must be true or false, got 1"),
        ({"format": "webp", "lossless": "yes"}, "lossless must be true or false"),
        ("png", "expected an output, an object of JSON, got str"),
    ],
)
def test_an_output_that_makes_no_sense_is_refused(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        requests.output(given)


def test_fields_that_nothing_reads_are_refused():
    with pytest.raises(ValueError, match=r"an output has the fields format, .*, got losless, dpi"):
        requests.output({"format": "jpg", "losless": True, "dpi": 300})


@pytest.mark.parametrize("factor", [10**400, 1e300, float("inf"), float("nan"), -1, 0, True, "2"])
def test_factors_beyond_any_result_are_refused(factor):
    with pytest.raises(ValueError, match="scale must be two factors up to 1000"):
        requests.target({"scale": [factor, 2]})
