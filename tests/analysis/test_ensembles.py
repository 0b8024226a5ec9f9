from pathlib import Path

import pytest
import torch

from ccsr.analysis import ensembles
from ccsr.analysis.findings import Options
from ccsr.bundled import resource_dir
from ccsr.grid import ProjectedGrid
from ccsr.upscaling.upscaler import Upscaler
from foreign import found, saved
from networks import tiny


def test_gains_are_against_the_plain_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensembles, "SCALES", (2.0,))
    monkeypatch.setattr(
        ensembles, "ENSEMBLES", {"": (1, False), "scales:1": (1, False), "flips": (1, True)}
    )
    monkeypatch.setattr(ensembles, "CROP", 64)
    data = resource_dir("samples")
    findings = ensembles.analyse(Options(data=data, limit=2))
    plain, same, flips = findings.records
    assert plain["gain"] == 0
    assert plain["cost"] == 1
    assert same["gain"] == 0
    assert same["psnr"] == plain["psnr"]
    assert flips["psnr"] != plain["psnr"]
    assert flips["images"] == 2
    (heading, line) = findings.tables[0].lines
    assert heading == ["scale", "plain", "scales:1", "flips"]
    assert line[2].startswith("+0.00 (")
    findings.pictures["ensembles.png"](tmp_path / "ensembles.png")
    assert (tmp_path / "ensembles.png").stat().st_size > 5_000


def test_a_network_without_grids_within_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with found(tmp_path, monkeypatch):
        file = saved(tmp_path, "others", network={"name": "others:Whole"})
        options = Options([str(file)], trust=["others"], limit=1)
        with pytest.raises(ValueError, match="got others:Whole, which is a whole of its own"):
            ensembles.analyse(options)


def test_scales_are_the_mean_over_finer_intermediate_grids() -> None:
    model = tiny()
    x = torch.rand(1, 3, 12, 8)
    grid = ProjectedGrid.project((12, 8), (36, 24))
    vias = [ProjectedGrid.project((12, 8), size) for size in ((24, 16), (30, 20), (36, 24))]
    own, friendly = model.route((12, 8), grid)
    assert friendly == vias[0]
    results = [model(x, grid, [own, via])[0] for via in vias]
    expected = torch.stack(results).mean(0).clamp(0, 1).detach()
    averaged = ensembles.Averaged(Upscaler(model, precision="fp32"), 3)
    torch.testing.assert_close(averaged.tensor(x[0], grid=grid), expected, atol=1e-5, rtol=0)
