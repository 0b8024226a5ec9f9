from argparse import ArgumentTypeError

import pytest

from ccsr.cli import arguments
from ccsr.grid import scale_text


@pytest.mark.parametrize(
    ("text", "pair"), [("2.37", (2.37, 2.37)), ("2x1.5", (1.5, 2.0)), ("0.5x3", (3.0, 0.5))]
)
def test_scales_are_width_by_height(text, pair):
    assert arguments.scale(text) == pair
    assert scale_text(pair) == text


def test_colours_and_qualities():
    assert arguments.colour("white") == (255, 255, 255)
    assert arguments.colour("#102030ff") == (16, 32, 48)
    assert arguments.percent("1") == 1
    assert arguments.percent("100") == 100


def test_sizes_are_width_by_height():
    assert arguments.size("1920x1080") == (1080, 1920)


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (arguments.scale, "2x", "expected a positive factor such as 2.37"),
        (arguments.scale, "-1", "got '-1'"),
        (arguments.scale, "nan", "got 'nan'"),
        (arguments.scale, "1x2x3", "WIDTHxHEIGHT such as 2x1.5, got '1x2x3'"),
        (arguments.size, "1920", "expected WIDTHxHEIGHT such as 1920x1080, got '1920'"),
        (arguments.size, "0x5", "expected a whole number of at least 1, got '0'"),
        (arguments.whole, "2.5", "got '2.5'"),
        (arguments.percent, "0", "expected a whole number from 1 to 100, got '0'"),
        (arguments.percent, "101", "from 1 to 100, got '101'"),
        (arguments.percent, "best", "from 1 to 100, got 'best'"),
        (arguments.colour, "skyish", "expected an opaque colour such as white .*, got 'skyish'"),
        (arguments.colour, "#10203040", "expected an opaque colour"),
        (arguments.memory, "2", "expected an amount such as 500MB or 2GB, got '2'"),
        (arguments.memory, "0GB", "got '0GB'"),
    ],
)
def test_other_words_are_refused(parse, text, message):
    with pytest.raises(ArgumentTypeError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500MB", 500_000_000), ("2gb", 2_000_000_000), ("1.5 GiB", 3 << 29), ("64MiB", 64 << 20)],
)
def test_amounts_of_memory(text, expected):
    assert arguments.memory(text) == expected


@pytest.mark.parametrize("parse", [arguments.path, arguments.place])
def test_an_empty_text_is_no_path(parse):
    with pytest.raises(ArgumentTypeError, match="expected a path, got an empty text"):
        parse("")
    assert str(parse("a/b")) == "a/b"
    assert arguments.place("a/") == "a/"
