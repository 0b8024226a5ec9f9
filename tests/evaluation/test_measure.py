"""Bicubic's published numbers, which the whole way from file to mean must give."""

import pytest

from ccsr.evaluation.measure import Comparison, measure
from ccsr.evaluation.methods import build
from ccsr.evaluation.results import means
from ccsr.evaluation.testsets import find
from ccsr.protocols import PROTOCOLS

BENCHMARK = PROTOCOLS["benchmark-y"]
PUBLISHED = {
    "Set5": {2: 33.66, 3: 30.39, 4: 28.42},
    "Set14": {2: 30.24, 3: 27.55, 4: 26.00},
    "B100": {2: 29.56, 3: 27.21, 4: 25.96},
}
LISTED = {1.5: 36.81, 2.5: 31.79, 3.5: 29.32, 6: 25.93, 8: 24.40}
LISTED_PAIRS = {(1.5, 4): 30.04, (4, 1.5): 30.77}  # (vertical, horizontal)


def bicubic_means(folder, scales, limit=None):
    testset = find(folder)
    images = [(testset, key) for key in testset.names()[:limit]]
    findings = measure(Comparison(build(["bicubic"], BENCHMARK), scales, BENCHMARK), images)
    assert not findings.left_out
    return {row.scale: row.scores for row in means(findings.records)}


@pytest.mark.parametrize(
    ("testset", "factors"),
    [
        ("Set5", (2, 3, 4)),
        pytest.param("Set14", (2, 3, 4), marks=pytest.mark.long),
        pytest.param("B100", (4,), marks=pytest.mark.long),
    ],
)
def test_bicubic_gives_the_published_numbers(benchmarks, testset, factors):
    found = bicubic_means(benchmarks / "test" / testset, [(float(s), float(s)) for s in factors])
    for s in factors:
        assert found[s, s].psnr == pytest.approx(PUBLISHED[testset][s], abs=0.02)


def test_bicubic_at_non_integer_and_anisotropic_scales(benchmarks):
    expected = {(s, s): psnr for s, psnr in LISTED.items()} | LISTED_PAIRS
    found = bicubic_means(benchmarks / "test" / "Set5", list(expected))
    assert {s: v.psnr for s, v in found.items()} == pytest.approx(expected, abs=0.01)


def test_ssim_of_bicubic_is_as_published(benchmarks):
    found = bicubic_means(benchmarks / "test" / "Set5", [(2.0, 2.0), (4.0, 4.0)])
    assert found[2, 2].ssim == pytest.approx(0.930, abs=0.001)
    assert found[4, 4].ssim == pytest.approx(0.811, abs=0.001)


def test_given_low_resolution_images_score_as_made_ones(benchmarks):
    testset = find(benchmarks / "test" / "Set5")
    images = [(testset, key) for key in testset.names()[:2]]
    plans = [
        Comparison(build(["bicubic"], BENCHMARK), [(3.0, 3.0)], BENCHMARK, lr=lr)
        for lr in (None, benchmarks / "reference")
    ]
    made, given = ([r.scores.psnr for r in measure(plan, images).records] for plan in plans)
    assert made == given
