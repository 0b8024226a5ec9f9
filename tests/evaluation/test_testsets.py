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
        (["train/a.png", "test/b.png"], "found test/, train/"),
        (["A_HR/a.png", "B_HR/b.png"], "found A_HR/, B_HR/"),
    ],
)
def test_other_layouts_say_what_to_give(tmp_path, files, found):
    with pytest.raises(ValueError, match=f"{found}: give the folder that holds the images"):
        find(tree(tmp_path, *files))


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
    with pytest.raises(ValueError, match=r"no images in .*_HR\.png"):
        find_all([tree(tmp_path, "image_SRF_2/readme.txt")])


@pytest.mark.parametrize(
    "file",
    [
        "0001.png",
        "0001x2.png",
        "x2/0001.png",
        "X2/0001x2.png",
        "2/0001.webp",
        "LR_bicubic/X2/0001x2.png",
        "LRbicx2/0001.png",
        "DIV2K_valid_LR_bicubic/X2/0001x2.png",
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
