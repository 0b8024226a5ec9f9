"""The data module."""

import itertools

import pytest
import torch

from ccsr.training.data import PhotoData, Steps
from ccsr.training.loading import Singles
from photos import noise, save


def folders(tmp_path, val):
    """Photos of 40 pixels for training and of 32 for validation, in two roots; and elsewhere."""
    roots = [tmp_path / name for name in "ab"]
    for root in roots:
        save(noise(40, 40), root / "train" / "one.png")
        save(noise(32, 32), root / "valid" / "two.png")
    save(noise(24, 24), tmp_path / "own" / "three.png")
    options = {"scales": [2], "crop": 64, **val}
    scales = {"values": [2], "anisotropic": 0}
    return PhotoData(roots, options, scales, patch=8, batch_size=1, subfolder="train")


def test_validation_is_on_a_folder_within_each_root(tmp_path):
    data = folders(tmp_path, {"root": None, "subfolder": "valid"})
    assert [tuple(size) for size in data.batches.sizes] == [(40, 40)] * 2
    assert [item.hr.shape[-1] for item in data.validation.items] == [32, 32]


def test_a_root_of_its_own_for_validation_comes_first(tmp_path):
    data = folders(tmp_path, {"root": str(tmp_path / "own"), "subfolder": "valid"})
    assert [item.hr.shape[-1] for item in data.validation.items] == [24]


def test_steps_go_on_from_the_start_and_are_shared_out():
    assert list(itertools.islice(Steps(lambda: 7), 3)) == [7, 8, 9]
    ranks = [itertools.islice(Steps(lambda: 5, rank, 2), 2) for rank in (0, 1)]
    assert [list(rank) for rank in ranks] == [[10, 12], [11, 13]]


@pytest.mark.parametrize("name", ["cache_mb", "device_mb", "workers"])
def test_settings_below_zero_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=rf"data\.{name} must not be negative, got -1"):
        PhotoData(None, {"scales": [2]}, {}, 8, 1, **{name: -1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduced": "abc"}, r"data\.reduced must be a list of numbers, got 'abc'"),
        ({"reduced": ["abc"]}, r"data\.reduced must be a number, got 'abc'"),
        ({"reduced": 2}, r"data\.reduced must be factors between 0 and 1, got 2"),
        ({"dots": None}, r"data\.dots must be a number, got None"),
        ({"reduction": "foo"}, r"data\.reduction must be 'uint8' or 'float', got 'foo'"),
        ({"seed": -1}, r"data\.seed must not be negative, got -1"),
        ({"seed": None}, r"data\.seed must be an integer, got None"),
        (
            {"degradation": {"noise": 1.0}, "patch": 1},
            r"data\.degradation needs a data\.patch of at least 2, got 1",
        ),
        ({"val": {"sets": {}}}, r"data\.val\.sets names no set: give some, or .*=null"),
        (
            {"val": {"crop": 1, "scales": [2]}},
            r"\.png, cut to data\.val\.crop=1, at the scale 2 of data\.val\.scales: an image",
        ),
    ],
)
def test_values_that_cannot_be_are_named_by_their_settings(tmp_path, options, message):
    save(noise(40, 40), tmp_path / "one.png")
    usual = {"patch": 8, "scales": {"values": [2], "anisotropic": 0}, "val": {"scales": [2]}}
    with pytest.raises(ValueError, match=message):
        PhotoData(tmp_path, batch_size=2, **{**usual, **options})


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    message = r"cannot keep photos in data\.cache, .*file.*: Not a directory"
    with pytest.raises(OSError, match=message):
        PhotoData(None, {"scales": [2]}, {}, 8, 1, cache=str(tmp_path / "file"))


def test_one_factor_may_stand_without_a_list(tmp_path):
    save(noise(40, 40), tmp_path / "one.png")
    data = PhotoData(tmp_path, {"scales": [2]}, {"values": [2]}, 8, 1, reduced=0.5)
    assert data.photos.sizes == [(40, 40), (20, 20)]


def test_photos_that_are_never_drawn_are_named(tmp_path, caplog):
    for name, (h, w) in {"large": (40, 40), "long": (40, 9), "small": (15, 40)}.items():
        save(noise(h, w), tmp_path / f"{name}.png")
    val = {"scales": [2], "crop": 16, "root": str(tmp_path)}
    PhotoData(tmp_path, val, {"values": [2, 3], "anisotropic": 0}, 8, 1)
    assert "2 of 3 photos are too small for data.patch=8: " in caplog.text
    assert "long.png" in caplog.text
    assert "small.png" in caplog.text
    assert "large.png" not in caplog.text


def several(tmp_path, **val):
    for kind, names in {"text": "abc", "people": "de"}.items():
        for n, name in enumerate(names):
            save(noise(32, 32, n), tmp_path / kind / f"{name}.png")
    sets = {kind: str(tmp_path / kind) for kind in ("text", "people")}
    val = {"scales": [2, 3], "crop": 24, "sets": sets, **val}
    return PhotoData(None, val, {"values": [2], "anisotropic": 0}, 8, 1)


def test_validation_is_on_several_sets(tmp_path):
    data = several(tmp_path, images=2)
    assert [item.kind for item in data.validation] == ["text"] * 4 + ["people"] * 4
    assert data.validation.settings["sets"] == ["text", "people"]


def test_sets_say_alone_where_images_lie(tmp_path):
    with pytest.raises(ValueError, match=r"data\.val\.sets says where .*data\.val\.root"):
        several(tmp_path, root=str(tmp_path))


def test_a_set_without_images_is_named(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text/x.png").touch()
    with pytest.raises(ValueError, match=r"got 1 files and 2 scales: check data\.val\.sets\.text"):
        several(tmp_path, sets={"text": str(tmp_path / "text" / "x.png")})


def test_every_sample_may_have_its_own_scale(tmp_path):
    """A step is as many batches of one, each a function of seed and step."""
    save(noise(48, 48), tmp_path / "one.png")
    scales = {"min": 1.25, "max": 4, "denominator": None, "anisotropic": 0.3, "per": "sample"}
    data, again = (PhotoData(tmp_path, {"scales": [2]}, scales, 8, 6, seed=3) for _ in range(2))
    (steps, others) = (Singles(each.batches, each.singles) for each in (data, again))
    sizes = []
    for step in range(4):
        parts = steps[step]
        assert [part.lr.shape for part in parts] == [(1, 3, 8, 8)] * 6
        sizes += [tuple(part.hr.shape[-2:]) for part in parts]
        for one, other in zip(parts, others[step], strict=True):
            assert torch.equal(one.lr, other.lr)
            assert torch.equal(one.hr, other.hr)
    assert len(set(sizes)) > 12
    assert any(rows != columns for rows, columns in sizes)
    whole = PhotoData(tmp_path, {"scales": [2]}, {**scales, "per": "batch"}, 8, 6)
    assert whole.singles is None
    assert len(whole.batches[0].hr) == 6
