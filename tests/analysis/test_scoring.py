import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from ccsr.analysis.scoring import Bicubic, in_turns, one_thread, read_photos, score
from ccsr.evaluation.methods import build
from ccsr.grid import ProjectedGrid
from ccsr.image import read_rgb, to_float
from ccsr.protocols import by_name
from ccsr.training.photos import find_images

PHOTO = read_rgb(find_images(None)[0])[:, :96, :80]


@pytest.mark.parametrize("scale", [2.0, 2.37, (1.5, 4.0)])
def test_bicubic_scores_as_in_evaluation(scale: float | tuple[float, float]) -> None:
    protocol = by_name("liif-y")
    (method,) = build(["bicubic"], protocol)
    pair = scale if isinstance(scale, tuple) else (scale, scale)
    size, (height, width) = protocol.crop((96, 80), pair)
    hr = PHOTO[:, :height, :width]
    sr = protocol.finish(method.upscale(protocol.reduce(hr, size, pair), (height, width)))
    assert score(Bicubic(), PHOTO, scale)[0] == pytest.approx(
        protocol.psnr(sr, to_float(hr), pair), abs=1e-4
    )


def test_an_image_that_cannot_be_measured_on_is_named(tmp_path: Path) -> None:
    Image.new("L", (30, 14)).save(tmp_path / "a.png")
    (photo,) = read_photos(tmp_path, None, 16, [1.5, (2.0, 4.0)])
    assert photo.shape == (3, 14, 16)
    with pytest.raises(
        ValueError, match=r"a\.png, at the scale 8: an image of 8x8 pixels less 8x8"
    ):
        read_photos(tmp_path, None, 8, [8.0])


def test_the_protocol_decides() -> None:
    scores = {score(Bicubic(), PHOTO, 2.0, name)[0] for name in ("liif-y", "benchmark-y")}
    assert len(scores) == 2


class Noting(Bicubic):
    """Bicubic that notes its turn, and takes a given time by a clock of its own."""

    now = 0.0
    turns: list[str]

    def __init__(self, name: str, *times: float) -> None:
        self.name, self.times = name, list(times)

    def tensor(self, x: Tensor, *, grid: ProjectedGrid) -> Tensor:
        Noting.turns.append(self.name)
        Noting.now += self.times.pop(0)
        return super().tensor(x, grid=grid)


def test_all_take_turns_and_the_fastest_counts() -> None:
    Noting.turns = []
    both = [Noting("a", 3, 1, 2, 5), Noting("b", 7, 8, 9, 6)]
    photos = [PHOTO, PHOTO.flip(1)]
    found = in_turns(both, photos, 2.0, repeats=2, clock=lambda: Noting.now)
    assert "".join(Noting.turns) == "abababab"
    assert [seconds for _, seconds in found] == [(1 + 2) / 2, (7 + 6) / 2]
    assert found[0][0] == found[1][0]


def test_the_clock_of_one_thread() -> None:
    before = torch.get_num_threads()
    with one_thread() as clock:
        assert torch.get_num_threads() == 1
        start = clock()
        time.sleep(0.1)
        assert clock() - start < 0.05
    assert torch.get_num_threads() == before
