"""Finds the images of benchmark folders in the layouts in which they are distributed.

High resolution, in `DIR` or in the first of these that `DIR` holds: images directly (Set5,
Kodak24, BSDS500's `val`), `HR/`, `GTmod12/`, `GT/`, `original/`, `DIV2K_valid_HR/` or any one
`*_HR/`, `image_SRF_2/img_001_SRF_2_HR.png` (Urban100; one folder per scale).

Low resolution for the scale 2 (`4x1.5`, WIDTHxHEIGHT, where the axes differ): `LR/x2/`, `X2/`,
`2/`, `LR_bicubic/X2/`, `*_LR_bicubic/X2/`, `LRbicx2/`, `image_SRF_2/` or `LR` itself, also
under a folder with the test set's name; files `0001.png`, `0001x2.png`, `img_001_SRF_2_LR.png`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ccsr.image import READABLE, named_as_image

_HR_FOLDERS = ("HR", "GTmod12", "GT", "original")
_SRF_FOLDER = re.compile(r"image_SRF_(\d+)")
_SRF_HR = re.compile(r"(.+)_SRF_\d+_HR")


@dataclass(frozen=True)
class TestSet:
    """Test images of one folder.

    Attributes:
        name: for tables.
        folders: scale -> folder; the key 0 where one folder serves all scales.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    name: str
    folders: dict[int, Path]

    def names(self) -> list[str]:
        """Names of the images, sorted; the same image has the same name at every scale."""
        return sorted(set().union(*(_truths(folder) for folder in self.folders.values())))

    def path(self, key: str, scale: tuple[float, float]) -> Path:
        """The high-resolution file of `key` for a scale.

        Raises:
            FileNotFoundError: if the folder for this scale lacks it.
        """
        vertical, horizontal = scale
        exact = vertical == horizontal and vertical in self.folders
        folder = self.folders[int(vertical) if exact else min(self.folders)]
        files = _truths(folder)
        if key not in files:
            raise FileNotFoundError(f"{folder} has no image {key}, which another scale has")
        return files[key]


def find(folder: Path) -> TestSet:
    """The test set in `folder`.

    Raises:
        OSError: if the folder does not exist or cannot be read.
        ValueError: if none of the known layouts is found in it.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise NotADirectoryError(f"expected a folder of images, but {folder} is not a folder")
    if match := _SRF_FOLDER.fullmatch(folder.name):
        return TestSet(folder.parent.name, {int(match[1]): folder})
    if _images(folder):
        owner = folder.parent if folder.name in _HR_FOLDERS else folder
        return TestSet(owner.name, {0: folder})
    children = sorted(child for child in folder.iterdir() if child.is_dir())
    by_scale = {
        int(match[1]): child for child in children if (match := _SRF_FOLDER.fullmatch(child.name))
    }
    if by_scale:
        return TestSet(folder.name, by_scale)
    named = [folder / name for name in _HR_FOLDERS if folder / name in children]
    truths = named[:1] or [child for child in children if child.name.endswith("_HR")]
    if len(truths) == 1 and _images(truths[0]):
        return TestSet(folder.name, {0: truths[0]})
    found = ", ".join(child.name + "/" for child in truths or children) or "nothing"
    raise ValueError(
        f"{folder} holds no images, and not one folder HR/, GTmod12/, *_HR/ or image_SRF_*/ of "
        f"them; found {found}: give the folder that holds the images themselves"
    )


def find_all(folders: list[Path]) -> list[TestSet]:
    """The test sets in several folders, with names that differ: paths where they would not.

    Raises:
        OSError: see `find`.
        ValueError: see `find`; also if a folder is given twice.
    """
    sets = [find(folder) for folder in folders]
    if len({tuple(one.folders.values()) for one in sets}) < len(sets):
        raise ValueError("the same --data folder is given twice: leave one out")
    for one, folder in zip(sets, folders, strict=True):
        if not one.names():
            raise ValueError(f"no images in {folder}: expected *_HR.png in image_SRF_*/")
    names = [one.name for one in sets]
    return [
        TestSet(one.name if names.count(one.name) == 1 else str(folder), one.folders)
        for one, folder in zip(sets, folders, strict=True)
    ]


def low_resolution(root: Path, name: str, key: str, label: str) -> Path:
    """The given low-resolution image of a test image.

    Args:
        root: the `--lr` folder.
        name: the test set's.
        key: the image's, see `TestSet.names`.
        label: the scale as in folder names, `2` or `4x1.5`.

    Raises:
        FileNotFoundError: saying where it was looked for.
    """
    stem = Path(key).stem if Path(key).suffix.lower() in READABLE else key
    stems = (f"{stem}x{label}", f"{stem}_SRF_{label}_LR", stem)
    for folder in _low_folders(root, name, label):
        files = {path.stem: path for path in _images(folder)}
        for candidate in stems:
            if candidate in files:
                return files[candidate]
    raise FileNotFoundError(
        f"no low-resolution image of {key} for the scale {label} in {root}: expected one of "
        f"{', '.join(stems)} (.png, ...) there or in its folder x{label}/"
    )


def _low_folders(root: Path, name: str, label: str) -> Iterator[Path]:
    names = (f"x{label}", f"X{label}", label, f"LR_bicubic/X{label}", f"LRbicx{label}")
    for top in (root / name, root):
        for candidate in (*names, f"image_SRF_{label}"):
            if (top / candidate).is_dir():
                yield top / candidate
        if top.is_dir():
            yield from sorted(top.glob(f"*_LR_bicubic/X{label}"))
            yield top


def _images(folder: Path) -> list[Path]:
    """Files with an image's suffix, hidden ones left out; whether they can be read is not asked."""
    return sorted(
        path for path in folder.iterdir() if named_as_image(path.name) and not path.is_dir()
    )


def _truths(folder: Path) -> dict[str, Path]:
    """Key -> file; the key is `img_001` for `img_001_SRF_2_HR.png`, else the file's name."""
    files = _images(folder)
    marked = {match[1]: path for path in files if (match := _SRF_HR.fullmatch(path.stem))}
    return marked or {path.name: path for path in files}
