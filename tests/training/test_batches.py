"""Batches of patches."""

import itertools
import pickle

import numpy as np
import pytest
import torch

from ccsr.grid import ProjectedGrid
from ccsr.resample import reduce_uint8
from ccsr.training.batches import Batches
from ccsr.training.dots import dotted
from ccsr.training.scales import Scales
from ccsr.training.sources import FromFiles
from photos import noise


class Held:
    """Photos in memory; None for one that is unreadable."""

    def __init__(self, *photos):
        self.photos = photos

    def get(self, index):
        return self.photos[index]


def batches(*photos, values=(2,), patch=8, **options):
    scales = Scales(values=values, anisotropic=0)
    sizes = [photo.shape[1:] for photo in photos]
    return Batches(FromFiles(Held(*photos)), sizes, scales, patch, 2, **options)


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
    for lr, hr, _ in (data[step] for step in range(40)):
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
    lr, hr, _ = batches(photo, values=[3])[0]
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
    lr, hr, _ = data[0]
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
    lr, hr, _ = batches(noise(30, 30), values=[0.5])[0]
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
    message = r"=8 times the scale 2\.37 is 18\.96 pixels.*multiple of 100, .*=null.* 19/8 = 2\.375"
    with pytest.raises(ValueError, match=message):
        batches(noise(40, 40), values=[2.37])


def test_sizes_are_rounded_where_scales_are_continuous():
    photo = noise(60, 60)
    listed = Batches(
        FromFiles(Held(photo)),
        [(60, 60)],
        Scales(denominator=None, values=[2.37], anisotropic=0),
        8,
    )
    assert listed[0].hr.shape[2:] == (19, 19)
    scales = Scales(1, 4, None, anisotropic=0.5, pairs=4)
    made = Batches(FromFiles(Held(photo)), [(60, 60)], scales, 8, 2)
    sizes = [tuple(made[step].hr.shape[2:]) for step in range(300)]
    assert {h for h, w in sizes if h == w} == set(range(8, 33))
    assert len({size for size in sizes if size[0] != size[1]}) <= 4
    for step in range(20):  # and each pair covers the same area: the reduction of its target
        lr, hr, _ = made[step]
        if min(hr.shape[2:]) >= 24:
            grid = ProjectedGrid.project(tuple(hr.shape[2:]), (8, 8))
            inner = (..., slice(3, -3), slice(3, -3))  # beyond it the photo goes on
            difference = reduce_uint8(hr, grid)[inner].int() - lr[inner].int()
            assert difference.abs().max() <= 1


def test_batches_need_a_photo_large_enough():
    message = "no photo has 32x32 pixels.* at the scale 4; the largest has 40x31: lower data.patch"
    with pytest.raises(ValueError, match=message):
        batches(noise(31, 40), values=[2, 4, 3])


def test_batches_know_their_reductions():
    with pytest.raises(ValueError, match=r"must be 'uint8' or 'float', got 'lanczos'"):
        batches(noise(40, 40), reduction="lanczos")


def test_a_photo_that_is_long_enough_one_way_is_turned():
    data = batches(noise(40, 9), patch=8, values=[1])
    data.scales.single = [(1.0, 4.0)]  # 8 x 32 fits only when turned
    assert data[0].hr.shape == (2, 3, 8, 32)


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


def test_a_patch_of_an_unreadable_photo_comes_from_another_by_the_same_rule():
    whole = torch.full((3, 16, 16), 9, dtype=torch.uint8)
    scales = Scales(values=[1], anisotropic=0)
    made = Batches(FromFiles(Held(whole, None)), [(16, 16)] * 2, scales, 8, 16)
    for step in range(5):
        batch = made[step]
        assert (batch.hr == 9).all()
        assert all(map(torch.equal, batch, made[step]))


def test_black_patches_stand_where_no_photo_can_be_read():
    scales = Scales(values=[1], anisotropic=0)
    made = Batches(FromFiles(Held(None)), [(16, 16)], scales, 8, 2)
    assert not made[0].hr.any()


def test_a_large_photo_that_is_unreadable_leaves_its_patches_to_a_small_one():
    whole = torch.full((3, 8, 12), 9, dtype=torch.uint8)
    scales = Scales(values=[1], anisotropic=0)
    made = Batches(FromFiles(Held(None, whole)), [(5000, 5000), (8, 12)], scales, 8, 4)
    for step in range(3):
        assert (made[step].hr == 9).all()
        assert all(map(torch.equal, made[step], made[step]))


def test_every_scale_needs_a_photo_that_can_be_read():
    made = batches(noise(40, 20), noise(9, 9), values=(1, 2))
    made.check_left(np.array([False, True]))
    message = (
        r"none of the photos that are large enough for data\.patch=8 at the scale 2 can be read"
    )
    with pytest.raises(ValueError, match=message):
        made.check_left(np.array([True, False]))
