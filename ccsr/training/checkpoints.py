"""What a run keeps: its configuration, what it resumes from, and its best network."""

import logging
import math
import signal
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, cast

import torch
from omegaconf import OmegaConf
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, Timer
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.exceptions import SIGTERMException

from ccsr.atomic import replacing
from ccsr.model import checkpoint
from ccsr.training.config import foreign_targets
from ccsr.training.data import PhotoData
from ccsr.training.photos import UnreadableError
from ccsr.training.settings import number
from ccsr.training.task import SRModule
from ccsr.training.validation import ValidationSet

CONFIG = checkpoint.CONFIG
LAST, BEST, FINAL = "last.ckpt", "best.safetensors", checkpoint.FINAL
log = logging.getLogger(__name__)


class Checkpoints(Checkpoint):
    """Keeps ``last.ckpt`` to resume from, and ``best.safetensors`` by ``val/gain``.

    ``last.ckpt`` is written every `minutes`, after each validation, at the end, when too many
    pictures turn out to be unreadable, and when the process is asked to stop (SIGTERM or Ctrl-C; a
    second one stops at once), always between two steps, validation included. Of several processes
    all save and stop if one is to.

    Args:
        minutes: between two checkpoints.

    Attributes:
        best: the largest gain so far.
    """

    def __init__(self, minutes: float = 5) -> None:
        self.minutes = number("callbacks.checkpoints.minutes", minutes)
        self.best = -math.inf
        self._validation: ValidationSet | None = None
        self._folder: Path | None = None
        self._saved_at = time.monotonic()
        self._asked: int | None = None
        self._stops = self._ends = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remember what the best is measured on."""
        self._validation = cast(PhotoData, cast(Any, trainer).datamodule).validation
        self._folder = Path(trainer.default_root_dir)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over Ctrl-C and SIGTERM; Lightning gives them back."""
        self._saved_at = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, self._ask)

    def _ask(self, asked: int, frame: FrameType | None) -> None:
        if self._asked is not None:
            self._stop(asked)
        self._asked = asked

    def _stop(self, asked: int | None) -> NoReturn:
        raise KeyboardInterrupt if asked == signal.SIGINT else SIGTERMException

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write ``last.ckpt`` if it is time; a step that begins to be accumulated is finished."""
        batches = trainer.fit_loop.total_batch_idx + 1
        self._ends = self._ends or trainer.should_stop  # as a time limit says, at any batch
        trainer.should_stop = self._ends and not batches % trainer.accumulate_grad_batches
        if batches % trainer.accumulate_grad_batches:
            return
        ends = trainer.should_stop or trainer.global_step >= trainer.max_steps
        every = trainer.val_check_batch
        validates = isinstance(every, int) and batches % every == 0  # and saves after that
        late = time.monotonic() - self._saved_at >= 60 * self.minutes and not validates
        any_process = partial(trainer.strategy.reduce_boolean_decision, all=False)
        self._stops = any_process(self._asked is not None)
        if any_process(self._stops or ends or late):
            self._save(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Stop if asked to; the last step is complete, logged and saved."""
        if self._stops:
            self._stop(self._asked)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop too if asked to in the last step: another run may come after this one."""
        if trainer.strategy.reduce_boolean_decision(self._asked is not None, all=False):
            self._stop(self._asked)

    def _save(self, trainer: Trainer) -> None:
        cast(SRModule, trainer.lightning_module).check_finite()
        trainer.save_checkpoint(Path(trainer.default_root_dir) / LAST)
        self._saved_at = time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write ``best.safetensors`` if the gain is the largest so far; then ``last.ckpt``."""
        if trainer.sanity_checking:
            return
        module = cast(SRModule, pl_module)
        found = module.validation
        if found and found.gain > self.best:
            self.best = found.gain
            if trainer.is_global_zero:
                keep(module, Path(trainer.default_root_dir) / BEST)
        if trainer.state.fn == TrainerFn.FITTING:
            self._save(trainer)
        elif trainer.is_global_zero:
            self._complete(trainer)

    def _complete(self, trainer: Trainer) -> None:
        """Add the validation that ends a training to the ``last.ckpt`` of its last step.

        Another file cannot be made: the weights have become their average by now.
        """
        path = Path(trainer.default_root_dir) / LAST
        if not path.exists():
            return
        saved = torch.load(path, map_location="cpu", weights_only=True)
        if saved["global_step"] == trainer.global_step:
            saved["callbacks"][self.state_key] = self.state_dict()
            cast(SRModule, trainer.lightning_module).on_save_checkpoint(saved)
            trainer.strategy.checkpoint_io.save_checkpoint(saved, path)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Keep what was trained before pictures were missing, and say how to go on."""
        folder = Path(trainer.default_root_dir)
        whole = not (trainer.fit_loop.total_batch_idx + 1) % trainer.accumulate_grad_batches
        alone = trainer.world_size == 1  # other processes would be waited for
        if isinstance(exception, UnreadableError) and alone and whole and trainer.global_step:
            self._save(trainer)
        if (folder / LAST).exists():
            log.info("stopped; to go on: %s", _command(folder))

    def state_dict(self) -> dict[str, Any]:
        """The best gain so far, and on what."""
        settings = self._validation.settings if self._validation else {}
        return {"best": self.best, "validation": settings}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best gain, unless it is one on other images, scales or crops."""
        if self._validation is None or self._validation.is_of(state_dict.get("validation", {})):
            kept = self._folder is None or (self._folder / BEST).exists()
            gone = state_dict["best"] > -math.inf and not kept
            if gone:
                log.info("%s is not there any more: the best is looked for anew", BEST)
            self.best = -math.inf if gone else state_dict["best"]
        else:
            log.info("validation is another than before: the best is looked for anew")


def keep(module: SRModule, path: Path) -> None:
    """Write the network that is kept to an inference file, with what it tells of its training."""
    summary = {**module.facts, "steps": module.global_step}
    if module.validation:
        summary["validation"] = {k: round(v, 3) for k, v in module.validation.metrics().items()}
    checkpoint.save(path, module.kept, summary)


def tell_early(trainer: Trainer) -> None:
    """Say it if a training ended before its last step, by what, and how to go on."""
    if trainer.global_step >= trainer.max_steps:
        return
    what, more = "a callback", ""
    folder, step = Path(trainer.default_root_dir), trainer.global_step
    timed = bool(OmegaConf.select(OmegaConf.load(folder / CONFIG), "trainer.max_time"))
    for each in cast(Any, trainer).callbacks:
        if timed and isinstance(each, Timer) and (each.time_remaining() or 0) <= 0:
            what = "trainer.max_time, which counts from the very first start"
            more = " trainer.max_time=null (or a longer one)"
    log.warning(
        "ended at step %d of %d by %s; to go on: %s%s",
        step, trainer.max_steps, what, _command(folder), more,
    )  # fmt: skip


def _command(folder: Path) -> str:
    """What goes on with the run in a folder; packages that it names are to be named again."""
    others = foreign_targets(OmegaConf.load(folder / CONFIG))
    return " ".join([f"ccsr train 'resume={folder}'", *(f"{key}={name}" for key, name in others)])


class Configuration(Callback):
    """Writes ``config.yaml`` when a training begins: a run that is refused leaves nothing.

    Args:
        config: the configuration.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = dict(config)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it."""
        if trainer.is_global_zero:
            text = OmegaConf.to_yaml(OmegaConf.create(self._config))
            with replacing(Path(trainer.default_root_dir) / CONFIG) as temporary:
                temporary.write_text(text, encoding="utf-8")
