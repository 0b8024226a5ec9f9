"""The Lightning trainer of a configuration, with what this project adds to it."""

import io
import logging
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, cast

import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import (
    BaseFinetuning,
    BatchSizeFinder,
    Checkpoint,
    EarlyStopping,
    GradientAccumulationScheduler,
    LearningRateFinder,
    ModelCheckpoint,
    ModelPruning,
    ProgressBar,
    StochasticWeightAveraging,
    WeightAveraging,
)
from pytorch_lightning.profilers import (
    AdvancedProfiler,
    Profiler,
    PyTorchProfiler,
    SimpleProfiler,
)

from ccsr.atomic import replacing
from ccsr.device import choose_device, has_native_bfloat16
from ccsr.training.average import Average
from ccsr.training.checkpoints import Configuration
from ccsr.training.config import made
from ccsr.training.loggers import build_loggers
from ccsr.training.processes import launch
from ccsr.training.settings import choice, flag, number, whole
from ccsr.training.validation import ValidationSet

log = logging.getLogger(__name__)

# What Lightning's trainer takes and a run here decides itself, or has no use for.
_OURS = {
    "barebones", "callbacks", "check_val_every_n_epoch", "default_root_dir", "enable_checkpointing",
    "enable_model_summary", "enable_progress_bar", "fast_dev_run", "limit_predict_batches",
    "limit_test_batches", "limit_train_batches", "logger", "max_epochs", "min_epochs", "min_steps",
    "model_registry", "overfit_batches", "plugins",
    "reload_dataloaders_every_n_epochs", "sync_batchnorm", "use_distributed_sampler",
}  # fmt: skip
_INSTEAD = {  # what gives the same
    "enable_checkpointing": "give callbacks.checkpoints=null for none",
    "enable_model_summary": "give +callbacks.summary._target_=pytorch_lightning.callbacks."
    "ModelSummary",
    "enable_progress_bar": "give callbacks.lines=null for none",
    "fast_dev_run": "give trainer.max_steps=1 trainer.val_check_interval=1",
    "limit_train_batches": "give trainer.max_steps",
    "max_epochs": "give trainer.max_steps",
    "overfit_batches": "every step draws a batch of its own; to see a network learn one photo by "
    "heart give data.root=PHOTO data.val.root=PHOTO",
}
_HARMFUL: dict[type[Callback], str] = {  # callbacks of Lightning that a run here would not obey
    WeightAveraging: "the average that is validated and kept is that of callbacks.average: give "
    "callbacks.average.decay",
    StochasticWeightAveraging: "the average that is validated and kept is that of "
    "callbacks.average: give callbacks.average.decay",
    GradientAccumulationScheduler: "a run here has one epoch: give trainer.accumulate_grad_batches",
    LearningRateFinder: "the rate is that of the schedule: give module.learning_rate",
    BatchSizeFinder: "give data.batch_size",
    BaseFinetuning: "a run here has one epoch, in which all weights are trained: give init=FILE to "
    "start from another's",
    ModelPruning: "a network whose weights are renamed while it is trained cannot be kept",
}
_STRATEGIES = ("auto", "ddp")
_PRECISIONS = ("auto", "32", "32-true", "bf16", "bf16-mixed")


class AtomicIO(TorchCheckpointIO):
    """Lightning's checkpoint files, written beside their place and renamed.

    Lightning itself moves them there from the system's temporary folder, which on another file
    system is a copy that a kill can cut short.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write `checkpoint` to `path`, whole or not at all.

        Raises:
            OSError: as a sentence; torch's own writer would tell a full disk as a wrong position.
        """
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(content.getbuffer())


def build_trainer(config: Mapping[str, Any], folder: Path, step: int) -> Trainer:
    """The trainer of `config`.

    Args:
        config: all of `conf/train.yaml`, composed.
        folder: of the run.
        step: where it starts.

    Raises:
        ValueError: for a setting that would not be obeyed.
    """
    options = dict(config["trainer"])
    _check_options(options)
    launched = launch()
    if options.get("num_nodes") is None:
        options["num_nodes"] = launched.machines if launched else 1
    if launched and options.get("devices") in (-1, "auto"):
        options["devices"] = launched.local
    named = config["callbacks"].items()
    callbacks = [_callback(f"callbacks.{k}", v) for k, v in named if v is not None]
    if options.get("deterministic"):
        options["benchmark"] = False  # with which cuDNN takes no notice of it
    options["val_check_interval"] *= options["accumulate_grad_batches"]
    precision = options.pop("precision", "auto")
    trainer = cast(
        Trainer,
        made(
            "trainer",
            options,
            precision=resolve_precision(precision, str(options.get("accelerator", "auto"))),
            callbacks=[*callbacks, Configuration(config)],
            logger=build_loggers(config["logger"], folder, step),
            profiler=_profiler(options.pop("profiler", None), folder),
            plugins=[AtomicIO()],
            default_root_dir=str(folder),
            max_epochs=-1,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=options.pop("num_sanity_val_steps", 0),
            use_distributed_sampler=False,
            enable_checkpointing=any(isinstance(each, Checkpoint) for each in callbacks),
            enable_model_summary=False,
            enable_progress_bar=any(isinstance(each, ProgressBar) for each in callbacks),
        ),
    )
    if launched and trainer.world_size != launched.processes:
        raise ValueError(
            f"{launched.name} started {launched.processes} processes, and the configuration has "
            f"{trainer.world_size}: give trainer=ddp, and trainer.devices for each machine"
        )
    return trainer


def _callback(name: str, config: Any) -> Callback:
    """What the settings `name` describe.

    Raises:
        ValueError: if it is no callback, or one that would not be obeyed.
    """
    made_ = made(name, config)
    if not isinstance(made_, Callback):
        raise ValueError(
            f"{name} must be a callback of Lightning, got {type(made_).__module__}."
            f"{type(made_).__qualname__}"
        )
    for kind, instead in _HARMFUL.items():
        if isinstance(made_, kind) and not isinstance(made_, Average):
            raise ValueError(f"{name} cannot be a {kind.__name__}: {instead}")
    watched = made_.monitor if isinstance(made_, EarlyStopping | ModelCheckpoint) else None
    if watched is not None and watched != "step" and not watched.startswith("val/"):
        raise ValueError(
            f"{name}.monitor must be a column of val.csv with val/ before it, such as val/gain, "
            f"got {watched!r}"
        )
    if watched not in (None, "step") and cast(Any, made_).mode == "min":
        raise ValueError(
            f"{name}.mode is min, Lightning's default, and of {watched} more is better: give "
            f"{name}.mode=max"
        )
    return made_


def check_watched(trainer: Trainer, data: object) -> None:
    """See that what the callbacks of a trainer look for will be measured.

    Args:
        trainer: with its callbacks.
        data: what it will train on; what another package's measures is not known.

    Raises:
        ValueError: if one of them waits for a column that `val.csv` will not have.
    """
    validation = getattr(data, "validation", None)
    if not isinstance(validation, ValidationSet):
        return
    known = {f"val/{name}" for name in validation.columns}
    for each in cast(Any, trainer).callbacks:
        watched = getattr(each, "monitor", None)
        if isinstance(watched, str) and watched.startswith("val/") and watched not in known:
            raise ValueError(
                f"a callback, {type(each).__name__}, watches {watched!r}, which this run does not "
                f"measure: expected one of {', '.join(sorted(known))}"
            )


def _check_options(options: Mapping[str, Any]) -> None:
    """Refuse what a run here would not obey.

    Raises:
        ValueError: naming the setting.
    """
    ours = sorted(_OURS & options.keys())
    if ours:
        instead = f": {_INSTEAD[ours[0]]}" if ours[0] in _INSTEAD else ""
        raise ValueError(
            f"trainer.{ours[0]} cannot be set: a run here has one epoch of trainer.max_steps "
            f"steps, its own folder, log and bar{instead}"
        )
    whole("trainer.num_sanity_val_steps", options.get("num_sanity_val_steps", 0), least=0)
    for name in ("benchmark", "detect_anomaly", "deterministic", "inference_mode"):
        value = options.get(name)
        if value is not None and (name, value) != ("deterministic", "warn"):
            flag(f"trainer.{name}", value)
    if options.get("gradient_clip_algorithm", "norm") not in ("norm", None):
        raise ValueError(
            "trainer.gradient_clip_algorithm must be norm, got "
            f"{options['gradient_clip_algorithm']!r}"
        )
    if options.get("gradient_clip_val") is not None:
        number("trainer.gradient_clip_val", options["gradient_clip_val"])
    if options.get("strategy", "auto") not in _STRATEGIES:
        raise ValueError(
            f"trainer.strategy must be one of {', '.join(_STRATEGIES)}, got "
            f"{options['strategy']!r}: the network is small enough to lie whole in each process"
        )
    if options.get("max_time") is not None:
        _check_time(options["max_time"])
    limit = options.get("limit_val_batches")
    if limit is not None and number("trainer.limit_val_batches", limit) == 0:
        raise ValueError(
            "trainer.limit_val_batches=0 would leave out the validation, which decides what is "
            "kept: give data.val.images=1 and a large trainer.val_check_interval"
        )


def _check_time(time: object) -> None:
    """See that a training has time, as Lightning writes it: days, hours, minutes and seconds.

    Raises:
        ValueError: naming the setting.
    """
    if isinstance(time, Mapping):
        try:
            lasts = timedelta(**time) > timedelta()
        except TypeError:
            lasts = False
    else:
        lasts = bool(re.fullmatch(r"\d+(:\d+){3}", str(time)) and re.search("[1-9]", str(time)))
    if not lasts:
        raise ValueError(
            "trainer.max_time must be days, hours, minutes and seconds, such as 00:06:30:00, or "
            f"{{hours: 6, minutes: 30}}, got {time!r}"
        )


def _profiler(name: object, folder: Path) -> Profiler | None:
    """Lightning's profiler of that name, which writes `profile-*` in the run's folder.

    Raises:
        ValueError: for a name that it has not.
    """
    if name is None:
        return None
    choice("trainer.profiler", name, Literal["simple", "advanced", "pytorch"])
    kinds: dict[str, type[Profiler]]
    kinds = {"simple": SimpleProfiler, "advanced": AdvancedProfiler, "pytorch": PyTorchProfiler}
    make: Callable[..., Profiler] = kinds[str(name)]
    return make(dirpath=folder, filename="profile")


def resolve_precision(name: str | int, accelerator: str = "auto") -> str:
    """Lightning's name of a precision; `auto` takes bfloat16 where the device computes in it.

    Raises:
        ValueError: for float16, whose gradients overflow now and then by design, and others that
            nothing here computes in; or if there is no such accelerator here.
    """
    name = str(name)
    if name.startswith("16"):
        raise ValueError(f"trainer.precision cannot be float16, got {name!r}: use auto")
    if name not in _PRECISIONS:
        raise ValueError(f"trainer.precision must be one of {', '.join(_PRECISIONS)}, got {name!r}")
    device = choose_device("cpu" if accelerator == "cpu" else "auto")
    if accelerator in ("gpu", "cuda", "mps") and device.type == "cpu":
        raise ValueError(
            f"trainer.accelerator={accelerator} needs a GPU, and PyTorch sees none here: use auto "
            "or cpu, for a run that is resumed too"
        )
    native = has_native_bfloat16(device)
    if name == "auto":
        return "bf16-mixed" if native else "32-true"
    if name.startswith("bf16") and not native:
        log.warning("this %s has no bfloat16 and emulates it: 32-true is faster", device.type)
    return name
