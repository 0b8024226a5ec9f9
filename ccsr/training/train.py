"""`ccsr train`: compose a configuration, train, leave one folder with everything in it."""

import logging
import math
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.utilities.exceptions import SIGTERMException

from ccsr.atomic import sweep
from ccsr.bundled import resource_dir
from ccsr.terminal import say, shown
from ccsr.training.checkpoints import CONFIG, FINAL, LAST, keep, tell_early
from ccsr.training.config import check_whole, is_of, made, network_of, plain, resumed, trusted
from ccsr.training.data import PhotoData
from ccsr.training.folder import (
    Past,
    accumulated,
    check_free,
    existing,
    held,
    past_of,
    remove_empty,
)
from ccsr.training.loggers import LOG, close, log_to
from ccsr.training.obeyed import check_heard, check_obeyed, check_roots
from ccsr.training.overrides import explain, for_hydra
from ccsr.training.processes import launch, rank, restarted, started
from ccsr.training.settings import whole
from ccsr.training.start import check_kept, start_from
from ccsr.training.task import SRModule
from ccsr.training.trainer import build_trainer, check_watched

_PATIENCE = 20  # seconds: a launcher ends all processes with the first, which tells and tidies up
RUNS = "runs"  # where Hydra makes the folders of runs unless it is told otherwise
SWEEP = "multirun.yaml"  # what it writes in a sweep's
REFUSALS = (
    ValueError, OSError, RuntimeError, MemoryError, HydraException, OmegaConfBaseException,
    MisconfigurationException,
)  # fmt: skip
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
        ValueError, OSError: for settings or data that cannot be trained with, or a folder that
            another process trains in, or that holds what a new run would overwrite.
        RuntimeError: if the loss is not finite.
    """
    config = plain(cfg)
    before, first = existing(folder), rank() == 0
    if first and not resume:
        check_free(folder)
    check_whole(
        config,
        "trainer.max_steps",
        "trainer.val_check_interval",
        "trainer.accumulate_grad_batches",
        "trainer.log_every_n_steps",
        "data.patch",
        "data.batch_size",
    )
    past = past_of(folder / LAST)
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder) if first else nullcontext():
        logged = (folder / LOG).exists()
        if first:
            sweep(folder, abandoned=0)  # of a checkpoint that a kill cut short
        log_to(folder / LOG if first else None)
        try:
            return _train(config, folder, past)
        except REFUSALS as error:
            log.error("%s", error, extra={"file_only": True})  # whoever called tells the person
            raise
        finally:
            if first and not (folder / CONFIG).exists():  # it never began
                log_to(None)
                if not logged:
                    (folder / LOG).unlink(missing_ok=True)
                remove_empty(folder, before)


def _train(config: dict[str, Any], folder: Path, past: Past) -> dict[str, float]:
    most, step = config["trainer"]["max_steps"], past.step
    if step > most:
        raise ValueError(
            f"the run is at step {step} already, beyond trainer.max_steps={most}: give more, or "
            "take its best.safetensors as it is"
        )
    if step == most:
        log.info("all %d steps are done already: what they led to is written again", most)
    elif step:
        log.info("going on at step %d of %d", step, most)
    seed_everything(config["seed"], verbose=False)
    trust = trusted(config)
    network = network_of(config["model"], trust)
    if config["init"] is not None and not step:
        start_from(network, config["init"], trust)
    told = facts(config)
    if rank() == 0:
        check_kept(network, folder, told, trust)
    module: SRModule = made("module", config["module"], model=network, facts=told)
    trainer = build_trainer(config, folder, step)
    before = trainer.world_size * trainer.accumulate_grad_batches
    if past.batches and past.batches != before:
        more = accumulated(past.batches, trainer.world_size)
        log.info("%d processes, each adds up %d batches for a step", trainer.world_size, more)
        config["trainer"]["accumulate_grad_batches"] = more
        trainer = build_trainer(config, folder, step)
    data: PhotoData = made("data", config["data"])
    check_watched(trainer, data)
    parameters = sum(p.numel() for p in module.parameters())
    log.info("%d parameters, %s, run folder %s", parameters, trainer.precision, folder)
    ckpt_path = folder / LAST if step else None
    try:
        trainer.fit(module, data, ckpt_path=ckpt_path, weights_only=True)
        return finish(trainer, module, data)
    except ModuleNotFoundError as error:  # that a callback asks for when it begins
        raise RuntimeError(f"{error}".strip()) from error
    except SystemExit as stop:
        if trainer.interrupted and not isinstance(stop, SIGTERMException):
            raise KeyboardInterrupt from stop
        raise
    finally:
        close(trainer.loggers, failed=sys.exception() is not None)


def finish(trainer: Trainer, module: SRModule, data: PhotoData) -> dict[str, float]:
    """Validate the averaged network once more if needed, and write the inference file."""
    if module.validation is None or module.validation.step != trainer.global_step:
        trainer.validate(module, datamodule=data, verbose=False)
    path = Path(trainer.default_root_dir) / FINAL
    if trainer.is_global_zero:
        keep(module, path)
        log.info("wrote %s", path)
        tell_early(trainer)
    return module.validation.metrics() if module.validation else {}


def facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """What an inference file tells of its training: settings, and no path of this machine."""
    data = config["data"]
    roots = [data["root"]] if isinstance(data["root"], str) else data["root"] or ["samples"]
    keys = ("patch", "batch_size", "reduction", "dots", "scales")
    given = data.get("lr")
    return {
        "data": _names(roots),
        "lr": given and _names([given] if isinstance(given, str) else given),
        **{key: data[key] for key in keys},
        "degradation": data.get("degradation"),
        "seed": config["seed"],
        "data_seed": data["seed"],
        "init": config["init"] and shown(Path(config["init"]).stem),
        "max_steps": config["trainer"]["max_steps"],
        "module": {k: v for k, v in config["module"].items() if k != "_target_"},
    }


def _names(paths: Sequence[str]) -> list[str]:
    """The last part of each, as text: a name may be bytes that are no letters anywhere."""
    return [shown(Path(path).name) for path in paths]


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
        which = f"process {rank()}: " if rank() else ""
        say(f"ccsr: error: {which}{explain(failure, arguments)}")
    if failures:
        if rank():
            time.sleep(_PATIENCE)
        sys.exit(1)


def _run(arguments: Sequence[str]) -> list[Exception]:
    """A resumed run if the arguments say so, else Hydra's; what went wrong in its jobs."""
    for name in ("resume", "hydra.run.dir", "hydra.sweep.dir"):
        if "" in _given(arguments, name):
            raise ValueError(f"{name} is empty, which would be this folder: give a run's folder")
    folders = _given(arguments, "resume")
    if folders:
        rest = [a for a in arguments if not a.startswith("resume=")]
        folder = Path(os.path.expanduser(folders[-1]))  # noqa: PTH111 - Path's raises for some
        train(resumed(folder, rest), folder, resume=True)
        return []
    failures: list[Exception] = []
    OmegaConf.register_new_resolver("started", started, replace=True)
    arguments = [a.replace("${now:", "${started:") for a in for_hydra(arguments)]
    places = [a.partition("=")[2] for a in arguments if re.match(r"hydra\.(run|sweep)\.dir=", a)]
    before = existing(Path(RUNS))
    for place in places:
        before |= existing(Path(place.strip("'\"").partition("${")[0]))

    def job(cfg: DictConfig) -> float:
        folder = Path(HydraConfig.get().runtime.output_dir)
        try:
            _check_here()
            check_obeyed(cfg)
            check_roots(cfg)
            check_heard(cfg, HydraConfig.get().overrides.task)
            _check_agreed(cfg)
            return train(cfg, folder, resume=restarted() and is_of(folder, cfg))["gain"]
        except REFUSALS as error:
            failures.append(error)  # the other jobs of a sweep go on
            remove_empty(folder, before)  # which Hydra made
            files = list(folder.parent.iterdir()) if folder.parent.exists() else []
            if HydraConfig.get().mode == RunMode.MULTIRUN and [f.name for f in files] == [SWEEP]:
                files[0].unlink()
                remove_empty(folder.parent, before)
            return math.nan

    sys.argv[1:] = arguments
    conf = str(resource_dir("conf"))
    hydra.main(version_base="1.3", config_path=conf, config_name="train")(job)()
    return failures


def _given(arguments: Sequence[str], name: str) -> list[str]:
    """What is said for one name, as Hydra reads it."""
    return [a.partition("=")[2].strip("'\"") for a in arguments if a.startswith(f"{name}=")]


def _check_here() -> None:
    """See that relative paths begin where the command was given, as its other checks take them.

    Raises:
        ValueError: if Hydra has gone into the run's folder.
    """
    if HydraConfig.get().job.chdir:
        raise ValueError(
            "hydra.job.chdir=true would make data.root and other relative paths begin in the run's "
            "folder: leave it out; all that a run writes lies there anyway"
        )


def _check_agreed(cfg: DictConfig) -> None:
    """See that all machines write one folder, also where nobody started them together.

    Raises:
        ValueError: if each would choose its own.
    """
    named = any(a.startswith("hydra.run.dir=") for a in HydraConfig.get().overrides.hydra)
    machines = cfg.trainer.get("num_nodes")
    several = machines is not None and whole("trainer.num_nodes", machines) > 1
    if several and not launch() and not named:
        raise ValueError(
            "machines that are not started by torchrun or srun need one folder for all: give each "
            "the same hydra.run.dir=FOLDER"
        )


if __name__ == "__main__":
    main()
