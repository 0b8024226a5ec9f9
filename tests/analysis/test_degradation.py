from pathlib import Path

import pytest

from ccsr.analysis import degradation
from ccsr.analysis.findings import Options
from ccsr.bundled import resource_dir


@pytest.mark.long
def test_degradations_are_measured_and_auto_takes_the_network_that_suits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chains = ("none", "jpeg:40", "jpeg:75", "noise:5")
    monkeypatch.setattr(degradation, "CHAINS", chains)
    findings = degradation.analyse(
        Options(("light", "photo"), data=resource_dir("samples"), limit=1)
    )
    psnr = {(r["degrade"], r["model"]): r["psnr"] for r in findings.records}
    assert psnr["none", "auto"] == psnr["none", "light"] > psnr["none", "photo"]
    for chain in chains[1:]:
        assert psnr[chain, "auto"] == psnr[chain, "photo"] > psnr[chain, "light"]
    least = {(r["degrade"], r["model"]): r["least"] for r in findings.records}
    assert least["jpeg:40", "photo"] > 0 > least["jpeg:40", "light"]
    table, worst = findings.tables
    assert table.lines[0] == ["", "bicubic", "lanczos", "light", "photo", "auto"]
    assert [line[0] for line in worst.lines[1:]] == list(chains)
    for name, draw in findings.pictures.items():
        draw(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5_000


def test_without_both_networks_there_is_no_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(degradation, "CHAINS", ("jpeg:40",))
    found = degradation.analyse(Options(("light",), data=resource_dir("samples"), limit=1))
    assert {r["model"] for r in found.records} == {"bicubic", "lanczos", "light"}


def test_an_image_that_cannot_be_measured_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(degradation, "CHAINS", ("none",))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="leave that image out of --data"):
        degradation.analyse(Options(("light",), data=tmp_path))
