from pathlib import Path

import pytest

from ccsr.analysis import ensembles
from ccsr.analysis.findings import Options
from ccsr.bundled import resource_dir


def test_gains_are_against_the_plain_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensembles, "SCALES", (2.0,))
    monkeypatch.setattr(ensembles, "ENSEMBLES", ("", "scales:1", "flips"))
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
