"""Validation: fixed images at fixed scales with bicubic's result beside each; what it found."""

import logging
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import center_crop

from ccsr import image
from ccsr.device import NoRoomError
from ccsr.grid import Pair, ProjectedGrid, as_pair, output_size, scale_text, size_of
from ccsr.image.coding import coarsest_jpeg
from ccsr.image.degrade import Degrade
from ccsr.protocols import by_name
from ccsr.resample import reduce_uint8, resize
from ccsr.training.settings import whole

PROTOCOL = by_name("benchmark-y")
log = logging.getLogger(__name__)


class Item(NamedTuple):
    """One image at one scale.

    Attributes:
        lr: (1, 3, h, w) uint8.
        hr: (1, 3, H, W) uint8.
        scale: (vertical, horizontal).
        bicubic: PSNR of the bicubic enlargement, see :func:`score`.
        kind: name of the set that the image is in; empty if there is only one.
        quality: of the coarsest JPEG that `lr` has been, as its file and pixels would tell; 0 if
            it was none.
    """

    lr: Tensor
    hr: Tensor
    scale: Pair
    bicubic: float
    kind: str = ""
    quality: float = 0.0

    @property
    def grid(self) -> ProjectedGrid:
        """The grid of `hr` over `lr`."""
        return ProjectedGrid.project(size_of(self.lr), size_of(self.hr))


class ScaleMean(NamedTuple):
    """Means over the images of one set at one scale, in dB: the network's PSNR and bicubic's."""

    kind: str
    scale: Pair
    psnr: float
    bicubic: float


class Validation(NamedTuple):
    """What one validation found.

    Attributes:
        step: of the training.
        means: in the order of the sets and their scales.
    """

    step: int
    means: tuple[ScaleMean, ...]

    @classmethod
    def of(cls, step: int, scores: Sequence[ScaleMean]) -> "Validation":
        """The means of the scores of single images."""
        groups: dict[tuple[str, Pair], list[ScaleMean]] = {}
        for each in scores:
            groups.setdefault((each.kind, each.scale), []).append(each)
        means = (
            ScaleMean(*key, fmean(s.psnr for s in group), fmean(s.bicubic for s in group))
            for key, group in groups.items()
        )
        return cls(step, tuple(means))

    @property
    def kinds(self) -> list[str]:
        """Names of the sets."""
        return list(dict.fromkeys(mean.kind for mean in self.means))

    def gain_of(self, kind: str) -> float:
        """Ours less bicubic in dB, mean over the scales of one set."""
        return fmean(mean.psnr - mean.bicubic for mean in self.means if mean.kind == kind)

    @property
    def gain(self) -> float:
        """Mean over the sets of their gains."""
        return fmean(map(self.gain_of, self.kinds))

    def metrics(self) -> dict[str, float]:
        """Everything by name: `psnr_x2`, `bicubic_x2`, `gain`; of several sets `KIND/psnr_x2`."""
        named: dict[str, float] = {}
        for kind in self.kinds:
            prefix = f"{kind}/" if kind else ""
            for mean in (mean for mean in self.means if mean.kind == kind):
                named[f"{prefix}psnr_x{scale_text(mean.scale)}"] = mean.psnr
                named[f"{prefix}bicubic_x{scale_text(mean.scale)}"] = mean.bicubic
            named[f"{prefix}gain"] = self.gain_of(kind)
        return {**named, "gain": self.gain}

    def lines(self) -> list[str]:
        """For people: a line for each set, and for the mean over several."""
        told = []
        for kind in self.kinds:
            pairs = "  ".join(
                f"x{scale_text(mean.scale)} {mean.psnr:.2f} ({mean.bicubic:.2f})"
                for mean in self.means
                if mean.kind == kind
            )
            name = f"{kind}, " if kind else ""
            told.append(f"{name}PSNR (bicubic): {pairs}  gain {self.gain_of(kind):+.3f} dB")
        several = [f"mean over {len(self.kinds)} sets: gain {self.gain:+.3f} dB"]
        return told + (several if len(self.kinds) > 1 else [])


class ValidationSet(Dataset[Item]):
    """At most `images` of each set's files, cut to `crop` pixels, at each of the scales.

    What bicubic restores exactly, an image of one colour, says nothing and is left out.

    Low-resolution images are made by MATLAB's 8-bit bicubic, and then go through each of the
    `degrade` chains, which have means of their own. The cut is chosen per scale so that input
    times scale is an integer, or as near as it gets (within 8 pixels).

    Args:
        files: image files, or those of several sets by name; of more than `images` those at even
            distances are taken.
        scales: one number, or a pair (vertical, horizontal), per scale.
        images: number of images, of each set.
        crop: side of the square in the middle of each image.
        degrade: chains such as `jpeg:60` (:class:`ccsr.image.degrade.Degrade`), or `none`; None
            for that alone.

    Attributes:
        settings: all that decides the numbers, and a checksum of the images, wherever they lie.

    Raises:
        ValueError: if no file of a set is readable, an image is too small for a scale, or that
            is 1 and every image stays as it is.
    """

    def __init__(
        self,
        files: Sequence[Path] | Mapping[str, Sequence[Path]],
        scales: Sequence[float | Sequence[float]] = (2, 3, 4),
        images: int = 8,
        crop: int = 256,
        degrade: Sequence[str] | None = None,
    ) -> None:
        whole("data.val.images", images)
        whole("data.val.crop", crop)
        self.chains = _as_chains(degrade)
        self.scales = _as_scales(scales, exact=not any(self.chains.values()))
        listed = [s if isinstance(s, int | float) else list(s) for s in scales]
        self.settings: dict[str, Any] = {"images": images, "crop": crop, "scales": listed}
        sets = files if isinstance(files, Mapping) else {"": files}
        if isinstance(files, Mapping):
            self.settings["sets"] = list(sets)
        if degrade is not None:
            self.settings["degrade"] = list(degrade)
        self.items: list[Item] = []
        self._starts: list[int] = []  # of each image among the items
        for kind, found in sets.items():
            self._add(kind, found, images, crop)
        checksum = 0
        for item in self.items:
            checksum = zlib.crc32(item.hr.contiguous().numpy().data, checksum)
        self.settings["pixels"] = checksum

    def _add(self, kind: str, files: Sequence[Path], images: int, crop: int) -> None:
        before = len(self.items)
        chosen = np.linspace(0, len(files) - 1, min(images, len(files))).round().astype(int)
        for path in (files[i] for i in chosen):
            try:
                photo = image.read_rgb(path)
            except (OSError, ValueError, NoRoomError) as error:
                log.warning("skipped an image that cannot be read: %s", error)
                continue
            self._starts.append(len(self.items))
            for name, chain in self.chains.items():
                self._add_image(photo, path, " ".join(filter(None, (kind, name))), chain, crop)
        if len(self.items) == before:
            raise ValueError(
                "expected readable images, not of one colour, and scales for validation, got "
                f"{len(files)} files and {len(self.scales)} scales: check data.val"
                + (f".sets.{kind}" if kind else "")
            )

    def _add_image(
        self, photo: Tensor, path: Path, kind: str, chain: Degrade | None, crop: int
    ) -> None:
        for scale in self.scales:
            if chain is None and scale == (1.0, 1.0):
                continue  # the image itself
            try:
                item = _item(photo, scale, crop, chain, path.name)
            except ValueError as error:
                raise ValueError(
                    f"{path}, cut to data.val.crop={crop}, at the scale {scale_text(scale)} of "
                    f"data.val.scales: {error}"
                ) from error
            if math.isfinite(item.bicubic):
                self.items.append(item._replace(kind=kind))
            else:
                at = f"x{scale_text(item.scale)}"
                log.warning("skipped an image at %s: bicubic is exact: %s", at, path)

    @property
    def columns(self) -> set[str]:
        """What its means are called in tables, and to callbacks with ``val/`` before it."""
        empty = [ScaleMean(each.kind, as_pair(each.scale), 0.0, 0.0) for each in self.items]
        return set(Validation.of(0, empty).metrics())

    def is_of(self, settings: Mapping[str, Any]) -> bool:
        """Whether numbers on these settings, maybe of a run without a checksum yet, compare."""
        return not settings or {"pixels": self.settings["pixels"], **settings} == self.settings

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        return self.items[index]

    def shown(self, rows: int) -> set[int]:
        """Items that stand for all: of `rows` images at even distances each at another scale."""
        ends = [*self._starts[1:], len(self.items)]
        several = [(a, b) for a, b in zip(self._starts, ends, strict=True) if b > a]
        chosen = np.linspace(0, len(several) - 1, min(rows, len(several))).round().astype(int)
        ranges = (several[i] for i in chosen)
        return {start + n % (end - start) for n, (start, end) in enumerate(ranges)}


def as_float(x: Tensor) -> Tensor:
    """A uint8 image as float32 in [0, 1]; a float image as it is."""
    return image.to_float(x) if x.dtype == torch.uint8 else x


def quantised(x: Tensor) -> Tensor:
    """A float image as the 8-bit file of it would be: uint8."""
    return image.to_uint8(x.float())


def score(sr: Tensor, hr: Tensor, scale: Pair) -> float:
    """PSNR of 8-bit images (1, 3, H, W) by the protocol `benchmark-y`."""
    return PROTOCOL.psnr(as_float(sr[0]), as_float(hr[0]), scale)


def _as_chains(degrade: object) -> dict[str, Degrade | None]:
    """What low-resolution images go through, by the name of its means."""
    if degrade is None:
        return {"": None}
    if not isinstance(degrade, Sequence) or isinstance(degrade, str) or not degrade:
        raise ValueError(
            "data.val.degrade must be a list of chains, or none, such as [none,jpeg:60,noise:5], "
            f"got {degrade!r}"
        )
    texts = ["none" if each is None else str(each) for each in degrade]
    try:
        return {text: None if text == "none" else Degrade.parse(text) for text in texts}
    except ValueError as error:
        raise ValueError(f"data.val.degrade: {error}") from None


def _as_scales(scales: object, exact: bool) -> list[Pair]:
    """The scales of the configuration as pairs; `exact` if bicubic is that at 1."""
    given = scales if isinstance(scales, Sequence) and not isinstance(scales, str) else ()
    try:
        pairs = [as_pair(s if isinstance(s, int | float) else tuple(s)) for s in given]
    except (TypeError, ValueError):
        pairs = []
    if not pairs:
        raise ValueError(
            "data.val.scales must be a list of scales and pairs (vertical, horizontal), such as "
            f"[2,3,[1.5,4]], got {scales!r}"
        )
    if exact and (1.0, 1.0) in pairs:
        raise ValueError(
            "expected scales for validation other than 1, where bicubic is exact unless "
            "data.val.degrade says otherwise"
        )
    return pairs


def _item(photo: Tensor, scale: Pair, crop: int, chain: Degrade | None, name: str) -> Item:
    rows, columns = (min(crop, side) for side in size_of(photo))
    lr_size = _input_side(rows, scale[0]), _input_side(columns, scale[1])
    hr_size = output_size(lr_size, scale)
    hr = center_crop(photo, list(hr_size))[None]
    lr = reduce_uint8(hr, ProjectedGrid.project(hr_size, lr_size))
    quality = None
    if chain:
        lr = chain(lr[0], f"{name} {scale_text(scale)}")[None]
        quality = coarsest_jpeg(lr[0].permute(1, 2, 0).numpy(), chain.coding)
    item = Item(lr, hr, scale, 0.0, quality=quality or 0.0)
    bicubic = quantised(resize(as_float(lr), item.grid))
    return item._replace(bicubic=score(bicubic, hr, scale))


def _input_side(limit: int, scale: float) -> int:
    """Input pixels for at most `limit` output pixels, with a product as whole as can be."""
    largest = max(1, math.floor((limit + 0.499) / scale))
    sides = range(largest, max(0, largest - 8), -1)
    return min(sides, key=lambda side: round(abs(side * scale - round(side * scale)), 6))
