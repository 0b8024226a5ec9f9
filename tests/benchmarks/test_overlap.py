"""The search for test images among training pictures."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmarks.overlap import Gallery, describe, described, main, planted

SAMPLES = Path(__file__).resolve().parents[2] / "data/samples"
NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    paths = [SAMPLES / name for name in NAMES]
    return Gallery(
        [describe(path, mirrored=mirrored) for mirrored in (False, True) for path in paths]
    )


@pytest.mark.parametrize("name", NAMES)
def test_parts_are_found_in_their_own_image_alone(gallery: Gallery, name: str) -> None:
    for part in planted(SAMPLES / name):
        found = [one for one in gallery.candidates(part) if one.overlaps]
        assert {Path(one.test.removesuffix(" (mirrored)")).name for one in found} == {name}


def test_what_is_turned_and_reduced_is_found_with_its_pixels(gallery: Gallery) -> None:
    with Image.open(SAMPLES / "coffee.png") as whole:
        turned = whole.rotate(30, Image.Resampling.BICUBIC)
    part = ImageOps.autocontrast(turned.crop((180, 90, 420, 310)).resize((160, 147)))
    (found,) = (one for one in gallery.candidates(described("part", part)) if one.overlaps)
    assert found.test.endswith("coffee.png")
    assert found.correlation > 0.7


def test_a_picture_without_keypoints_is_like_nothing(gallery: Gallery) -> None:
    flat = described("flat", Image.new("RGB", (64, 64), "grey"))
    assert flat.places.shape == (0, 2)
    assert flat.descriptors.shape == (0, 128)
    assert not [*gallery.candidates(flat)]
    alone = Gallery([flat])
    assert not [*alone.candidates(describe(SAMPLES / "coffee.png"))]


def test_noise_is_no_overlap(gallery: Gallery) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (96, 128, 3), np.uint8)).resize((512, 384))
    assert not [one for one in gallery.candidates(described("noise", noise)) if one.overlaps]


@pytest.mark.long
def test_the_command_names_overlaps_and_tells_them_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = tmp_path / "train", tmp_path / "test"
    for folder, names in ((train, NAMES[:2]), (test, NAMES[1:3])):
        folder.mkdir()
        for name in names:
            shutil.copy(SAMPLES / name, folder)
    assert main([str(train), "--test", str(test), "--jobs", "1"]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"train/chelsea.png overlaps .*test/chelsea.png: \d+ keypoints", printed)
    assert "2 training pictures, 2 test images" in printed
    assert printed.endswith("1 overlaps\n")
    (train / "chelsea.png").unlink()
    assert main([str(train), "--test", str(test), "--jobs", "1"]) == 0
    assert capsys.readouterr().out.endswith("0 overlaps\n")


def test_either_training_pictures_or_planted_parts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--test", str(SAMPLES)])
    assert "give either folders of training pictures or --planted" in capsys.readouterr().err
