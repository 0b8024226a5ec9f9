"""Finds the images of benchmark folders in the layouts in which they are distributed.

High resolution, in `DIR` itself or, folder by folder, in the first of these that holds images:

- images directly (Set5, Kodak24, BSDS500's `val`);
- one folder per scale: `image_SRF_2/img_001_SRF_2_HR.png` (Urban100), `x2/baby_HR_x2.png` (RCAN);
- `HR/`, `GTmod12/`, `GTmod4/`, `GT/`, `original/`, in capitals or not;
- of a set in halves the one that is meant for tests: `test/`, `valid/`, `validation/`, `val/`, or
  `DIV2K_valid_HR/` beside `DIV2K_train_HR/`;
- the only `*_HR/`, else the only folder that does not hold low-resolution images (what archives
  unpack into a folder of their own).

Low resolution for the scale 2 (`4x1.5`, WIDTHxHEIGHT, where the axes differ): `LR/x2/`, `X2/`,
`2/`, `LR_bicubic/X2/`, `*_LR_bicubic/X2/`, `LRbicx2/`, `image_SRF_2/` or `LR` itself, also
under a folder with the test set's name; files `0001.png`, `0001x2.png`, `0001x4m.png` (DIV2K's
`mild`), `img_001_SRF_2_LR.png`, `baby_LRBI_x2.png`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ccsr.image import READABLE, images_in
from ccsr.image.folders import in_any_case

_TRUTHS = ("hr", "gtmod12", "gtmod4", "gt", "original")
_HALVES = ("test", "valid", "validation", "val")
_SCALE_FOLDER = re.compile(r"(?:image_SRF_|[xX])(\d+)")
_SCALED_HR = re.compile(r"(.+)_(?:SRF_\d+_HR|HR_x\d+)")
_REDUCED = re.compile(r"(.*_)?LR(_.*|bicx\d+)?|[xX]\d+", re.IGNORECASE)
_DEEPEST = 4  # folders within folders


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
    """The test set in `folder`, which has the name of a link that leads there.

    Raises:
        OSError: if the folder does not exist or cannot be read.
        ValueError: if none of the known layouts is found in it.
    """
    folder = folder.resolve() if ".." in folder.parts else folder.absolute()
    if not folder.is_dir():
        raise NotADirectoryError(f"expected a folder of images, but {folder} is not a folder")
    folders = _located(folder)
    if folders is None:
        raise ValueError(
            f"{folder} holds no images, and not one folder HR/, GTmod12/, *_HR/, test/ or "
            f"image_SRF_*/ of them; found {_found(folder)}: give the folder that holds the images "
            "themselves"
        )
    owner = folder
    while owner.name.lower() in _TRUTHS or _SCALE_FOLDER.fullmatch(owner.name):
        owner = owner.parent
    return TestSet(owner.name, folders)


def _located(folder: Path, depth: int = 0) -> dict[int, Path] | None:
    """Scale -> the folder with the images, see `TestSet.folders`; None if there is none."""
    match = _SCALE_FOLDER.fullmatch(folder.name)
    if match and _scaled(folder):
        return {int(match[1]): folder}
    if _images(folder):
        return {0: folder}
    children = _children(folder)
    by_scale = {
        int(match[1]): child
        for child in children
        if (match := _SCALE_FOLDER.fullmatch(child.name)) and _scaled(child)
    }
    if by_scale:
        return by_scale
    if depth < _DEEPEST:
        for candidate in _candidates(children):
            found = _located(candidate, depth + 1)
            if found:
                return found
    return None


def _candidates(children: list[Path]) -> Iterator[Path]:
    """Those of a folder's folders that may hold the high-resolution images, the likeliest first."""
    names = {child.name.lower(): child for child in children}
    yield from (names[name] for name in _TRUTHS if name in names)
    for half in _HALVES:
        if half in names:
            yield names[half]
        ended = [child for child in children if child.name.lower().endswith(f"_{half}_hr")]
        yield from ended if len(ended) == 1 else ()
    ended = [child for child in children if child.name.lower().endswith("_hr")]
    if len(ended) == 1:
        yield ended[0]
    others = [child for child in children if not _REDUCED.fullmatch(child.name)]
    if not ended and len(others) == 1:
        yield others[0]


def is_sought(name: str) -> bool:
    """Whether images are looked for in a folder because it has that name."""
    folded = name.lower()
    by_name = folded in (*_TRUTHS, *_HALVES) or folded.endswith("_hr")
    return by_name or bool(_SCALE_FOLDER.fullmatch(name))


def _found(folder: Path) -> str:
    """What a folder holds instead of images, for a message."""
    children = _children(folder)
    truths = [child for child in children if child.name.lower().endswith("_hr")]
    return ", ".join(f"{child.name}/" for child in truths or children) or "nothing"


def _children(folder: Path) -> list[Path]:
    """The folders in a folder, hidden ones left out."""
    return sorted(c for c in folder.iterdir() if c.is_dir() and not c.name.startswith("."))


def _scaled(folder: Path) -> bool:
    """Whether a folder for one scale holds truths: `X2/0001x2.png` is low resolution."""
    images = _images(folder)
    marked = any(_SCALED_HR.fullmatch(path.stem) for path in images)
    return marked or (bool(images) and folder.name.startswith("image_SRF"))


def find_all(folders: list[Path]) -> list[TestSet]:
    """The test sets in several folders, with names that differ: paths where they would not.

    Raises:
        OSError: see `find`.
        ValueError: see `find`; also if a folder is given twice.
    """
    sets = [find(folder) for folder in folders]
    places = [tuple(place.resolve() for place in one.folders.values()) for one in sets]
    if len(set(places)) < len(sets):
        raise ValueError("the same --data folder is given twice: leave one out")
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
    stem = stem_of(key)
    stems = [f"{stem}x{label}", f"{stem}_SRF_{label}_LR", f"{stem}_LRBI_x{label}", stem]
    stems += [f"{stem}x{label}{kind}" for kind in "mdw"]  # DIV2K's mild, difficult and wild
    for folder in _low_folders(root, name, label):
        files = {path.stem: path for path in _images(folder)}
        folded = in_any_case(files)
        for candidate in stems:
            found = candidate if candidate in files else folded.get(candidate.casefold())
            if found is not None:
                return files[found]
    raise FileNotFoundError(
        f"no low-resolution image of {key} for the scale {label} in {root}: expected one of "
        f"{', '.join(stems)} (.png, ...) there or in its folder x{label}/"
    )


def stem_of(key: str) -> str:
    """The name of an image, see `TestSet.names`, without the suffix that it may have."""
    return Path(key).stem if Path(key).suffix.lower() in READABLE else key


def _low_folders(root: Path, name: str, label: str) -> Iterator[Path]:
    plain = (f"x{label}", f"X{label}", f"×{label}", label, f"image_SRF_{label}")
    below = ("", "LR/", "LR_bicubic/", "LR/LRBI/", f"LR/LRBI/{name}/")
    for top in (root / name, root):
        for candidate in (*(f"{b}{p}" for b in below for p in plain), f"LRbicx{label}"):
            if (top / candidate).is_dir():
                yield top / candidate
        if top.is_dir():
            for pattern in (f"*_LR_*/X{label}", f"*_LR_*/*_LR_*/X{label}", "*_LR_*"):
                yield from (path for path in sorted(top.glob(pattern)) if path.is_dir())
            yield top


def _images(folder: Path) -> list[Path]:
    """Files with an image's suffix, hidden ones left out; whether they can be read is not asked."""
    return sorted(images_in(folder))


def _truths(folder: Path) -> dict[str, Path]:
    """Key -> file; the key is `img_001` for `img_001_SRF_2_HR.png`, else the file's name."""
    files = _images(folder)
    marked = {match[1]: path for path in files if (match := _SCALED_HR.fullmatch(path.stem))}
    return marked or {path.name: path for path in files}
