"""Which files of a folder stand for which test images, by the names that programs give them.

A file stands for a test image if its name begins with the image's
(`baby.png`, `babyx2.png`, `baby_x2_SR.png`, `img_001_SRF_2_SRCNN.png`), whatever folders lie above
it, in any case where that is clear. The scale stands in the name (`x2`, `X2.5`, `2x`, `SRF_2`,
`x4x1.5` for WIDTHxHEIGHT) or in the nearest folder that names one (`X2`, `2`, `scale2`,
`image_SRF_2`, `EDSR_Lx2_DIV2K`), or nowhere, where there is one
scale. Low- and high-resolution images (`LR`, `HR`, `GT`, `baby_x2_LR.png`) are none.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ccsr.evaluation.testsets import TestSet, stem_of
from ccsr.grid import Pair
from ccsr.image.folders import in_any_case

LARGEST_SCALE = 100
_NO_RESULTS = {"lr", "hr", "gt", "lrbi", "hrbi", "original", "input", "target"}
_SCALE = re.compile(
    r"(?P<x>[a-z]?[x×]|scale)?(\d+(?:\.\d+)?)(?:[x×](\d+(?:\.\d+)?))?(?P<times>[x×])?",
    re.IGNORECASE,
)
_REST = re.compile(r"[_\-+, ]|[x×]\d", re.IGNORECASE)  # how what follows the image's name begins
_BETWEEN = re.compile(r"[_\-+, ]+")


@dataclass(frozen=True)
class Candidate:
    """A file that stands for a test image.

    Attributes:
        path: where it lies.
        folders: names of the folders above it, below the one that was given.
        scale: (vertical, horizontal) that it names; None if it names none.
    """

    path: Path
    folders: tuple[str, ...]
    scale: Pair | None


def candidates(files: Iterable[Path], folder: Path, testset: TestSet) -> dict[str, list[Candidate]]:
    """For each image of a test set, those of the files below `folder` that stand for it."""
    keys = {stem_of(key): key for key in testset.names()}
    folded = {small: keys[stem] for small, stem in in_any_case(keys).items()}
    found: dict[str, list[Candidate]] = {key: [] for key in keys.values()}
    for path in files:
        folders = path.relative_to(folder).parts[:-1]
        for end in range(len(path.stem), 0, -1):  # of two names that fit the longer one
            stem, rest = path.stem[:end], path.stem[end:]
            key = keys.get(stem) or folded.get(stem.casefold())
            if key and (not rest or _REST.match(rest)):
                words = [word for word in _BETWEEN.split(rest) if word]
                if _NO_RESULTS.isdisjoint(word.lower() for word in (*words, *folders)):
                    scale = _scale_of(words, folders)
                    found[key].append(Candidate(path, folders, scale))
                break
    return found


def check_names(testset: TestSet) -> None:
    """See that the images of a test set differ by more than their suffixes.

    Raises:
        ValueError: if two do not: files of one could be taken for those of the other.
    """
    stems = [stem_of(key) for key in testset.names()]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise ValueError(
            f"{testset.name} has two images called {twice[0]}, which --lr, --results and --dump "
            "could not tell apart: rename one"
        )


def _scale_of(words: Sequence[str], folders: Sequence[str]) -> Pair | None:
    """The scale that the words of a name tell, else the last of the folders that tells one."""
    for found in (
        _scale_in(words, alone=False),
        *(_scale_in(parts, len(parts) == 1) for parts in map(_BETWEEN.split, reversed(folders))),
    ):
        if found:
            return found
    return None


def _scale_in(words: Sequence[str], alone: bool) -> Pair | None:
    """The first scale that words tell; a bare number is one alone, or after SRF or scale."""
    for before, word in zip(("", *words), words, strict=False):
        match = _SCALE.fullmatch(word)
        told = match and (match["x"] or match[3] or match["times"])
        if not match or not (alone or before.upper() in ("SRF", "SCALE") or told):
            continue
        horizontal, vertical = float(match[2]), float(match[3] or match[2])
        size = match[3] and not match["x"] and not match["times"]  # of pixels, 48x48, maybe
        largest = 10 if size else LARGEST_SCALE
        if 0 < min(horizontal, vertical) <= max(horizontal, vertical) <= largest:
            return vertical, horizontal
    return None
