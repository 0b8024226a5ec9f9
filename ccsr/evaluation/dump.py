"""Outputs of methods as files, in the layout in which `Pictures` finds them."""

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from torch import Tensor

from ccsr import image
from ccsr.atomic import make_folder
from ccsr.evaluation.cases import LR, Case, folder_name
from ccsr.evaluation.testsets import stem_of
from ccsr.grid import scale_text


class DumpError(Exception):
    """An output cannot be written, for which no test image is to blame."""


class Dump:
    """A folder for what methods give, and what they were given, so that `Pictures` finds it.

    `FOLDER/METHOD/CONDITION/TESTSET/X2/babyx2.png`: with 8 bits where the protocol rounds to them,
    else with 16.

    Args:
        folder: which is made if it is missing.
        methods: their names.

    Raises:
        ValueError: if two methods would have one folder.
    """

    def __init__(self, folder: Path, methods: Collection[str]) -> None:
        self.folder = folder
        places = [folder_name(name).casefold() for name in (LR, *methods)]
        for name, place in zip((LR, *methods), places, strict=True):
            if places.count(place) > 1:
                raise ValueError(
                    f"--dump would write {name!r} and another into one folder: give the model "
                    "another name, NAME=FILE"
                )

    def holds(self, name: str, case: Case, pixels: str, digest: Callable[[Tensor], str]) -> bool:
        """Whether the output of a method lies there already, with that digest of its values.

        What the methods were given is written anew if only that is missing.
        """
        try:
            written = image.to_tensor(image.read(self._path(name, case)))
        except (OSError, ValueError):
            return False
        if digest(case.protocol.finish(written)) != pixels:
            return False
        if not self._path(LR, case).exists():  # somebody removed those
            self.write_given(case)
        return True

    def write(self, name: str, case: Case, sr: Tensor) -> None:
        """Write a finished output (C, H, W).

        Raises:
            DumpError: if that fails.
        """
        self._save(self._path(name, case), sr, np.uint8 if case.protocol.rounded else np.uint16)

    def write_given(self, case: Case) -> None:
        """Write what the methods were given.

        Raises:
            DumpError: if that fails.
        """
        self._save(self._path(LR, case), image.to_float(case.lr), np.uint8)

    def _save(self, path: Path, x: Tensor, kind: type[np.generic]) -> None:
        try:
            make_folder(path)
            image.write(image.Picture((image.to_array(x, np.zeros(0, kind)),)), path)
        except OSError as error:
            raise DumpError(str(error)) from error

    def _path(self, name: str, case: Case) -> Path:
        label = scale_text(case.scale)
        place = self.folder / folder_name(name) / case.condition / folder_name(case.testset.name)
        return place / f"X{label}" / f"{stem_of(case.key)}x{label}.png"
