from pathlib import Path

import pytest
import torch

from ccsr.analysis import effort
from ccsr.analysis.findings import Options
from ccsr.bundled import resource_dir
from ccsr.model import build, checkpoint

FIELD = {"name": "fourier", "kernel_size": 3, "basis": 4}
STACK = {"name": "friendly", "channels": 6, "field": FIELD}


def saved(folder: Path, name: str) -> str:
    torch.manual_seed(0)
    encoder = {"name": name, "channels": 6, "blocks": 1}
    model = build(
        encoder | ({"field": FIELD} if name == "elastic" else {}), STACK, {"name": "identity"}
    )
    path = folder / f"{name}.safetensors"
    checkpoint.save(path, model, {})
    return str(path)


def test_between_methods_lies_a_mixture() -> None:
    fixed = [(30.0, 1.0), (34.0, 3.0)]
    assert effort.best_within(fixed, 1.0) == 30
    assert effort.best_within(fixed, 2.0) == 32
    assert effort.best_within(fixed, 2.5) == 33
    assert effort.best_within(fixed, 9.0) == 34
    assert effort.best_within([*fixed, (29.0, 2.0)], 2.0) == 32  # slower and worse: never taken


def test_all_efforts_are_measured_against_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effort, "SCALES", (2.0,))
    monkeypatch.setattr(effort, "CROP", 64)
    models = (saved(tmp_path, "elastic"), saved(tmp_path, "light"))
    findings = effort.analyse(Options(models, resource_dir("samples"), limit=1))
    bicubic, *dial, light = findings.records
    assert [round(float(str(each["effort"])), 2) for each in dial] == [0.25, 0.44, 0.56, 0.69, 1]
    assert [each["model"] for each in (bicubic, light)] == ["bicubic", "light"]
    for each in dial:  # a new network is bicubic
        assert each["psnr"] == pytest.approx(bicubic["psnr"], abs=1e-3)
        assert each["ahead"] == pytest.approx(0, abs=1e-2)
        assert each["choice"]
    assert bicubic["ahead"] == 0
    heading, first, second, *_ = findings.tables[0].lines
    assert heading == ["network, effort", "x2"]
    assert first[0] == "bicubic"
    assert second[0] == "elastic at 0.25"
    findings.pictures["effort.png"](tmp_path / "effort.png")
    assert (tmp_path / "effort.png").stat().st_size > 5_000


def test_without_a_dial_there_is_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"expected a network with an elastic encoder, got .*light"
    ):
        effort.measure([saved(tmp_path, "light")], [], 2.0)
