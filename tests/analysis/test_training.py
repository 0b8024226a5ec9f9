from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from ccsr.analysis.gradual import architecture
from ccsr.analysis.training import trained
from ccsr.training import train
from ccsr.training.checkpoints import CONFIG, FINAL, LAST
from ccsr.training.config import plain


@pytest.mark.parametrize("started", [False, True])
def test_a_run_that_was_cut_short_goes_on(
    started: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def note(cfg: Any, folder: Path, resume: bool) -> None:
        seen.append((cfg.model.stack.layers, cfg.trainer.max_steps, folder, resume))

    monkeypatch.setattr(train, "train", note)
    folder = tmp_path / "run"
    if started:
        folder.mkdir()
        (folder / LAST).touch()
    assert trained(["trainer.max_steps=7"], folder, architecture(3, 8)) == folder / FINAL
    assert seen == [(3, 7, folder, started)]


@pytest.mark.long
def test_a_run_with_other_settings_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["model=tiny", "trainer.max_steps=7"]

    def write(cfg: Any, folder: Path, resume: bool) -> None:
        folder.mkdir()
        (folder / CONFIG).write_text(OmegaConf.to_yaml(OmegaConf.create(plain(cfg))))
        (folder / FINAL).touch()

    monkeypatch.setattr(train, "train", write)
    folder = tmp_path / "run"
    trained(settings, folder)
    unchanged = "data.cache_mb=2"  # decides no batch
    assert trained([*settings, unchanged], folder) == folder / FINAL
    for setting, key in (
        ("trainer.max_steps=8", r"trainer.max_steps=7, and now it is 8"),
        ("seed=2", r"data.seed=1, and now it is 2"),
        ("model.encoder.blocks=2", r"model.encoder.blocks=1, and now it is 2"),
        ("data.root=elsewhere", r"data.root=None, and now it is .*elsewhere"),
    ):
        with pytest.raises(ValueError, match=rf"run holds a run with {key}: choose another --out"):
            trained([*settings, setting], folder)
