"""What every method is given: an image at a scale, reduced by a protocol, and what it should be."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from ccsr import image
from ccsr.evaluation.testsets import TestSet, low_resolution
from ccsr.grid import Pair, Size, scale_text, size_of
from ccsr.image.coding import Coding
from ccsr.image.degrade import Degrade
from ccsr.model.checkpoint import digest
from ccsr.protocols import EvaluationProtocol

LR = "LR"  # the folder of what methods were given, where their outputs are written


class Files:
    """Pictures and digests of files, each read once.

    Those of one image: they stay in memory as long as this does.
    """

    def __init__(self) -> None:
        self._pictures: dict[Path, tuple[Tensor, Coding | None]] = {}
        self._digests: dict[Path, str] = {}

    def picture(self, path: Path) -> Tensor:
        """uint8 (C, H, W), grey or RGB; raises as `coded`."""
        return self.coded(path)[0]

    def coded(self, path: Path) -> tuple[Tensor, Coding | None]:
        """A picture, uint8 (C, H, W), grey or RGB, and how its file was compressed with losses.

        Raises:
            ValueError: for a picture that is partly transparent, or that cannot be read.
            OSError: if the file cannot be read.
        """
        if path not in self._pictures:
            picture = image.read(path)
            if picture.has_alpha:
                raise ValueError(f"{path} is partly transparent: expected an opaque picture")
            self._pictures[path] = image.opaque(picture), picture.coding
        return self._pictures[path]

    def digest(self, path: Path) -> str:
        """SHA-256 of what the file holds."""
        if path not in self._digests:
            self._digests[path] = digest(path)
        return self._digests[path]


@dataclass
class Case:
    """One image at one scale; its pictures are made when they are first asked for.

    Attributes:
        testset: where the image is from.
        key: its name there.
        scale: (vertical, horizontal).
        protocol: how it is reduced.
        given: the folder of low-resolution images; None to make them by the protocol.
        degrade: what the low-resolution image goes through; None for nothing.
        files: what was read already.
    """

    testset: TestSet
    key: str
    scale: Pair
    protocol: EvaluationProtocol
    given: Path | None
    degrade: Degrade | None
    files: Files

    @property
    def path(self) -> Path:
        """The file of the high-resolution image."""
        return self.testset.path(self.key, self.scale)

    @property
    def lr_path(self) -> Path | None:
        """The file of the low-resolution image, if it is given."""
        if self.given is None:
            return None
        return low_resolution(self.given, self.testset.name, self.key, scale_text(self.scale))

    @property
    def condition(self) -> str:
        """What decides the pictures of all methods beside image and scale, as a folder's name."""
        return condition(self.protocol, self.degrade)

    @cached_property
    def _pair(self) -> tuple[Tensor, Tensor]:
        """The LR image, made or given, and the part of the HR image that it stands for; uint8."""
        hr, path = self.files.picture(self.path), self.lr_path
        if path is None:
            lr_size, (height, width) = self.protocol.crop(size_of(hr), self.scale)
            hr = hr[:, :height, :width]
            lr = self.protocol.reduce(hr, lr_size, self.scale)
        else:
            lr = self.files.picture(path)
            if len(lr) != len(hr):
                raise ValueError(
                    f"{path} has {len(lr)} channels, its high-resolution image {len(hr)}"
                )
            height, width = self.protocol.crop_to(size_of(hr), size_of(lr), self.scale)
            hr = hr[:, :height, :width]
        return (self.degrade(lr, self._label) if self.degrade else lr), hr

    @property
    def lr(self) -> Tensor:
        """What methods are given, uint8 (C, h, w)."""
        return self._pair[0]

    @property
    def coding(self) -> Coding | None:
        """How the file of what methods are given was compressed: the given one, or by `degrade`."""
        if self.degrade:
            return self.degrade.coding
        return self.files.coded(self.lr_path)[1] if self.lr_path else None

    @cached_property
    def truth(self) -> Tensor:
        """What methods should give, float (C, H, W)."""
        return image.to_float(self._pair[1])

    @property
    def size(self) -> Size:
        """(H, W) of the truth."""
        return size_of(self._pair[1])

    @property
    def _label(self) -> str:
        return f"{self.key} {scale_text(self.scale)}"

    def content(self) -> Mapping[str, object]:
        """All that decides the pictures of this case, for a cache."""
        path = self.lr_path
        return {
            "image": self.files.digest(self.path),
            "lr": path and self.files.digest(path),
            "scale": list(self.scale),
            "protocol": [self.protocol.name, self.protocol.definition],
            "degrade": self.degrade and [self.degrade.text, self._label],
        }


def condition(protocol: EvaluationProtocol, degrade: Degrade | None) -> str:
    """The name of a folder of pictures that were made under these: `benchmark-y+jpeg40`."""
    chain = "+" + degrade.text.replace(":", "") if degrade else ""
    return folder_name(protocol.name + chain)


def folder_name(text: str) -> str:
    """A text as the name of one folder that is not hidden, on any system."""
    bad = r'[/\\:*?"<>|]|^\.|[. ]$'
    return re.sub(bad, "-", "".join(char if char.isprintable() else "-" for char in text))
