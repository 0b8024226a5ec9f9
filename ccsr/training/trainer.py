"""The Lightning trainer of a configuration, with what this project adds to it."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning import Callback, Trainer

from ccsr.atomic import replacing
from ccsr.device import choose_device, has_native_bfloat16
from ccsr.training.callbacks import Bar, Checkpoints, Lines
from ccsr.training.config import made
from ccsr.training.loggers import build_loggers

log = logging.getLogger(__name__)

# What Lightning's trainer takes and a run here decides itself, or has no use for.
_OURS = {
    "callbacks", "check_val_every_n_epoch", "default_root_dir", "enable_checkpointing",
    "enable_model_summary", "enable_progress_bar", "limit_train_batches", "logger", "max_epochs",
    "min_epochs", "min_steps", "num_sanity_val_steps", "overfit_batches", "plugins", "profiler",
    "reload_dataloaders_every_n_epochs", "use_distributed_sampler",
}  # fmt: skip
_PRECISIONS = ("auto", "32", "32-true", "bf16", "bf16-mixed")


class AtomicIO(TorchCheckpointIO):
    """Lightning's checkpoint files, written beside their place and renamed.

    Lightning itself moves them there from the system's temporary folder, which on another file
    system is a copy that a kill can cut short.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write `checkpoint` to `path`, whole or not at all."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with replacing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


def build_trainer(
    config: Mapping[str, Any], folder: Path, step: int, facts: Mapping[str, Any]
) -> Trainer:
    """The trainer of `config`.

    Args:
        config: all of `conf/train.yaml`, composed.
        folder: of the run.
        step: where it starts.
        facts: what the inference files that it writes tell of themselves.
    """
    options = dict(config["trainer"])
    ours = sorted(_OURS & options.keys())
    if ours:
        raise ValueError(
            f"trainer.{ours[0]} cannot be set: a run here has one epoch of trainer.max_steps "
            "steps, its own folder, log and bar"
        )
    if options.get("gradient_clip_algorithm", "norm") not in ("norm", None):
        raise ValueError(
            "trainer.gradient_clip_algorithm must be norm, got "
            f"{options['gradient_clip_algorithm']!r}"
        )
    limit = options["gradient_clip_val"]
    if limit is not None and not limit >= 0:
        raise ValueError(f"trainer.gradient_clip_val must not be negative, got {limit}")
    callbacks: list[Callback] = [made(each) for each in config["callbacks"].values()]
    for callback in callbacks:
        if isinstance(callback, Checkpoints):
            callback.facts = dict(facts)
            places = ("root", "subfolder")
            callback.validation = {
                k: v for k, v in config["data"]["val"].items() if k not in places
            }
    terminal = sys.stderr.isatty() and sys.stdout.isatty()
    if terminal:
        lines = next((each for each in callbacks if isinstance(each, Lines)), None)
        if lines:
            lines.written = False
        callbacks.append(Bar(lines))
    options["val_check_interval"] *= options["accumulate_grad_batches"]
    return cast(
        Trainer,
        made(
            options,
            precision=resolve_precision(options["precision"], options["accelerator"]),
            callbacks=callbacks,
            logger=build_loggers(config["logger"], folder, step),
            plugins=[AtomicIO()],
            default_root_dir=str(folder),
            max_epochs=-1,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_model_summary=False,
            enable_progress_bar=terminal,
            _convert_="all",
        ),
    )


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
