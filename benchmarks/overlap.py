"""`python -m benchmarks.overlap TRAIN... --test DIR...`: whether a test image is trained on.

Looks for each training picture in every test image and the other way round, at any place, size and
compression: both are described by SIFT keypoints (Lowe 2004), keypoints are matched by the ratio
test, and a pair counts as an overlap where at least `INLIERS` matches agree on one similarity
transform. Prints the overlaps; the exit code says whether there are any.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage.feature import SIFT
from skimage.measure import ransac
from skimage.transform import SimilarityTransform

from ccsr.image import named_as_image

SIDE = 256  # of what is described, the longer one: enough to recognise a picture
KEYPOINTS = 200  # of a picture, the largest
RATIO = 0.8  # Lowe's: the best match must be so much nearer than the second
INLIERS = 8


class Described(NamedTuple):
    """A picture by its keypoints.

    Attributes:
        name: of its file.
        places: (K, 2), rows and columns.
        descriptors: (K, 128), of length 1.
    """

    name: str
    places: NDArray[np.float64]
    descriptors: NDArray[np.float32]


class Overlap(NamedTuple):
    """Two pictures that share a part, and how many keypoints agree."""

    training: str
    test: str
    keypoints: int


def describe(path: Path) -> Described:
    """The keypoints of a picture file, turned as its EXIF says."""
    with Image.open(path) as picture:
        grey = ImageOps.exif_transpose(picture).convert("RGB").convert("L")
    grey.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    sift = SIFT(upsampling=1)
    try:
        sift.detect_and_extract(np.asarray(grey, dtype=np.float32) / 255)
    except RuntimeError:  # a picture without a single keypoint
        return Described(str(path), np.empty((0, 2)), np.empty((0, 128), np.float32))
    largest = np.argsort(-np.asarray(sift.sigmas))[:KEYPOINTS]
    descriptors = np.asarray(sift.descriptors, dtype=np.float32)[largest]
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return Described(str(path), np.asarray(sift.keypoints)[largest], descriptors)


class Tests:
    """Test images, ready to be compared with one training picture after another.

    Attributes:
        described: their keypoints.
        descriptors: (number, most keypoints, 128), with zeros where a picture has fewer.
    """

    def __init__(self, described: Sequence[Described]) -> None:
        self.described = described
        most = max(len(one.places) for one in described)
        self.descriptors = torch.zeros(len(described), most, 128)
        for row, one in zip(self.descriptors, described, strict=True):
            row[: len(one.places)] = torch.from_numpy(one.descriptors)

    def overlaps(self, training: Described) -> Iterator[Overlap]:
        """The test images that share a part with a training picture."""
        if len(training.places) < INLIERS:
            return
        ours = torch.from_numpy(training.descriptors)
        alike = self.descriptors @ ours.T  # (number, most keypoints, ours)
        best = alike.topk(2, dim=1)
        distances = (2 - 2 * best.values).clamp_min(0).sqrt()
        matched = distances[:, 0] < RATIO * distances[:, 1]
        for number in (matched.sum(1) >= INLIERS).nonzero().flatten().tolist():
            test, kept = self.described[number], matched[number]
            source = training.places[kept.numpy()]
            target = test.places[best.indices[number, 0, kept].numpy()]
            _, inliers = ransac((source, target), SimilarityTransform, 2, 3, max_trials=300, rng=0)
            # one keypoint that many match is no agreement
            agreeing = 0 if inliers is None else len(np.unique(target[inliers], axis=0))
            if agreeing >= INLIERS:
                yield Overlap(training.name, test.name, agreeing)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the overlaps between two sets of folders."""
    parser = argparse.ArgumentParser("python -m benchmarks.overlap", description=__doc__)
    parser.add_argument("training", nargs="+", type=Path, metavar="TRAIN")
    parser.add_argument("--test", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    found, count = [], 0
    with ProcessPoolExecutor(args.jobs) as pool:
        tests = Tests(list(pool.map(describe, _pictures(args.test), chunksize=8)))
        for training in pool.map(describe, _pictures(args.training), chunksize=8):
            count += 1
            for one in tests.overlaps(training):
                found.append(one)
                print(f"{one.training} overlaps {one.test}: {one.keypoints} keypoints agree")
            if count % 100 == 0:
                print(f"{count} training pictures", file=sys.stderr, flush=True)
    print(f"{count} training pictures, {len(tests.described)} test images, {len(found)} overlaps")
    return 1 if found else 0


def _pictures(folders: Sequence[Path]) -> list[Path]:
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    return [path for path in paths if named_as_image(path.name) and path.is_file()]


if __name__ == "__main__":
    sys.exit(main())
