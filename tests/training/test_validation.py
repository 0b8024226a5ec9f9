"""The validation set."""

import pytest
import torch
from PIL import Image

from ccsr.training.validation import (
    ScaleMean,
    Validation,
    ValidationSet,
    as_float,
    quantised,
    score,
)


@pytest.fixture
def files(tmp_path):
    ramp = torch.linspace(0, 255, 120).round().to(torch.uint8).expand(100, 120)
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path in paths:
        Image.fromarray(ramp.contiguous().numpy()).save(path)
    return paths


def test_sizes_fit_the_scale_exactly_where_they_can(files):
    items = ValidationSet(files[:1], [1.5, 2, 2.37, 3, (1.5, 4)], crop=64).items
    sizes = [(tuple(item.lr.shape[2:]), tuple(item.hr.shape[2:])) for item in items]
    assert sizes == [
        ((42, 42), (63, 63)),
        ((32, 32), (64, 64)),
        ((27, 27), (64, 64)),
        ((21, 21), (63, 63)),
        ((42, 16), (63, 64)),
    ]
    assert items[-1].scale == (1.5, 4)


def test_bicubic_is_scored_beside(files):
    item = ValidationSet(files[:1], [2], crop=64)[0]
    assert 30 < item.bicubic < 80
    assert score(item.hr, item.hr, item.scale) == float("inf")


def test_images_are_taken_at_even_distances(files, caplog):
    files[2].write_bytes(b"broken")
    chosen = ValidationSet(files, [2, 3], images=3, crop=32)
    assert len(chosen) == 4
    assert "2.png" in caplog.text


def test_an_image_that_finds_no_room_is_skipped(files, monkeypatch, caplog):
    monkeypatch.setattr("ccsr.device.free_memory", lambda device: 1000)
    with pytest.raises(ValueError, match="got 3 files and 1 scales"):
        ValidationSet(files[:3], [2], crop=32)
    assert caplog.text.count("skipped an image that cannot be read: ") == 3


def test_an_image_of_one_colour_says_nothing(files, caplog):
    Image.new("RGB", (64, 64), "white").save(files[1])
    chosen = ValidationSet(files[:2], [2, 3], crop=32)
    assert len(chosen) == 2
    assert "skipped an image at x3: bicubic is exact: " in caplog.text


def test_nothing_to_validate_with_is_an_error(tmp_path):
    path = tmp_path / "empty.png"
    path.touch()
    with pytest.raises(ValueError, match=r"got 1 files and 1 scales: check data\.val"):
        ValidationSet([path], [2])


def test_at_a_scale_of_1_there_is_nothing_to_validate(tmp_path):
    with pytest.raises(ValueError, match="scales for validation other than 1, where bicubic is"):
        ValidationSet([tmp_path / "a.png"], [2, 1])


def test_degraded_images_have_means_of_their_own(files):
    chosen = ValidationSet({"a": files[:2]}, [1, 2], crop=32, degrade=["none", "noise:5", "jpeg:9"])
    assert [(item.kind, item.scale[0]) for item in chosen.items[:5]] == [
        ("a none", 2), ("a noise:5", 1), ("a noise:5", 2), ("a jpeg:9", 1), ("a jpeg:9", 2),
    ]  # fmt: skip
    assert len(chosen) == 10
    assert chosen.settings["degrade"] == ["none", "noise:5", "jpeg:9"]
    clean, noisy = chosen[0], chosen[2]
    assert torch.equal(clean.hr, noisy.hr)
    assert 3 < (clean.lr.float() - noisy.lr.float()).std() < 7
    # the noisy image itself: 5 levels in each colour are 2.87 of luma
    assert chosen[1].bicubic == pytest.approx(38.97, abs=0.7)
    again = ValidationSet(files[:1], [2], crop=32, degrade=["noise:5"])
    assert torch.equal(again[0].lr, noisy.lr)
    assert [item.quality for item in chosen.items[:5]] == [0, 0, 0, 9, 9]


@pytest.mark.parametrize(
    ("degrade", "message"),
    [
        ("jpeg:60", r"data\.val\.degrade must be a list of chains.*got 'jpeg:60'"),
        ([], r"data\.val\.degrade must be a list of chains"),
        (["jpg:60"], r"data\.val\.degrade: unknown degradation 'jpg'.*jpeg"),
    ],
)
def test_chains_are_listed(files, degrade, message):
    with pytest.raises(ValueError, match=message):
        ValidationSet(files, degrade=degrade)


def test_at_1_something_has_to_be_done(files):
    with pytest.raises(ValueError, match=r"exact unless data\.val\.degrade says otherwise"):
        ValidationSet(files, [1], degrade=["none"])


def test_quantised_and_back():
    x = torch.tensor([-0.2, 0.0, 0.5, 1.0, 1.3]).view(1, 1, 1, 5)
    assert as_float(quantised(x)).flatten().tolist() == pytest.approx([0, 0, 128 / 255, 1, 1])


def test_means_of_several_sets_count_alike():
    """A set of three images counts as much as one of a single image."""
    scores = [ScaleMean("a", (2, 2), 30 + n, 29) for n in range(3)]
    scores += [ScaleMean("a", (1.5, 4), 28, 28), ScaleMean("b", (2, 2), 40, 36)]
    found = Validation.of(7, scores)
    assert found.means[0] == ("a", (2, 2), 31, 29)
    assert (found.gain_of("a"), found.gain_of("b"), found.gain) == (1, 4, 2.5)
    assert found.metrics() == {
        "a/psnr_x2": 31, "a/bicubic_x2": 29, "a/psnr_x4x1.5": 28, "a/bicubic_x4x1.5": 28,
        "a/gain": 1, "b/psnr_x2": 40, "b/bicubic_x2": 36, "b/gain": 4, "gain": 2.5,
    }  # fmt: skip
    assert found.lines() == [
        "a, PSNR (bicubic): x2 31.00 (29.00)  x4x1.5 28.00 (28.00)  gain +1.000 dB",
        "b, PSNR (bicubic): x2 40.00 (36.00)  gain +4.000 dB",
        "mean over 2 sets: gain +2.500 dB",
    ]


def test_one_set_needs_no_name():
    found = Validation.of(7, [ScaleMean("", (2, 2), 31, 29)])
    assert found.metrics() == {"psnr_x2": 31, "bicubic_x2": 29, "gain": 2}
    assert found.lines() == ["PSNR (bicubic): x2 31.00 (29.00)  gain +2.000 dB"]


def test_rows_show_all_sets_and_scales(files):
    sets = {"a": files[:3], "b": files[3:]}
    chosen = ValidationSet(sets, [2, 3], crop=32)
    items = [chosen[n] for n in sorted(chosen.shown(4))]
    assert [(item.kind, item.scale[0]) for item in items] == [
        ("a", 2), ("a", 3), ("b", 2), ("b", 3),
    ]  # fmt: skip
    assert len(chosen.shown(99)) == 5
    assert chosen.shown(0) == set()


@pytest.mark.parametrize("scales", [2, "abc", [], [[2]], ["x"], [0], None])
def test_scales_are_a_list(files, scales):
    with pytest.raises(ValueError, match=r"data\.val\.scales must be a list of scales and pairs"):
        ValidationSet(files, scales)


@pytest.mark.parametrize("options", [{"images": "abc"}, {"images": 0}, {"crop": 2.5}])
def test_counts_are_integers(files, options):
    (name,) = options
    with pytest.raises(ValueError, match=rf"data\.val\.{name} must be a positive integer"):
        ValidationSet(files, [2], **options)
