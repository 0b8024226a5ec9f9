"""Given low-resolution photos beside the high-resolution ones, instead of reductions made here."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from ccsr.grid import Size, scale_text
from ccsr.image.folders import in_any_case
from ccsr.training.batches import DRAWN_ANEW, LAST_RESORT, Batch, nothing_left
from ccsr.training.photos import Photos
from ccsr.training.sources import Cuts, Source

Numbers = dict[float, np.ndarray]  # scale -> (n, 2) numbers of photos: high and low resolution
_FOLDER = re.compile(r"(?:image_SRF_|LRbic|[xX×])?x?(\d+(?:\.\d+)?)")
_FILE = re.compile(r"(.+?)(?:[xX×](\d+(?:\.\d+)?)[mdw]?|_SRF_(\d+)_LR|_LRBI_x(\d+))")
_FINEST = 100  # denominator of a scale
_NAMED = 5  # in one message


def find_partners(
    truths: Sequence[Path], low: Iterable[Path], scales: Sequence[float]
) -> dict[float, list[tuple[Path, Path]]]:
    """Photos and their given low-resolution images, by scale.

    Args:
        truths: high-resolution files, `0001.png` or `img_001_SRF_2_HR.png`.
        low: low-resolution files, `X2/0001x2.png`: the scale stands in the file's name or is the
            folder's, the name is that of the photo with or without the scale, in any case
            where that is clear.
        scales: that are wanted.

    Raises:
        ValueError: if two photos have one name, or one of them lacks a wanted scale, or has
            two images of it.
    """
    photos: dict[str, Path] = {}
    for path in truths:
        name = re.sub(r"_SRF_\d+_HR$|_HR_x\d+$", "", path.stem)
        if name in photos:
            raise ValueError(
                f"data.lr needs photos of different names, got {photos[name]} and {path}: give "
                "data.root the one folder that belongs to it"
            )
        photos[name] = path
    folded = in_any_case(photos)
    given: defaultdict[float, dict[str, Path]] = defaultdict(dict)
    for path in low:
        for name, scale in _names_and_scales(path):
            known = name if name in photos else folded.get(name.casefold())
            if known is None:
                continue
            other = given[scale].setdefault(known, path)
            if other != path and scale in scales:
                raise ValueError(
                    f"data.lr has two images of {known} at the scale {scale:g}, {other} and "
                    f"{path}: give the folder of one kind, such as DIV2K_train_LR_bicubic"
                )
            break
    found: dict[float, list[tuple[Path, Path]]] = {}
    for scale in scales:
        missing = [name for name in photos if name not in given[scale]]
        if missing:
            known = ", ".join(f"{s:g}" for s in sorted(given) if given[s]) or "none"
            more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            raise ValueError(
                f"data.lr has no scale {scale:g} of {', '.join(missing[:_NAMED])}{more}: expected "
                f"files such as X{scale:g}/{missing[0]}x{scale:g}.png; scales that it has: {known}"
            )
        found[scale] = [(path, given[scale][name]) for name, path in photos.items()]
    return found


def _names_and_scales(path: Path) -> Iterator[tuple[str, float]]:
    """What photo and scale a low-resolution file may be of, the likeliest first."""
    folder, marked = _FOLDER.fullmatch(path.parent.name), _FILE.fullmatch(path.stem)
    if folder:
        yield path.stem, float(folder[1])
    if marked:
        yield marked[1], next(float(group) for group in marked.groups()[1:] if group)


def numbered(photos: Photos, partners: Mapping[float, Sequence[tuple[Path, Path]]]) -> Numbers:
    """The partners by their numbers in `photos`; those of which a file is unreadable are left out.

    Raises:
        ValueError: if the sizes of two partners do not belong together.
    """
    number = {photo.path: n for n, photo in enumerate(photos.photos)}
    found: Numbers = {}
    for scale, files in partners.items():
        pairs = [(number[hr], number[lr]) for hr, lr in files if hr in number and lr in number]
        for hr, lr in pairs:
            (height, width), (h, w) = photos.photos[hr].size, photos.photos[lr].size
            if abs(h * scale - height) >= scale or abs(w * scale - width) >= scale:
                raise ValueError(
                    f"{photos.photos[lr].path} has {w}x{h} pixels, and {scale:g} times as many are "
                    f"not the {width}x{height} of {photos.photos[hr].path}: give data.lr the "
                    "reductions of these photos"
                )
        found[scale] = np.array(pairs, np.int64).reshape(-1, 2)
    return found


class PairBatches(Dataset[Batch]):
    """`batches[step]` is the batch of that step, a pure function of (`seed`, `step`).

    One scale per batch. A low-resolution patch begins at a pixel whose multiple by the scale is
    whole, so that the high-resolution patch covers exactly the same area. Flips and transposes at
    random; photos are drawn in proportion to their area.

    Args:
        source: what patches of both resolutions are cut from.
        sizes: of its photos.
        numbers: which of them belong together.
        scales: keys of `numbers`; what is listed twice is drawn twice as often.
        patch: side of the low-resolution patches.
        batch_size: patches per batch.
        seed: with the step it decides every batch.

    Raises:
        ValueError: if `patch` times a scale is no integer, or no photo is large enough.
    """

    def __init__(
        self,
        source: Source,
        sizes: Sequence[Size],
        numbers: Numbers,
        scales: Sequence[float],
        patch: int = 48,
        batch_size: int = 16,
        seed: int = 0,
    ) -> None:
        self.source, self.sizes, self.scales = source, np.array(sizes), list(scales)
        self.patch, self.batch_size, self.seed = patch, batch_size, seed
        self._ratios = {s: Fraction(s).limit_denominator(_FINEST) for s in scales}
        self._pairs: dict[float, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        for scale, ratio in self._ratios.items():
            if patch % ratio.denominator:
                raise ValueError(
                    f"data.patch={patch} times the scale {scale:g} is not whole: give a data.patch "
                    f"that is a multiple of {ratio.denominator}"
                )
            self._pairs[scale] = self._large_enough(numbers[scale], scale, ratio)

    def _large_enough(
        self, pairs: np.ndarray, scale: float, ratio: Fraction
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the pairs large enough: numbers (n, 2), cumulated areas, numbers of starts (n, 2).

        A start is counted in steps of as many low-resolution pixels as make whole ones above.
        """
        high, low = self.sizes[pairs[:, 0]], self.sizes[pairs[:, 1]]
        room = np.minimum(low, np.floor(high / scale + 1e-9).astype(int)) - self.patch
        fits = (room >= 0).all(1)
        if not fits.any():
            raise ValueError(
                f"no low-resolution image at the scale {scale:g} has the {self.patch}x{self.patch} "
                "pixels of data.patch: lower it, or give larger photos"
            )
        starts = room[fits] // ratio.denominator + 1
        return pairs[fits], high[fits].prod(1).cumsum(), starts

    def undrawn(self) -> list[int]:
        """Numbers of the photos that are too small at every scale."""
        drawn = {int(n) for pairs, _, _ in self._pairs.values() for n in pairs.flatten()}
        return [n for n in range(len(self.sizes)) if n not in drawn]

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self.seed, step))
        scale = self.scales[int(rng.integers(len(self.scales)))]
        batch, lacking = self._cut(rng, scale, self.batch_size)
        count = len(self._pairs[scale][0])
        for place in lacking:
            own = np.random.default_rng((self.seed, step, place))
            for pair in [None] * DRAWN_ANEW + list(range(min(count, LAST_RESORT))):
                other, again = self._cut(own, scale, 1, pair)
                if not again:
                    break
            batch.lr[place], batch.hr[place] = other.lr[0], other.hr[0]
        return batch

    def check_left(self, unreadable: np.ndarray) -> None:
        """See that a pair that can be read is left at each scale, of what is unreadable by now.

        Raises:
            UnreadableError: if there is none.
        """
        for scale, (pairs, _, _) in self._pairs.items():
            if unreadable[pairs].any(1).all():
                raise nothing_left(self.patch, scale_text((scale, scale)))

    def _cut(
        self, rng: np.random.Generator, scale: float, count: int, pair: int | None = None
    ) -> tuple[Batch, list[int]]:
        """`count` pairs of patches, random or of one pair, and which lack a photo, unreadable."""
        pairs, areas, starts = self._pairs[scale]
        ratio = self._ratios[scale]
        if pair is None:
            chosen = np.searchsorted(areas, rng.integers(areas[-1], size=count), side="right")
        else:
            chosen = np.full(count, pair)
        steps = rng.integers(starts[chosen])
        flipped = rng.integers(2, size=(count, 2)).astype(bool)
        turned = rng.integers(2, size=count).astype(bool)
        high, low = (pairs[chosen, column] for column in (0, 1))
        side = self.patch * ratio.numerator // ratio.denominator
        cuts = (
            Cuts(low, steps * ratio.denominator, flipped, turned, (self.patch, self.patch)),
            Cuts(high, steps * ratio.numerator, flipped, turned, (side, side)),
        )
        (lr, lacking), (hr, more) = ((x.clone(), n) for x, n in map(self.source.cut, cuts))
        return Batch(lr, hr, torch.zeros(count)), sorted({*lacking, *more})
