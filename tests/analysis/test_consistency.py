from pathlib import Path

import pytest
import torch
from torch import Tensor

from ccsr.analysis import consistency
from ccsr.analysis.findings import Options
from ccsr.evaluation.methods import Method, build
from ccsr.grid import Size
from ccsr.protocols import by_name

BICUBIC, LANCZOS = build(["bicubic", "lanczos"], by_name("liif-rgb"))


def low_resolution() -> Tensor:
    return consistency.low_resolution(None)[:, 40:72, 40:72]


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0, 2.5])
def test_fixed_kernels_give_the_same_at_the_same_positions(scale: float) -> None:
    for method in (BICUBIC, LANCZOS):
        assert consistency.same_positions(method, low_resolution(), scale) > consistency.EXACT


def test_values_that_depend_on_the_scale_are_seen() -> None:
    def brighter(lr: Tensor, size: Size) -> Tensor:
        return BICUBIC.upscale(lr, size) + 0.01 * size[0] / lr.shape[-1]

    method = Method("brighter", brighter)
    lr = low_resolution()
    seen = consistency.same_positions(method, lr, 2.0)  # 0.06 against 0.02
    assert seen == pytest.approx(-20 * torch.tensor(0.04).log10().item(), abs=0.01)
    assert consistency.back(method, lr, 2.0) < consistency.back(BICUBIC, lr, 2.0)


def test_at_scale_1_bicubic_is_the_input() -> None:
    assert consistency.back(BICUBIC, low_resolution(), 1.0) > consistency.EXACT
    assert 30 < consistency.back(BICUBIC, low_resolution(), 3.0) < consistency.EXACT


def test_the_tables_and_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consistency, "SCALES", (1.0, 2.0, 4.0))
    monkeypatch.setattr(consistency, "SHARED", (1.0,))
    monkeypatch.setattr(consistency, "SIDE", 32)
    findings = consistency.analyse(Options())
    shared, returned = findings.tables
    assert shared.lines[0] == ["scale", "bicubic", "lanczos", "light@4+lanczos", "light"]
    assert shared.lines[1][:3] == ["1", "same", "same"]
    assert 20 < float(shared.lines[1][4]) < 50
    assert [line[0] for line in returned.lines[1:]] == ["1", "2", "4"]
    assert len(findings.records) == 12
    findings.pictures["consistency.png"](tmp_path / "consistency.png")
    assert (tmp_path / "consistency.png").stat().st_size > 10_000
