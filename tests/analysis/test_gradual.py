import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ccsr.analysis import gradual
from ccsr.analysis.findings import Options
from ccsr.training import train
from ccsr.training.checkpoints import FINAL


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.linear_gradient("L").resize((60, 50)).save(folder / "one.png")
    return folder


def test_multiplies_of_the_direct_network() -> None:
    """Per output pixel at 2: a quarter of the encoder, the layer, the pointwise decoder."""
    encoder = 9 * (3 * 24 + 4 * 24 * 24)
    layer, decoder = 9 * 24 * 24, 24 * 24 + 24 * 3
    expected = (encoder / 4 + layer + decoder) / 1000
    assert math.isclose(gradual.multiplies(gradual.architecture(1, 24), 2.0), expected)


def test_multiplies_of_a_stack_count_every_grid() -> None:
    """Two layers at 4: the first reaches 2, a quarter of the output's pixels."""
    one, two = (gradual.multiplies(gradual.architecture(n, 24), 4.0) for n in (1, 2))
    assert math.isclose(two - one, 9 * 24 * 24 / 4 / 1000)


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_widths_make_the_costs_equal(layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradual, "SCALES", (2.0, 4.0))
    width = gradual.equal_width(layers, range(14, 25))

    def cost(layers: int, width: int) -> float:
        config = gradual.architecture(layers, width)
        return gradual.multiplies(config, 2.0) + gradual.multiplies(config, 4.0)

    aim = cost(1, gradual.DIRECT_CHANNELS)
    assert width < gradual.DIRECT_CHANNELS
    assert math.isclose(cost(layers, width), aim, rel_tol=0.1)
    assert cost(layers, width - 1) < aim < cost(layers, width + 1)


@pytest.mark.long
def test_it_trains_measures_and_does_not_train_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradual, "LAYERS", (1, 2))
    monkeypatch.setattr(gradual, "SCALES", (2.0,))
    monkeypatch.setattr(gradual, "CROP", 48)
    options = Options(data=photos, limit=1, steps=2, out=tmp_path / "out")
    findings = gradual.analyse(options)
    direct, two = findings.records
    assert (direct["name"], two["name"]) == ("direct", "gradual, 2 layers")
    assert (tmp_path / "out" / "runs" / "layers_2_steps_2" / FINAL).is_file()
    findings.pictures["gradual.png"](tmp_path / "gradual.png")
    assert (tmp_path / "gradual.png").stat().st_size > 5_000

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("it trained again")

    monkeypatch.setattr(train, "train", refuse)
    with pytest.raises(ValueError, match=r"holds a run with data.root=.*: choose another --out"):
        gradual.analyse(replace(options, data=tmp_path))
    assert [one["psnr"] for one in gradual.analyse(options).records] == [
        direct["psnr"],
        two["psnr"],
    ]


def test_it_needs_photos_and_a_folder(photos: Path, tmp_path: Path) -> None:
    for options in (Options(data=photos), Options(out=tmp_path)):
        with pytest.raises(
            ValueError, match=r"gradual trains networks: give --data FOLDER .* --out"
        ):
            gradual.analyse(options)
