"""Which files stand for which test images, by the names that programs give them."""

import pytest

from ccsr.evaluation.names import candidates, check_names
from ccsr.evaluation.testsets import TestSet


def set_of(folder, *names, name="Set5"):
    root = folder / "truth" / name
    root.mkdir(parents=True, exist_ok=True)
    for each in names:
        (root / each).touch()
    return TestSet(name, {0: root})


def found(tmp_path, *files, keys=("baby.png", "bird.png")):
    """For each image the files that stand for it, with their scales."""
    root = tmp_path / "results"
    paths = [root / file for file in files]
    listed = candidates(paths, root, set_of(tmp_path, *keys))
    return {
        key: [(each.path.relative_to(root).as_posix(), each.scale) for each in several]
        for key, several in listed.items()
        if several
    }


@pytest.mark.parametrize(
    ("file", "scale"),
    [
        ("baby.png", None),
        ("Set5/X2/babyx2.png", (2, 2)),  # EDSR's and RCAN's releases, DIV2K's layout
        ("X2/baby.png", (2, 2)),
        ("baby_x2_SR.png", (2, 2)),  # EDSR-PyTorch
        ("results-Set5/baby_x3_SR.png", (3, 3)),
        ("RCAN/Set5/x4/baby_RCAN_x4.png", (4, 4)),
        ("EDSR_Lx2_f64b16_DIV2K/visualization/Set5/baby_EDSR_Lx2_f64b16_DIV2K.png", (2, 2)),
        ("swinir_classical_sr_x2/baby_SwinIR.png", (2, 2)),
        ("image_SRF_3/baby_SRF_3_SRCNN.png", (3, 3)),
        ("4/baby.bmp", (4, 4)),
        ("out/baby_2.37x.png", (2.37, 2.37)),  # ccsr upscale
        ("×2/baby.png", (2, 2)),
        ("baby×2.png", (2, 2)),
        ("baby_4×1.5.png", (1.5, 4)),
        ("2×/baby.png", (2, 2)),
        ("Set5/scale3/baby.png", (3, 3)),
        ("scale_2.5/baby.png", (2.5, 2.5)),
        ("X2/BABYX2.PNG", (2, 2)),
        ("Baby_X3_SR.png", (3, 3)),
        ("baby_4x1.5x.png", (1.5, 4)),
        ("X4x1.5/babyx4x1.5.png", (1.5, 4)),
        ("4x1.5/baby.png", (1.5, 4)),
        ("x2/trained_for_x3/baby.png", (3, 3)),  # the nearer folder
        ("X2/baby_x4.png", (4, 4)),  # the name before the folder
        ("patch_48x48/baby.png", None),  # a size, no scale
        ("model_x264/baby.png", None),
    ],
)
def test_files_as_programs_name_them(tmp_path, file, scale):
    assert found(tmp_path, file) == {"baby.png": [(file, scale)]}


@pytest.mark.parametrize(
    "file",
    [
        "baby_x2_LR.png",
        "baby_x2_HR.png",
        "HR/baby.png",
        "GT/baby.png",
        "LR/X2/babyx2.png",
        "babysitter.png",
        "ababy.png",
        "img_001_SRF_2_HR.png",
    ],
)
def test_other_files_stand_for_no_image(tmp_path, file):
    assert found(tmp_path, file) == {}


def test_names_that_differ_by_case_alone_are_told_apart(tmp_path):
    files = ["A_x2.png", "a_x3.png", "b_x2.png"]
    assert found(tmp_path, *files, keys=("A.png", "a.png", "B.png")) == {
        "A.png": [("A_x2.png", (2, 2))],
        "a.png": [("a_x3.png", (3, 3))],
        "B.png": [("b_x2.png", (2, 2))],
    }


def test_the_longer_of_two_names_that_fit(tmp_path):
    files = ["img_1_x2.png", "img_10_x2.png", "img_1_b_x2.png"]
    assert found(tmp_path, *files, keys=("img_1.png", "img_10.png", "img_1_b.png")) == {
        "img_1.png": [("img_1_x2.png", (2, 2))],
        "img_10.png": [("img_10_x2.png", (2, 2))],
        "img_1_b.png": [("img_1_b_x2.png", (2, 2))],
    }


def test_two_images_that_differ_by_their_suffix_are_refused(tmp_path):
    check_names(set_of(tmp_path, "a.png", "b.png", name="Good"))
    with pytest.raises(ValueError, match=r"Bad has two images called a, .*: rename one"):
        check_names(set_of(tmp_path, "a.png", "a.jpg", name="Bad"))
