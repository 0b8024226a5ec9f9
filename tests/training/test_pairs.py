"""Given low-resolution photos."""

from pathlib import Path

import pytest
import torch

from ccsr.grid import ProjectedGrid
from ccsr.resample import reduce_uint8
from ccsr.training.config import made
from ccsr.training.data import PhotoData
from ccsr.training.pairs import find_partners
from photos import noise, save
from runs import assert_same_run, composed

LISTED = {"values": [2, 3], "anisotropic": 0}


def reduced(photo, size):
    return reduce_uint8(photo, ProjectedGrid.project(tuple(photo.shape[1:]), size))


@pytest.fixture
def div2k(tmp_path):
    """Photos and their reductions, laid out as DIV2K is."""
    for n, (h, w) in enumerate([(60, 72), (96, 66)], start=1):
        photo = noise(h, w, n)
        save(photo, tmp_path / f"DIV2K_train_HR/000{n}.png")
        for s in (2, 3):
            low = reduced(photo, (h // s, w // s))
            save(low, tmp_path / f"DIV2K_train_LR_bicubic/X{s}/000{n}x{s}.png")
    return tmp_path


def data_of(div2k, scales=LISTED, patch=8, **options):
    low = div2k / "DIV2K_train_LR_bicubic"
    val = {"scales": [2], "crop": 32}
    root = div2k / "DIV2K_train_HR"
    return PhotoData(root, val, scales, patch, 3, lr=str(low), **options)


def test_patches_of_both_resolutions_cover_the_same_area(tmp_path):
    """A ramp that tells each pixel its place, reduced by taking one pixel in two or three."""
    h, w = 60, 66
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    photo = torch.stack([rows, columns, rows * 0]).to(torch.uint8)
    save(photo, tmp_path / "DIV2K_train_HR/1.png")
    for s in (2, 3):
        save(photo[:, ::s, ::s], tmp_path / f"DIV2K_train_LR_bicubic/X{s}/1x{s}.png")
    batches = data_of(tmp_path).batches
    seen = set()
    for step in range(40):
        lr, hr = (x.to(int) for x in batches[step][:2])
        s = hr.shape[2] // lr.shape[2]
        for n in range(len(lr)):
            tops, lefts = hr[n, 0], hr[n, 1]
            # in the photo's own axes the patch begins at its least row and column
            first = tops.min(), lefts.min()
            seen.add((s, *map(int, first)))
            assert [int(x) for x in (lr[n, 0].min(), lr[n, 1].min())] == [int(x) for x in first]
            assert hr.shape[2:] == (8 * s, 8 * s)
            for low, high in zip(lr[n, :2], hr[n, :2], strict=True):
                blocks = high.unfold(0, s, s).unfold(1, s, s).flatten(2)
                assert torch.equal(blocks.amin(2), low)
    assert {s for s, *_ in seen} == {2, 3}
    assert len(seen) > 60


def test_a_batch_is_a_function_of_seed_and_step(div2k):
    one, two = data_of(div2k, seed=5).batches, data_of(div2k, seed=5).batches
    for step in (7, 0, 3):
        assert all(map(torch.equal, one[step], two[step]))
    assert not torch.equal(one[0].hr, data_of(div2k, seed=6).batches[0].hr)


def test_an_unreadable_partner_is_replaced(div2k):
    path = div2k / "DIV2K_train_LR_bicubic/X2/0001x2.png"
    path.write_bytes(path.read_bytes()[:200])
    batches = data_of(div2k, {"values": [2], "anisotropic": 0}).batches
    for step in range(8):
        assert all(part.flatten(1).any(1).all() for part in batches[step][:2])


def test_the_last_pair_that_can_be_read_is_found(div2k):
    save(noise(1600, 1600), div2k / "DIV2K_train_HR/0002.png")
    save(noise(800, 800), div2k / "DIV2K_train_LR_bicubic/X2/0002x2.png")
    for path in div2k.rglob("0002*.png"):
        path.write_bytes(path.read_bytes()[:200])
    data = data_of(div2k, {"values": [2], "anisotropic": 0})
    for step in range(3):
        assert all(part.flatten(1).any(1).all() for part in data.batches[step][:2])
    number = {photo.path.name: n for n, photo in enumerate(data.photos.photos)}
    unreadable = data.photos.unreadable
    data.batches.check_left(unreadable)
    unreadable[number["0001x2.png"]] = True
    with pytest.raises(ValueError, match="at the scale 2 can be read: repair them"):
        data.batches.check_left(unreadable)


def test_one_photo_whose_partner_has_no_header(div2k):
    for path in div2k.rglob("0002*.png"):
        path.unlink()
    (div2k / "DIV2K_train_LR_bicubic/X2/0001x2.png").write_bytes(b"")
    with pytest.raises(ValueError, match="no low-resolution image at the scale 2 has the 8x8"):
        data_of(div2k, {"values": [2], "anisotropic": 0})


@pytest.mark.parametrize(
    ("file", "scale"),
    [
        ("X2/0001x2.png", 2),
        ("x4/0001.png", 4),
        ("3/0001.png", 3),
        ("LRbicx2/0001.png", 2),
        ("mild/0001x4m.png", 4),
        ("image_SRF_2/0001_SRF_2_LR.png", 2),
        ("X1.5/0001x1.5.png", 1.5),
        ("×2/0001.png", 2),
        ("all/0001×3.png", 3),
        ("all/0001X3.PNG", 3),
    ],
)
def test_layouts(file, scale):
    truth = Path("HR/0001.png")
    assert find_partners([truth], [Path(file)], [scale]) == {scale: [(truth, Path(file))]}


def test_names_in_another_case():
    truths = [Path("HR/Fox.png"), Path("HR/b.png"), Path("HR/B.png")]
    low = [Path("X2/FOXx2.png"), Path("X2/bx2.png"), Path("X2/Bx2.png")]
    assert find_partners(truths, low, [2]) == {2: list(zip(truths, low, strict=True))}


def test_two_images_of_one_photo_are_refused():
    """Which of them it was trained on would depend on the order of the folders."""
    low = [Path("LR_bicubic/X2/1x2.png"), Path("LR_unknown/X2/1x2.png")]
    with pytest.raises(ValueError, match=r"two images of 1 at the scale 2, LR_b.* and LR_u"):
        find_partners([Path("HR/1.png")], low, [2])
    other = find_partners([Path("HR/1.png")], [*low, Path("X3/1x3.png")], [3])
    assert other == {3: [(Path("HR/1.png"), Path("X3/1x3.png"))]}


def test_a_name_that_ends_like_a_scale():
    truth = Path("HR/fox2.png")
    assert find_partners([truth], [Path("X2/fox2.png")], [2]) == {2: [(truth, Path("X2/fox2.png"))]}


def test_what_is_missing_is_named():
    truths = [Path(f"HR/{n}.png") for n in range(9)]
    message = r"has no scale 3 of 1, 2, 3, 4, 5 and 3 more.*X3/1x3\.png; scales that it has: 2, 3"
    with pytest.raises(ValueError, match=message):
        find_partners(truths, [Path("X2/0x2.png"), Path("X3/0x3.png")], [3])
    with pytest.raises(ValueError, match="needs photos of different names"):
        find_partners([Path("a/1.png"), Path("b/1.png")], [], [2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"scales": {"values": [5], "anisotropic": 0}},
            "has no scale 5 of 0001, 0002: expected",
        ),
        ({"scales": {"values": [2, 3]}}, "images of listed scales only"),
        ({"scales": {"denominator": None, "anisotropic": 0}}, "images of listed scales only"),
        ({"dots": 0.5}, r"nothing is reduced here: leave .*data\.dots=0"),
        ({"reduced": [0.5]}, r"leave data\.reduced=null"),
        ({"patch": 90}, "no low-resolution image at the scale 2 has the 90x90"),
    ],
)
def test_what_cannot_be_is_refused(div2k, options, message):
    with pytest.raises(ValueError, match=message):
        data_of(div2k, **options)


def test_sizes_that_do_not_belong_together_are_named(div2k):
    save(noise(28, 36), div2k / "DIV2K_train_LR_bicubic/X2/0001x2.png")
    message = r"0001x2\.png has 36x28 pixels, and 2 times as many are not the 72x60 of .*0001\.png"
    with pytest.raises(ValueError, match=message):
        data_of(div2k)


@pytest.mark.long
def test_training_on_the_device_or_from_files_is_the_same(configure, div2k, tmp_path):
    from ccsr.training.train import train

    given = (
        f"data.root={div2k}", "data.subfolder=DIV2K_train_HR", "data.dots=0",
        f"data.lr={div2k}/DIV2K_train_LR_bicubic", "data.scales.values=[2,3]",
        "data.scales.anisotropic=0",
    )  # fmt: skip
    train(configure(*given), tmp_path / "files")
    train(configure(*given, "data.place=device", "data.device_mb=100"), tmp_path / "device")
    assert_same_run(tmp_path / "files", tmp_path / "device")


def test_given_low_resolution_images_have_to_be_given(div2k):
    with pytest.raises(ValueError, match=r"data\.lr has no value: give data\.lr=FOLDER"):
        made("data", composed("data=pairs", f"data.root={div2k}")["data"])
