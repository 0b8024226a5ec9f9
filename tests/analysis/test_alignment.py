import math

import pytest
import torch

from ccsr.analysis import alignment, layers
from ccsr.analysis.alignment import blob, impulses, measured_drift, predicted_drift
from ccsr.analysis.findings import Options


@pytest.mark.parametrize(
    ("layer", "even", "odd"),
    [
        (layers.strided(3), 0.5, 0.0),
        (layers.strided(4), 0.0, 0.5 * 65 / 64),
        (layers.max_pool(), 0.0, 0.5 * 65 / 64),
        (layers.bilinear(0.5, corners=False), 0.0, 0.5 * 65 / 64),
        (layers.bilinear(0.5, corners=True), 0.0, 0.0),
        (layers.transposed(3), -0.25, -0.25),
        (layers.transposed(4), 0.0, 0.0),
        (layers.pixel_shuffle(), 0.0, 0.0),
        (layers.nearest(), 0.0, 0.0),
        (layers.bilinear(2, corners=False), 0.0, 0.0),
        (layers.bilinear(2, corners=True), 0.0, 0.0),
        (layers.continuous(0.5), 0.0, 0.0),
        (layers.continuous(1 / 1.7), 0.0, 0.0),
        (layers.continuous(2), 0.0, 0.0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_drift_of_one_layer_in_the_middle(
    layer: layers.Resizer, even: float, odd: float
) -> None:
    for size, expected in ((64, even), (65, odd)):
        assert math.isclose(predicted_drift([layer], size, (size - 1) / 2), expected, abs_tol=1e-9)


def test_strided_convolutions_double_their_drift_with_every_layer() -> None:
    for depth in range(1, 7):
        for position in (10.0, 511.5, 900.0):
            drift = predicted_drift([layers.strided(3)] * depth, 1024, position)
            assert math.isclose(drift, (2**depth - 1) / 2)


def test_matched_corners_stretch_the_image() -> None:
    """The corner pixel of n is drawn at the corner pixel of n/2: half a pixel of n inwards."""
    layer = layers.bilinear(0.5, corners=True)
    assert math.isclose(predicted_drift([layer], 64, 0.0), 0.5)
    assert math.isclose(predicted_drift([layer], 64, 63.0), -0.5)


@pytest.mark.parametrize("direction", alignment.SIZES)
def test_what_is_measured_is_what_was_predicted(direction: str) -> None:
    for name, stack in alignment.stacks(direction).items():
        for size in (64, 65) if direction != "up" else (24, 25):
            chain = stack(size, 2)
            for position in ((size - 1) / 2, (size - 1) / 2 - 3):
                y = alignment.run(chain, blob(size, position))
                seen = measured_drift(y, size, torch.tensor([position]), torch.ones(1))
                expected = predicted_drift(chain, size, position)
                assert math.isclose(seen, expected, abs_tol=0.1), (name, size, position)


@pytest.mark.parametrize("size", [64, 65])
def test_impulses_lie_around_the_middle_and_drift_as_predicted(size: int) -> None:
    x, columns, weights = impulses(size, 4)
    assert math.isclose(float(weights @ columns), (size - 1) / 2)
    assert math.isclose(float(weights.sum()), 1)
    assert abs(measured_drift(x, size, columns, weights)) < 1e-9
    for layer in (layers.strided(3), layers.strided(4), layers.max_pool(), layers.continuous(0.5)):
        seen = measured_drift(layer.run(x), size, columns, weights)
        expected = predicted_drift([layer], size, (size - 1) / 2)
        assert math.isclose(seen, expected, abs_tol=1e-5), layer.name


@pytest.mark.long
def test_continuous_layers_do_not_move_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "SIZES", {"down and up": (48, 49)})
    monkeypatch.setattr(alignment, "PHOTO_SIZES", {"down and up": (120, 121)})
    monkeypatch.setattr(alignment, "DEPTH", 2)
    findings = alignment.analyse(Options())
    ours = [one for one in findings.records if str(one["name"]).startswith("CC")]
    assert len(ours) == 4
    for record in ours:
        for key in ("predicted", "impulses", "blob", "photo", "predicted_aside"):
            assert math.isclose(float(str(record[key])), 0, abs_tol=0.005), (key, record)
    (table,) = findings.tables
    pooled = [line for line in table.lines if line[:2] == ["max-pool, nearest", "49"]]
    assert pooled[0][2].startswith("0.51 / 0.5")
