import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from ccsr.analysis.findings import Table, photo, relative_error


def test_a_photo_is_cut_from_the_middle(tmp_path: Path) -> None:
    picture = Image.new("RGB", (9, 7))
    picture.putpixel((4, 3), (255, 0, 0))
    picture.save(tmp_path / "one.png")
    x = photo(tmp_path / "one.png", 3)
    assert x.shape == (3, 3, 3)
    assert x[:, 1, 1].tolist() == [1, 0, 0]
    assert x.sum() == 1


def test_a_photo_that_is_too_small(tmp_path: Path) -> None:
    Image.new("L", (9, 7)).save(tmp_path / "one.png")
    with pytest.raises(ValueError, match=r"has 9x7 pixels, but at least 8 a side .* --data"):
        photo(tmp_path / "one.png", 8)


def test_an_error_is_relative_to_the_spread() -> None:
    b = torch.tensor([[[1.0, 3.0], [1.0, 3.0]]]) + 100
    assert math.isclose(relative_error(b + 0.5, b), 0.5)
    assert relative_error(b, b) == 0


def test_a_table_is_aligned() -> None:
    table = Table("A title", [["name", "x"], ["a longer name", "10"]])
    assert str(table) == "A title\nname             x\na longer name   10"
