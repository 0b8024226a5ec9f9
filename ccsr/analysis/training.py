"""Trainings that an analysis makes, by what `ccsr train` does, and finds again in their folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ccsr.bundled import resource_dir
from ccsr.training.settings import flat


def trained(settings: Sequence[str], folder: Path, model: Mapping[str, Any] | None = None) -> Path:
    """Train in `folder`, or go on there; what is finished is not trained again.

    Args:
        settings: `key=value`, as `ccsr train` takes them.
        folder: of the run.
        model: the network, as :func:`ccsr.model.build` takes it; None for that of the settings.

    Returns:
        The finished network's file.

    Raises:
        ValueError: if the folder holds a run with other settings, or as :func:`train` does.
    """
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from ccsr.training.checkpoints import CONFIG, FINAL, LAST
    from ccsr.training.config import plain
    from ccsr.training.overrides import quoted
    from ccsr.training.train import train

    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        cfg = compose("train", overrides=[*map(quoted, settings)])
    if model is not None:
        cfg.model = OmegaConf.create({"_target_": "ccsr.model.build", **model})
    if (folder / CONFIG).exists():
        _check_same(folder, OmegaConf.to_container(OmegaConf.load(folder / CONFIG)), plain(cfg))
    if not (folder / FINAL).exists():
        begun = (folder / CONFIG).exists() or (folder / LAST).exists()
        train(cfg, folder, resume=begun)
    return folder / FINAL


def _check_same(folder: Path, stored: Any, wanted: Mapping[str, Any]) -> None:
    """Refuse a run whose course, or whose photos, were others.

    Raises:
        ValueError: naming what differs.
    """
    from ccsr.training.config import CHANGEABLE

    old, new = flat(stored), flat(wanted)
    for key in sorted(old.keys() | new.keys()):
        decides = key in ("data.root", "trainer.max_steps") or not CHANGEABLE.match(key)
        if decides and old.get(key) != new.get(key):
            raise ValueError(
                f"{folder} holds a run with {key}={old.get(key)}, and now it is {new.get(key)}: "
                "choose another --out"
            )
