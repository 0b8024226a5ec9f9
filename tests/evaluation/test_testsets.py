"""Benchmark folders in the layouts in which they are distributed."""

from pathlib import Path

import pytest

from ccsr.evaluation.testsets import find, find_all, low_resolution


def tree(root, *files):
    """Empty files: finding looks at names only."""
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


@pytest.mark.parametrize("folder", ["", "HR/", "GTmod12/", "original/", "DIV2K_valid_HR/"])
def test_folders_of_images(tmp_path, folder):
    root = tree(tmp_path / "Set5", f"{folder}b.PNG", f"{folder}a.jpg", "readme.txt", ".hidden.png")
    testset = find(root)
    assert testset.name == "Set5"
    assert testset.names() == ["a.jpg", "b.PNG"]
    assert testset.path("a.jpg", (2, 2)) == root / f"{folder}a.jpg"
    assert find(root / folder).names() == testset.names()


def test_a_folder_given_with_its_hr_part_keeps_the_name_of_the_set(tmp_path):
    tree(tmp_path, "Set14/HR/a.png", "Set14/LR/a.png")
    assert find(tmp_path / "Set14" / "HR").name == find(tmp_path / "Set14").name == "Set14"


def test_images_directly_in_the_folder_come_before_subfolders(tmp_path):
    assert find(tree(tmp_path, "a.png", "HR/b.png")).names() == ["a.png"]


def test_one_folder_per_scale(tmp_path):
    files = [
        f"image_SRF_{s}/img_00{i}_SRF_{s}_{k}.png"
        for s in (2, 4)
        for i in (1, 2)
        for k in ("HR", "LR", "SRCNN")
    ]
    root = tree(tmp_path / "Urban100", *files)
    testset = find(root)
    assert testset.name == "Urban100"
    assert testset.names() == ["img_001", "img_002"]
    assert testset.path("img_002", (4, 4)).name == "img_002_SRF_4_HR.png"
    assert testset.path("img_002", (2.5, 2.5)).name == "img_002_SRF_2_HR.png"
    assert testset.path("img_002", (4, 1.5)).name == "img_002_SRF_2_HR.png"
    assert find(root / "image_SRF_4").path("img_001", (3, 3)).name == "img_001_SRF_4_HR.png"


def test_an_image_that_one_scale_lacks(tmp_path):
    testset = find(tree(tmp_path, "image_SRF_2/a_SRF_2_HR.png", "image_SRF_4/b_SRF_4_HR.png"))
    assert testset.names() == ["a", "b"]
    with pytest.raises(FileNotFoundError, match="image_SRF_4 has no image a"):
        testset.path("a", (4, 4))


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["readme.txt"], "found nothing"),
        (["one/a.png", "two/b.png"], "found one/, two/"),
        (["DIV2K_valid_LR_bicubic/X2/0801x2.png"], "found DIV2K_valid_LR_bicubic/"),
        (["X2/0801x2.png", "X3/0801x3.png"], "found X2/, X3/"),
        (["A_HR/a.png", "B_HR/b.png"], "found A_HR/, B_HR/"),
    ],
)
def test_other_layouts_say_what_to_give(tmp_path, files, found):
    with pytest.raises(ValueError, match=f"{found}: give the folder that holds the images"):
        find(tree(tmp_path, *files))


def test_a_link_names_the_set_and_is_the_same_folder(tmp_path):
    tree(tmp_path, "a1b2/HR/a.png")
    (tmp_path / "Set5").symlink_to("a1b2")
    assert find(tmp_path / "Set5").name == find(tmp_path / "Set5" / "HR").name == "Set5"
    with pytest.raises(ValueError, match="the same --data folder is given twice"):
        find_all([tmp_path / "Set5", tmp_path / "a1b2"])


def test_no_folder(tmp_path):
    with pytest.raises(NotADirectoryError, match="expected a folder of images"):
        find(tmp_path / "missing")


def test_names_of_several_folders(tmp_path):
    tree(tmp_path, "one/Set5/a.png", "two/Set5/a.png", "Set14/a.png")
    folders = [tmp_path / "one/Set5", tmp_path / "two/Set5", tmp_path / "Set14"]
    assert [one.name for one in find_all(folders)] == [*map(str, folders[:2]), "Set14"]
    with pytest.raises(ValueError, match="given twice"):
        find_all([tmp_path / "Set14", tmp_path / "one" / ".." / "Set14"])


def test_a_folder_per_scale_without_images(tmp_path):
    with pytest.raises(ValueError, match=r"holds no images, .* found image_SRF_2/: give"):
        find_all([tree(tmp_path, "image_SRF_2/readme.txt")])


@pytest.mark.parametrize(
    ("files", "truth"),
    [
        # DIV2K: the halves beside each other, low resolution beside them, archives in folders
        (
            [
                "DIV2K_train_HR/0001.png",
                "DIV2K_valid_HR/0801.png",
                "DIV2K_train_LR_bicubic/X2/0001x2.png",
                "DIV2K_valid_LR_bicubic/X2/0801x2.png",
                "DIV2K_valid_LR_mild/0801x4m.png",
            ],
            "DIV2K_valid_HR/0801.png",
        ),
        (
            ["DIV2K_train_HR/DIV2K_train_HR/1.png", "DIV2K_valid_HR/DIV2K_valid_HR/0801.png"],
            "DIV2K_valid_HR/DIV2K_valid_HR/0801.png",
        ),
        (["DIV2K_train_HR/1.png", "DIV2K_train_LR_bicubic/X2/1x2.png"], "DIV2K_train_HR/1.png"),
        (
            ["DIV2K_train_HR/1.png", "Flickr2K_HR/2.png", "DIV2K_valid_HR/0801.png"],
            "DIV2K_valid_HR/0801.png",
        ),
        # BSDS500, and others in halves
        (["images/test/3.jpg", "images/train/2.jpg", "images/val/1.jpg"], "images/test/3.jpg"),
        (["train/a.png", "val/b.png"], "val/b.png"),
        # as basicsr, EDSR and others hand them round
        (["GTmod12/a.png", "original/b.png", "LRbicx2/a.png", "LRbicx3/a.png"], "GTmod12/a.png"),
        (["HR/a.png", "LR_bicubic/X2/ax2.png", "LR_bicubic/X3/ax3.png"], "HR/a.png"),
        (["hr/a.png", "lr/a.png"], "hr/a.png"),
        (["Set5/a.png"], "Set5/a.png"),
        (["Set5/HR/a.png", "LR/x2/a.png", "readme.txt", ".cache/b.png"], "Set5/HR/a.png"),
    ],
)
def test_sets_as_they_are_handed_round(tmp_path, files, truth):
    testset = find(tree(tmp_path / "Name", *files))
    assert testset.name == "Name"
    assert testset.names() == [Path(truth).name]
    assert testset.path(Path(truth).name, (2, 2)) == tmp_path / "Name" / truth


def test_one_folder_per_scale_with_names_of_another_kind(tmp_path):
    files = [f"HR/Set5/x{s}/baby_HR_x{s}.png" for s in (2, 3)]
    files += [f"LR/LRBI/Set5/x{s}/baby_LRBI_x{s}.png" for s in (2, 3)]
    testset = find(tree(tmp_path, *files) / "HR/Set5")
    assert (testset.name, testset.names()) == ("Set5", ["baby"])
    assert testset.path("baby", (3, 3)).name == "baby_HR_x3.png"
    low = low_resolution(tmp_path, "Set5", "baby", "3")
    assert low == tmp_path / "LR/LRBI/Set5/x3/baby_LRBI_x3.png"


def test_a_folder_that_leads_to_itself_is_no_layout(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(ValueError, match="holds no images"):
        find(tmp_path)


@pytest.mark.parametrize(
    "file",
    [
        "0001.png",
        "0001x2.png",
        "x2/0001.png",
        "X2/0001x2.png",
        "2/0001.webp",
        "×2/0001.png",
        "X2/0001X2.png",
        "LR_bicubic/X2/0001x2.png",
        "LRbicx2/0001.png",
        "DIV2K_valid_LR_bicubic/X2/0001x2.png",
        "DIV2K_valid_LR_bicubic_X2/DIV2K_valid_LR_bicubic/X2/0001x2.png",
        "DIV2K_valid_LR_unknown/X2/0001x2.png",
        "DIV2K_valid_LR_mild/0001x2m.png",
        "LR/X2/0001.png",
        "image_SRF_2/0001_SRF_2_LR.png",
        "DIV2K/x2/0001.png",
    ],
)
def test_given_low_resolution_images(tmp_path, file):
    tree(tmp_path, file, "x3/0001.png", "x4/0001x4.png", "0002.png")
    assert low_resolution(tmp_path, "DIV2K", "0001.png", "2") == tmp_path / file


def test_given_images_of_an_anisotropic_scale(tmp_path):
    tree(tmp_path, "x4x1.5/a.png", "x1.5x4/a.png")
    assert low_resolution(tmp_path, "Set5", "a.webp", "4x1.5") == tmp_path / "x4x1.5/a.png"


def test_a_missing_partner_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no low-resolution image of a\.png for the scale 2 in"
    ):
        low_resolution(tree(tmp_path, "b.png"), "Set5", "a.png", "2")


def test_the_benchmarks_as_they_lie_there(benchmarks):
    sets = find_all([benchmarks / "test" / name for name in ("Set5", "Set14", "B100", "Kodak24")])
    assert [len(one.names()) for one in sets] == [5, 14, 100, 24]
    reference = benchmarks / "reference"
    found = low_resolution(reference, "Set14", "zebra.webp", "3")
    assert found == Path(reference / "Set14" / "x3" / "zebra.png")
