"""`ccsr train`: compose a configuration, train, leave one folder with everything in it."""

import logging
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.utilities.exceptions import SIGTERMException

from ccsr.atomic import replacing, sweep
from ccsr.bundled import resource_dir
from ccsr.model import CCSR, checkpoint
from ccsr.training.callbacks import FINAL, LAST, average_of, progress_of
from ccsr.training.config import check_whole, explain, made, plain, quoted, resumed
from ccsr.training.data import PhotoData
from ccsr.training.growth import grow
from ccsr.training.loggers import close, log_to
from ccsr.training.task import SRModule
from ccsr.training.trainer import build_trainer

CONFIG = "config.yaml"
REFUSALS = (ValueError, OSError, RuntimeError, HydraException, OmegaConfBaseException)
log = logging.getLogger("ccsr")


def train(cfg: DictConfig, folder: Path, resume: bool = False) -> dict[str, float]:
    """Train as `cfg` says.

    Args:
        cfg: `conf/train.yaml`, composed.
        folder: of the run; everything that is written lies in it.
        resume: go on from the folder's last checkpoint.

    Returns:
        The last validation: mean PSNR per scale, ours and bicubic's, and the ``gain`` in dB.

    Raises:
        ValueError, OSError: for settings or data that cannot be trained with.
        RuntimeError: if the loss is not finite.
    """
    config = plain(cfg)
    last = folder / LAST
    if last.exists() and not resume:
        raise ValueError(f"{folder} already holds a run: choose another, or resume={folder}")
    check_whole(
        config,
        "trainer.max_steps",
        "trainer.val_check_interval",
        "trainer.accumulate_grad_batches",
        "trainer.log_every_n_steps",
        "data.patch",
        "data.batch_size",
    )
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder, abandoned=0)  # of a checkpoint that a kill cut short
    log_to(folder / "train.log")
    try:
        return _train(config, folder, step_of(last))
    except REFUSALS as error:
        log.error("%s", error, extra={"file_only": True})  # whoever called tells the person
        raise


def _train(config: dict[str, Any], folder: Path, step: int) -> dict[str, float]:
    most = config["trainer"]["max_steps"]
    if step > most:
        raise ValueError(
            f"the run is at step {step} already, beyond trainer.max_steps={most}: give more, or "
            "take its best.safetensors as it is"
        )
    if step:
        log.info("going on at step %d of %d", step, most)
    seed_everything(config["seed"], verbose=False)
    network = made(config["model"])
    if config["init"] is not None and not step:
        start_from(network, config["init"])
    check_kept(network, folder)
    module: SRModule = made(config["module"], model=network)
    trainer = build_trainer(config, folder, step, facts(config))
    data: PhotoData = made(config["data"])
    with replacing(folder / CONFIG) as temporary:
        temporary.write_text(OmegaConf.to_yaml(OmegaConf.create(config)), encoding="utf-8")
    parameters = sum(p.numel() for p in module.parameters())
    log.info("%d parameters, %s, run folder %s", parameters, trainer.precision, folder)
    ckpt_path = folder / LAST if step else None
    try:
        trainer.fit(module, data, ckpt_path=ckpt_path, weights_only=True)
    except SystemExit as stop:
        if trainer.interrupted and not isinstance(stop, SIGTERMException):
            raise KeyboardInterrupt from stop
        raise
    else:
        return finish(trainer, module, data, config)
    finally:
        close(trainer.loggers, failed=sys.exception() is not None)


def start_from(network: CCSR, name: str) -> None:
    """Give `network` the function of the model `name` (or file), which may be a smaller one.

    Raises:
        ValueError: if there is no such model, or its weights have no place in the network.
    """
    path = checkpoint.resolve(name)
    try:
        grow(checkpoint.load(path)[0], network)
    except ValueError as error:
        raise ValueError(
            f"init={name}: its weights do not fit the network that model=... describes: give a "
            f"network that is at least as large in every part, or train without init ({error})"
        ) from error


def check_kept(network: CCSR, folder: Path) -> None:
    """See before the first step that the network can be written and read again.

    Raises:
        ValueError: if it cannot.
    """
    path = folder / f".check-{os.getpid()}{checkpoint.SUFFIX}"
    try:
        checkpoint.save(path, network, {})
        checkpoint.load(path)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            "the network that model=... makes could not be read again from its file, so nothing "
            f"would be left of the training: make it by ccsr.model.build ({error})"
        ) from error
    finally:
        path.unlink(missing_ok=True)


def finish(
    trainer: Trainer, module: SRModule, data: PhotoData, config: Mapping[str, Any]
) -> dict[str, float]:
    """Validate the averaged network once more if needed, and write the inference file."""
    if module.validated_at != trainer.global_step:
        trainer.validate(module, datamodule=data, verbose=False)
    path = Path(trainer.default_root_dir) / FINAL
    if trainer.is_global_zero:
        checkpoint.save(path, average_of(trainer), {**facts(config), **progress_of(trainer)})
        log.info("wrote %s", path)
    return module.last_validation


def facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """What an inference file tells of its training: settings, and no path of this machine."""
    data = config["data"]
    roots = [data["root"]] if isinstance(data["root"], str) else data["root"] or ["samples"]
    keys = ("patch", "batch_size", "reduction", "dots", "scales")
    given = data.get("lr")
    return {
        "data": [Path(root).name for root in roots],
        "lr": given
        and [Path(each).name for each in ([given] if isinstance(given, str) else given)],
        **{key: data[key] for key in keys},
        "seed": config["seed"],
        "data_seed": data["seed"],
        "init": config["init"] and Path(config["init"]).stem,
        "max_steps": config["trainer"]["max_steps"],
        "module": {k: v for k, v in config["module"].items() if k != "_target_"},
    }


def step_of(last: Path) -> int:
    """The step that a training checkpoint holds; 0 if there is no such file.

    Raises:
        ValueError: if the file is damaged.
    """
    if not last.exists():
        return 0
    try:
        return int(
            torch.load(last, map_location="cpu", weights_only=True, mmap=True)["global_step"]
        )
    except (RuntimeError, UnpicklingError, KeyError, EOFError) as error:
        raise ValueError(f"{last} is damaged and cannot be resumed from: {error}") from error


def main() -> None:
    """`ccsr train`: Hydra's command line, or a resumed run."""
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = "--debug" in sys.argv
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us, and we write the sentence
    try:
        failures = _run(arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    except SIGTERMException:
        sys.exit(143)
    except REFUSALS as error:
        failures = [error]
    for failure in failures:
        if debug:
            raise failure
        print(f"ccsr: error: {explain(failure, arguments)}", file=sys.stderr)
    if failures:
        sys.exit(1)


def _run(arguments: Sequence[str]) -> list[Exception]:
    """A resumed run if the arguments say so, else Hydra's; what went wrong in its jobs."""
    folders = [a.partition("=")[2].strip("'\"") for a in arguments if a.startswith("resume=")]
    if folders:
        if not folders[-1]:
            raise ValueError("resume is empty, which would be this folder: give a run's folder")
        rest = [a for a in arguments if not a.startswith("resume=")]
        train(resumed(Path(folders[-1]), rest), Path(folders[-1]), resume=True)
        return []
    failures: list[Exception] = []

    def job(cfg: DictConfig) -> float:
        try:
            return train(cfg, Path(HydraConfig.get().runtime.output_dir))["gain"]
        except REFUSALS as error:
            failures.append(error)  # the other jobs of a sweep go on
            return math.nan

    sys.argv[1:] = [quoted(a) for a in arguments]
    conf = str(resource_dir("conf"))
    hydra.main(version_base="1.3", config_path=conf, config_name="train")(job)()
    return failures


if __name__ == "__main__":
    main()
