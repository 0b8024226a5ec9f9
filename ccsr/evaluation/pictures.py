"""Pictures that other programs wrote, scored as the outputs of methods are."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from ccsr import image
from ccsr.evaluation.cases import LR, Case, folder_name
from ccsr.evaluation.names import Candidate, candidates
from ccsr.evaluation.testsets import stem_of
from ccsr.grid import Pair, scale_text, size_of
from ccsr.protocols import PROTOCOLS
from ccsr.upscaling.pixels import to_grey


class Pictures:
    """A folder of pictures as a contender, found as `names` says.

    Of several for one image those are taken that lie in a folder of the condition (`benchmark-y`,
    see `cases.condition`), in one with the test set's name, and that name the scale, in that order.

    Args:
        name: in tables.
        folder: where they lie.

    Raises:
        OSError: if the folder does not exist or cannot be read.
        ValueError: if there are no pictures in it.
    """

    def __init__(self, name: str, folder: Path) -> None:
        if not folder.is_dir():
            raise NotADirectoryError(f"--results: expected a folder of pictures, got {folder}")
        self.name, self.folder = name, folder
        self._files = tuple(image.images_in(folder, recursive=True, through_links=True))
        if not self._files:
            raise ValueError(f"--results: {folder} holds no pictures, nor do the folders in it")
        self._candidates: dict[str, dict[str, list[Candidate]]] = {}

    def find(self, case: Case) -> Path:
        """The picture that stands for a case's truth.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if there are several.
        """
        found = self._fitting(case)
        place = f"{case.key} of {case.testset.name} at the scale {scale_text(case.scale)}"
        if len(found) == 1:
            return found[0].path
        if found:
            names = ", ".join(str(each.path.relative_to(self.folder)) for each in found[:3])
            raise ValueError(
                f"{self.name}: several pictures in {self.folder} may be {place}: {names}: give "
                "the folder of one method, or leave one there"
            )
        stem, label = stem_of(case.key), scale_text(case.scale)
        others = [each for each in self._of_scale(case) if not _made_under(each, case)]
        inside = f"{case.condition}/" if case.degrade or others else ""
        reason = ""
        if case.degrade:
            reason = f", made from the images that --dump writes in {LR}/{case.condition}/"
        elif others:
            reason = f"; {others[0].path.relative_to(self.folder)} is of another protocol"
        raise FileNotFoundError(
            f"{self.name}: no picture of {place} in {self.folder}: expected such as {inside}"
            f"{case.testset.name}/X{label}/{stem}x{label}.png, {inside}X{label}/{stem}.png or "
            f"{inside}{stem}_x{label}_SR.png{reason}"
        )

    def check(self, cases: Sequence[Case]) -> None:
        """Look, before any work, for the pictures of one test set at one scale.

        Raises:
            FileNotFoundError: if there is not one of them.
            ValueError: if there are several for one case.
        """
        missing = []
        for case in cases:
            try:
                self.find(case)
            except FileNotFoundError as error:
                missing.append(error)
        if missing and len(missing) == len(cases):
            raise missing[0]

    def output(self, case: Case) -> Tensor:
        """The picture of a case: float (C, H, W), of as many channels as the truth.

        Grey for a colour image whose channels are equal is that colour; colour for a grey image
        counts as its grey, as the networks' does.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is of another size or kind.
        """
        path, truth = self.find(case), case.truth
        picture = image.read(path)
        if picture.has_alpha:
            raise ValueError(f"{path} is partly transparent: expected an opaque picture")
        sr = image.to_tensor(picture)
        sr = sr[:1] if len(sr) < 3 else sr[:3]
        (height, width), (rows, columns) = size_of(sr), size_of(truth)
        if (height, width) != (rows, columns):
            raise ValueError(
                f"{path} has {width}x{height} pixels, expected {columns}x{rows}, to which the "
                f"protocol {case.protocol.name} crops {case.key} at the scale "
                f"{scale_text(case.scale)}"
            )
        if len(sr) == 1 < len(truth):
            if not (truth == truth[:1]).all():
                raise ValueError(f"{path} is grey, and {case.key} is not: expected colours")
            return sr.expand(len(truth), -1, -1)
        return to_grey(sr) if len(truth) == 1 < len(sr) else sr

    def content(self, case: Case) -> Mapping[str, object]:
        """What decides the picture, for a cache."""
        return {"picture": case.files.digest(self.find(case))}

    def _of_scale(self, case: Case) -> list[Candidate]:
        """All that may be of a case's image and scale."""
        name = case.testset.name
        if name not in self._candidates:
            self._candidates[name] = candidates(self._files, self.folder, case.testset)
        of_image = self._candidates[name][case.key]
        return [each for each in of_image if each.scale is None or _equal(each.scale, case.scale)]

    def _fitting(self, case: Case) -> list[Candidate]:
        """The candidates for a case; those that say more than others of what they are."""
        found = [each for each in self._of_scale(case) if _made_under(each, case)]
        testset = re.compile(
            rf"(?<![a-z0-9]){re.escape(folder_name(case.testset.name))}(?![a-z0-9])", re.IGNORECASE
        )
        says: tuple[Callable[[Candidate], bool], ...] = (
            lambda each: case.condition in each.folders,
            lambda each: any(testset.search(folder) for folder in each.folders),
            lambda each: each.scale is not None,
        )
        for rule in says:
            found = [each for each in found if rule(each)] or found
        return found


def _made_under(candidate: Candidate, case: Case) -> bool:
    """Whether a picture may be made under the case's condition: no folder names another one.

    Of degraded images it has to lie in a folder that says so.
    """
    if case.degrade:
        return case.condition in candidate.folders
    names = {folder_name(name) for name in PROTOCOLS}
    others = (f for f in candidate.folders if f != case.condition and f.partition("+")[0] in names)
    return next(others, None) is None


def _equal(one: Pair, other: Pair) -> bool:
    return all(math.isclose(a, b) for a, b in zip(one, other, strict=True))
