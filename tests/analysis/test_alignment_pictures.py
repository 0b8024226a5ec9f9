from pathlib import Path

import pytest
from PIL import Image

from ccsr.analysis import alignment_pictures
from ccsr.analysis.alignment import Drift


def test_the_picture_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment_pictures, "SHOWN", (("CC /2 and back", 65),))
    found = [
        Drift(direction, "a layer", size, depth, depth, depth, depth, None, depth, depth)
        for direction, size in alignment_pictures.PLOTS
        for depth in (1, 2)
    ]
    alignment_pictures.draw(tmp_path / "alignment.webp", found)
    with Image.open(tmp_path / "alignment.webp") as picture:
        assert picture.format == "WEBP"
        assert picture.width > 1000
