"""`python -m benchmarks.overlap TRAIN... --test DIR...`: whether a test image is trained on.

Looks for each training picture in every test image and the other way round, at any place, size,
rotation and compression, mirrored too. Pictures are described by SIFT keypoints (Lowe 2004), and
keypoints are matched by the ratio test. A pair is a candidate where at least `KEYPOINTS_AGREE`
matches agree on one similarity transform. It is an overlap if the pixels agree too: laid over each
other by that transform, the two correlate by at least `CORRELATION`. Prints the overlaps and the
candidates nearest to one; the exit code says whether there are overlaps.

With `--planted` the training pictures are made of the test images: parts of them, resized,
compressed and mirrored. How many of these are found says what a result of none is worth.
"""

import argparse
import io
import random
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ccsr.device import has_native_bfloat16
from ccsr.image import named_as_image

SIDE = 512  # of what is described, the longer one: tiles have it, test images are hardly longer
KEYPOINTS = 0.8  # for each pixel of that side, those of the most contrast
ALIKE = 0.94  # the cosine of descriptors: so many are like that in any pair worth a closer look
RATIO = 0.8  # Lowe's: the best match must be so much nearer than the second
KEYPOINTS_AGREE = 8
APART = 4.0  # pixels by which keypoints that agree may miss each other
CORRELATION = 0.7
LARGEST_FACTOR = 16  # between the two pictures; beyond it a transform shrinks all to a point
SIDES_PLANTED = (1.0, 0.7, 0.5)  # of the whole image's
MIRRORED = " (mirrored)"
NEAREST = 10  # candidates that are printed though they are no overlaps


class Described(NamedTuple):
    """A picture by its keypoints.

    Attributes:
        name: of its file.
        grey: (h, w) uint8, its longer side as long as was asked for, or shorter.
        places: (K, 2), columns and rows in `grey`.
        descriptors: (K, 128), of length 1.
    """

    name: str
    grey: NDArray[np.uint8]
    places: NDArray[np.float32]
    descriptors: NDArray[np.float32]


class Candidate(NamedTuple):
    """Two pictures that may share a part.

    Attributes:
        training: file of the training picture.
        test: file of the test image.
        keypoints: how many of them agree on one position, size and rotation.
        correlation: of the pixels that they share if that is so, -1 to 1.
    """

    training: str
    test: str
    keypoints: int
    correlation: float

    @property
    def overlaps(self) -> bool:
        """Whether the pixels agree too."""
        return self.correlation >= CORRELATION


def describe(path: Path, side: int = SIDE, mirrored: bool = False) -> Described:
    """The keypoints of a picture file, turned as its EXIF says, or of what a mirror shows of it."""
    picture = _upright(path)
    if mirrored:
        return described(f"{path}{MIRRORED}", ImageOps.mirror(picture), side)
    return described(str(path), picture, side)


def described(name: str, picture: Image.Image, side: int = SIDE) -> Described:
    """The keypoints of a picture, reduced until its longer side is at most `side`."""
    cv2.setNumThreads(1)
    small = picture.convert("L")
    small.thumbnail((side, side), Image.Resampling.BOX)
    grey = np.asarray(small)
    most = round(KEYPOINTS * side)
    keypoints, descriptors = cv2.SIFT.create(nfeatures=most).detectAndCompute(grey, None)
    if not keypoints:
        return Described(name, grey, np.empty((0, 2), np.float32), np.empty((0, 128), np.float32))
    descriptors = descriptors[:most]  # a tie may add one
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True).clip(1e-9)
    places = np.array([one.pt for one in keypoints[:most]], np.float32)
    return Described(name, grey, places, descriptors)


def planted(path: Path, side: int = SIDE) -> list[Described]:
    """Parts of a test image as a training set might hold them: a name says of which image."""
    rng = random.Random(path.name)
    whole = _upright(path)
    parts = []
    for share in SIDES_PLANTED:
        width, height = (round(n * share) for n in whole.size)
        left, top = rng.randint(0, whole.width - width), rng.randint(0, whole.height - height)
        part = whole.crop((left, top, left + width, top + height))
        factor = rng.uniform(0.5, 2)
        size = round(width * factor), round(height * factor)
        part = part.resize(size, Image.Resampling.BICUBIC)
        if rng.random() < 0.5:
            part = ImageOps.mirror(part)
        packed = io.BytesIO()
        part.save(packed, "JPEG", quality=rng.randint(40, 90))
        parts.append(described(f"{share:.0%} of {path}", Image.open(packed), side))
    return parts


class Gallery:
    """Test images, ready to be compared with one training picture after another.

    Attributes:
        described: their keypoints.
        descriptors: (number, most keypoints, 128), with zeros where a picture has fewer.
        quick: the same as (number * most keypoints, 128), in bfloat16 where that is fast.
    """

    def __init__(self, described: Sequence[Described]) -> None:
        self.described = described
        most = max(len(one.places) for one in described)
        self.descriptors = torch.zeros(len(described), most, 128)
        for row, one in zip(self.descriptors, described, strict=True):
            row[: len(one.places)] = torch.from_numpy(one.descriptors)
        native = has_native_bfloat16(torch.device("cpu"))
        self.quick = self.descriptors.flatten(0, 1).to(torch.bfloat16 if native else torch.float32)

    def candidates(self, training: Described) -> Iterator[Candidate]:
        """The test images that may share a part with a training picture."""
        if len(training.places) < KEYPOINTS_AGREE:
            return
        ours = torch.from_numpy(training.descriptors)
        alike = (self.quick @ ours.T.to(self.quick.dtype)).amax(1).view(len(self.described), -1)
        likely = (alike > ALIKE).sum(1) >= KEYPOINTS_AGREE
        for number in likely.nonzero().flatten().tolist():
            test = self.described[number]
            # the nearest of our keypoints for each of the test image
            best, which = (self.descriptors[number, : len(test.places)] @ ours.T).topk(2, dim=1)
            distances = (2 - 2 * best).clamp_min(0).sqrt()
            kept = (distances[:, 0] < RATIO * distances[:, 1]).numpy()
            source, target = training.places[which[kept, 0].numpy()], test.places[kept]
            if len(source) < KEYPOINTS_AGREE:
                continue
            transform, inliers = cv2.estimateAffinePartial2D(
                source, target, method=cv2.RANSAC, ransacReprojThreshold=APART
            )
            if transform is None:
                continue
            agree = inliers[:, 0].astype(bool)
            factor = float(np.hypot(*transform[:, 0]))
            # one keypoint that many match is no agreement
            count = min(len(np.unique(side[agree], axis=0)) for side in (source, target))
            if count >= KEYPOINTS_AGREE and 1 / LARGEST_FACTOR < factor < LARGEST_FACTOR:
                yield Candidate(
                    training.name, test.name, count, correlation(training, test, transform, factor)
                )


def correlation(
    training: Described, test: Described, transform: NDArray[Any], factor: float
) -> float:
    """Of the pixels of two pictures where they cover each other, in the coarser one's pixels.

    Args:
        training: the picture that is moved.
        test: the picture that it is laid over.
        transform: (2, 3), from the places of `training` to those of `test`.
        factor: by which it enlarges.
    """
    moved: NDArray[Any] = training.grey
    still: NDArray[Any] = test.grey
    if factor > 1:  # the training picture is the coarser one
        moved, still, transform = still, moved, cv2.invertAffineTransform(transform)
        factor = 1 / factor
    moved = cv2.GaussianBlur(moved, (0, 0), max(1.0, 1 / factor))  # before it is reduced
    still = cv2.GaussianBlur(still, (0, 0), 1.0)
    size = still.shape[1], still.shape[0]
    covered = cv2.warpAffine(np.ones_like(moved), transform, size, flags=cv2.INTER_NEAREST) > 0
    laid = cv2.warpAffine(moved, transform, size, flags=cv2.INTER_LINEAR)[covered].astype(float)
    under = still[covered].astype(float)
    if not laid.size or not laid.std() or not under.std():
        return 0.0
    return float(np.corrcoef(laid, under)[0, 1])


def main(argv: Sequence[str] | None = None) -> int:
    """Print the overlaps between two sets of folders."""
    parser = argparse.ArgumentParser("python -m benchmarks.overlap", description=__doc__)
    parser.add_argument("training", nargs="*", type=Path, metavar="TRAIN")
    parser.add_argument("--test", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--planted", action="store_true", help="look for parts of the test images themselves"
    )
    parser.add_argument(
        "--side", type=int, default=SIDE, help="pixels that pictures are reduced to, the longer "
        "side: 256 takes a fourth of the time, and finds a little less; default: 512",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=2, help="processes that describe pictures")
    args = parser.parse_args(argv)
    if args.planted == bool(args.training):
        parser.error("give either folders of training pictures or --planted")
    torch.set_num_threads(1)
    paths = _pictures(args.test)
    as_asked = partial(describe, side=args.side)
    fresh = get_context("spawn")  # a fork would wait for threads of OpenCV that it has not
    with ProcessPoolExecutor(args.jobs, fresh) as pool:
        described = [*pool.map(as_asked, paths, chunksize=8)]
        described += pool.map(partial(as_asked, mirrored=True), paths, chunksize=8)
        gallery = Gallery(described)
        if args.planted:
            found = pool.map(partial(planted, side=args.side), paths, chunksize=8)
            return _report_planted(gallery, [part for parts in found for part in parts])
        pictures = pool.map(as_asked, _pictures(args.training), chunksize=8)
        return _report(gallery, pictures, len(paths))


def _report(gallery: Gallery, pictures: Iterator[Described], images: int) -> int:
    count, found = 0, list[Candidate]()
    for count, picture in enumerate(pictures, 1):
        found += gallery.candidates(picture)
        if count % 100 == 0:
            print(f"{count} training pictures", file=sys.stderr, flush=True)
    found.sort(key=lambda one: -one.correlation)
    overlaps = [one for one in found if one.overlaps]
    for one in found[: len(overlaps) + NEAREST]:
        says = "overlaps" if one.overlaps else "does not overlap"
        print(
            f"{one.training} {says} {one.test}: {one.keypoints} keypoints agree, "
            f"correlation {one.correlation:.2f}"
        )
    print(
        f"{count} training pictures, {images} test images, {len(found)} candidates, "
        f"{len(overlaps)} overlaps"
    )
    return 1 if overlaps else 0


def _report_planted(gallery: Gallery, parts: Sequence[Described]) -> int:
    found, others = 0, set[tuple[str, str]]()
    for part in parts:
        kind, _, origin = part.name.partition(" of ")
        named = {
            one.test.removesuffix(MIRRORED) for one in gallery.candidates(part) if one.overlaps
        }
        others |= {(origin, other) for other in named - {origin}}
        found += origin in named
        if origin not in named:
            print(f"not found: {kind} of {origin}, {len(part.places)} keypoints")
    for origin, other in sorted(others):
        print(f"parts of {origin} overlap {other}")
    print(f"{found} of {len(parts)} parts found")
    return 0


def _upright(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return ImageOps.exif_transpose(picture).convert("RGB")


def _pictures(folders: Sequence[Path]) -> list[Path]:
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    return [path for path in paths if named_as_image(path.name) and path.is_file()]


if __name__ == "__main__":
    sys.exit(main())
