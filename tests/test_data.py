"""Photos, batches and scales."""

import itertools
import pickle
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from ccsr.data import Batches, PhotoData, Steps, dotted
from ccsr.photos import Photos, find_images
from ccsr.resample import ProjectedGrid, reduce_uint8
from ccsr.scales import Scales


def noise(h, w, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (3, h, w), generator=generator, dtype=torch.uint8)


def save(photo, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo.permute(1, 2, 0).numpy()).save(path)


def batches(*photos, values=(2,), patch=8, **options):
    scales = Scales(values=values, anisotropic=0)
    return Batches(photos, [p.shape[1:] for p in photos], scales, patch, 2, **options)


@pytest.fixture
def folder(tmp_path):
    save(noise(20, 30), tmp_path / "a" / "deep" / "one.png")
    save(noise(40, 10), tmp_path / "b" / "TWO.PNG")
    (tmp_path / "b" / "notes.txt").write_text("no image")
    return tmp_path


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


def test_find_images_searches_several_roots(folder):
    names = [path.name for path in find_images([folder / "a", str(folder / "b")])]
    assert names == ["one.png", "TWO.PNG"]


def test_find_images_takes_the_bundled_photos_by_default():
    assert len(find_images(None)) >= 6


def test_find_images_names_a_missing_root(folder):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*does not exist"):
        find_images(folder / "nowhere")


def test_find_images_names_an_empty_root(folder):
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty.*got none"):
        find_images(folder / "empty")


def test_photos_name_and_skip_broken_files(folder, caplog):
    whole = (folder / "b" / "TWO.PNG").read_bytes()
    (folder / "b" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "b" / "empty.png").touch()
    before = list(warnings.filters)
    photos = Photos(find_images(folder))
    assert warnings.filters == before  # whatever the threads do
    assert [path.name for path in photos.files] == ["one.png", "TWO.PNG"]
    assert warnings.filters == before
    told = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(told) == 2
    assert "cut.png" in told[0]
    assert "empty.png" in told[1]


def test_photos_refuse_a_folder_of_broken_files(tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(ValueError, match="got 1 files that are not"):
        Photos(find_images(tmp_path))


@pytest.mark.parametrize("cache_mb", [10, 0.0018, 0])
def test_photos_are_the_same_whatever_the_cache_holds(folder, cache_mb):
    photos = Photos(find_images(folder), cache_mb)
    assert photos.pool.numel() <= cache_mb * 1e6
    assert torch.equal(photos[0], noise(20, 30))
    assert torch.equal(photos[1], noise(40, 10))
    assert photos.sizes == [(20, 30), (40, 10)]


def test_grey_and_transparent_photos_become_rgb(tmp_path):
    Image.new("L", (5, 4), 7).save(tmp_path / "grey.png")
    Image.new("RGBA", (5, 4), (1, 2, 3, 255)).save(tmp_path / "rgba.png")
    photos = Photos(find_images(tmp_path))
    assert photos[0].unique().tolist() == [7]
    assert photos[1][:, 0, 0].tolist() == [1, 2, 3]


def test_a_batch_is_a_function_of_seed_and_step():
    first, second = (batches(noise(40, 50), noise(30, 30, 1), seed=5) for _ in range(2))
    forwards = [first[step] for step in range(6)]
    for step in reversed(range(6)):
        assert all(map(torch.equal, second[step], forwards[step]))
    hashes = {batch.hr.numpy().tobytes() for batch in forwards}
    assert len(hashes) == 6
    assert not torch.equal(batches(noise(40, 50), noise(30, 30, 1), seed=6)[0].hr, forwards[0].hr)


def test_workers_get_the_same_batches():
    original = batches(noise(40, 50))
    copy = pickle.loads(pickle.dumps(original))
    assert all(map(torch.equal, original[3], copy[3]))


def dihedral(photo):
    for turned, vertical, horizontal in itertools.product((False, True), repeat=3):
        x = photo.mT if turned else photo
        yield x.flip([d for d, flip in ((1, vertical), (2, horizontal)) if flip])


def find(patch, photo):
    """Where `patch` lies in `photo`: (top, left) or None."""
    h, w = patch.shape[1:]
    windows = photo.unfold(1, h, 1).unfold(2, w, 1)  # (3, rows, columns, h, w)
    hits = (windows == patch[:, None, None]).all(0).all(-1).all(-1).nonzero()
    return tuple(hits[0].tolist()) if len(hits) else None


def test_a_patch_is_a_part_of_the_whole_reduction_and_all_turns_occur():
    photo, seen = noise(24, 28), set()
    data = batches(photo)
    for lr, hr in (data[step] for step in range(40)):
        for low, high in zip(lr, hr, strict=True):
            turns = enumerate(dihedral(photo))
            turn, whole, place = next(
                (i, x, found) for i, x in turns if (found := find(high, x)) is not None
            )
            seen.add(turn)
            phase = [p % 2 for p in place]  # reduce the photo from a corner of the same phase
            whole = whole[:, phase[0] :, phase[1] :]
            top, left = (p // 2 for p in place)
            size = (-(-whole.shape[1] // 2), -(-whole.shape[2] // 2))
            grid = ProjectedGrid.project(whole.shape[1:], size, 0.5, "topleft")
            reduced = reduce_uint8(whole, grid)[:, top : top + 8, left : left + 8]
            inner = slice(max(0, 2 - top), None), slice(max(0, 2 - left), None)  # past the cut
            assert torch.equal(low[:, *inner], reduced[:, *inner])
    assert seen == set(range(8))


def test_a_photo_of_exactly_the_size_gives_its_own_reduction():
    photo = noise(24, 24)
    lr, hr = batches(photo, values=[3])[0]
    expected = reduce_uint8(hr, ProjectedGrid.project((24, 24), (8, 8)))
    assert torch.equal(lr, expected)
    assert any(torch.equal(hr[0], turned) for turned in dihedral(photo))


@pytest.mark.parametrize(
    ("scale", "size"),
    [((2.5, 2.5), (20, 20)), ((1, 4), (8, 32)), ((0.5, 0.5), (4, 4)), ((0.5, 3), (4, 24))],
)
@pytest.mark.parametrize("reduction", ["uint8", "float"])
def test_sizes_and_ranges(scale, size, reduction):
    data = batches(noise(40, 40), noise(33, 48), reduction=reduction)
    data.scales.single = [scale]
    lr, hr = data[0]
    assert lr.shape == (2, 3, 8, 8)
    assert hr.shape == (2, 3, *size)
    assert lr.dtype == hr.dtype == (torch.uint8 if reduction == "uint8" else torch.float32)
    if reduction == "float":
        assert lr.min() >= 0
        assert lr.max() <= 1


def test_reductions_differ_by_rounding_only():
    smooth = torch.linspace(20, 200, 40).round().to(torch.uint8).expand(3, 40, 40)
    exact, rounded = (batches(smooth, reduction=r)[0].lr for r in ("float", "uint8"))
    assert (exact * 255 - rounded).abs().max() <= 1.01


def test_below_one_the_target_is_the_reduction():
    lr, hr = batches(noise(30, 30), values=[0.5])[0]
    mean = torch.nn.functional.avg_pool2d(lr.float(), 2)
    correlation = np.corrcoef(mean.flatten(), hr.flatten())[0, 1]
    assert correlation > 0.9  # in place: noise correlates with nothing else


def test_large_photos_give_more_patches():
    flat = [
        torch.full((3, side, side), value, dtype=torch.uint8) for side, value in ((16, 1), (48, 9))
    ]
    data = batches(*flat)
    values = torch.cat([data[step].hr[:, 0, 0, 0] for step in range(100)]).tolist()
    assert 0.82 < values.count(9) / len(values) < 0.97  # 9 parts of 10


def test_batches_need_whole_sizes():
    with pytest.raises(ValueError, match=r"must be an integer, got 8 x .*denominator"):
        batches(noise(40, 40), values=[2.37])


def test_batches_need_a_photo_large_enough():
    with pytest.raises(ValueError, match=r"no photo has 32 x 32 pixels.*lower data\.patch"):
        batches(noise(31, 40), values=[4])


def test_batches_know_their_reductions():
    with pytest.raises(ValueError, match=r"must be 'uint8' or 'float', got 'lanczos'"):
        batches(noise(40, 40), reduction="lanczos")


def test_a_photo_that_is_long_enough_one_way_is_turned():
    data = batches(noise(40, 9), patch=8, values=[1])
    data.scales.single = [(1.0, 4.0)]  # 8 x 32 fits only when turned
    assert data[0].hr.shape == (2, 3, 8, 32)


def test_scales_are_multiples_within_the_range():
    assert [s for s, _ in Scales(1, 2, 4).single] == [1, 1.25, 1.5, 1.75, 2]
    assert [s for s, _ in Scales(0.3, 1, 4).single] == [0.5, 0.75, 1]
    assert Scales(values=[2, 3.5]).single == [(2, 2), (3.5, 3.5)]


def test_scales_draw_a_share_of_a_bounded_set_of_pairs():
    scales, rng = Scales(1, 4, 8, anisotropic=0.25, pairs=10, seed=3), np.random.default_rng(0)
    drawn = [scales.draw(rng) for _ in range(4000)]
    mixed = [pair for pair in drawn if pair[0] != pair[1]]
    assert 0.22 < len(mixed) / len(drawn) < 0.28
    assert len(set(mixed)) == 10
    assert set(drawn) == set(scales.pairs())
    assert Scales(seed=3).mixed == Scales(seed=3).mixed != Scales(seed=4).mixed


def test_one_scale_has_no_pairs():
    assert Scales(values=[2], anisotropic=0.5).pairs() == [(2, 2)]


def test_scales_listed_twice_make_no_pairs_of_equals_nor_pairs_twice():
    for seed in range(6):
        mixed = Scales(values=[2, 2, 3, 3, 4, 6], pairs=12, seed=seed).mixed
        assert len(set(mixed)) == 12
        assert all(a != b for a, b in mixed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min": 3, "max": 2}, "at least one scale"),
        ({"values": [0, 2]}, "positive ones only"),
        ({"anisotropic": 2}, r"anisotropic must be in \[0, 1\], got 2"),
        ({"denominator": 0}, "denominator must be at least 1, got 0"),
    ],
)
def test_scales_refuse(options, message):
    with pytest.raises(ValueError, match=message):
        Scales(**options)


def test_steps_go_on_from_the_start_and_are_shared_out():
    assert list(itertools.islice(Steps(lambda: 7), 3)) == [7, 8, 9]
    ranks = [itertools.islice(Steps(lambda: 5, rank, 2), 2) for rank in (0, 1)]
    assert [list(rank) for rank in ranks] == [[10, 12], [11, 13]]


def test_dots_are_of_two_levels_per_channel_whatever_the_photo():
    rng = np.random.default_rng(0)
    sizes = set()
    for _ in range(40):
        dots = dotted(noise(24, 31), rng)
        assert dots.shape == (3, 24, 31)
        assert dots.dtype == torch.uint8
        assert all(len(channel.unique()) <= 2 for channel in dots)
        runs = (dots.diff(dim=2) != 0).any(0).any(0).nonzero().flatten().diff()
        sizes.add(int(runs.min()) if len(runs) else 0)
    assert {1, 2, 3, 4, 5, 6, 7, 8} <= sizes


def test_a_share_of_the_patches_is_in_dots():
    photo = torch.arange(3 * 40 * 40).view(3, 40, 40).remainder(251).to(torch.uint8)
    levels = []
    for dots in (0.0, 0.5, 1.0):
        made = batches(photo, dots=dots)
        patches = [patch for step in range(40) for patch in made[step].hr]
        levels.append([all(len(channel.unique()) <= 2 for channel in patch) for patch in patches])
    none, half, every = levels
    assert not any(none)
    assert 25 < sum(half) < 55
    assert all(every)


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"data\.dots must be in \[0, 1\], got 2"):
        batches(noise(40, 40), dots=2)
