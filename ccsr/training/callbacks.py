"""What happens beside the training: averaging, checkpoints, progress."""

import logging
import math
import signal
import threading
import time
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, cast

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, RichProgressBar, WeightAveraging
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ccsr.clock import Clock
from ccsr.model import CCSR, checkpoint
from ccsr.training.speed import Meter, Speed
from ccsr.training.task import SRModule

LAST, BEST, FINAL = "last.ckpt", "best.safetensors", "model.safetensors"
log = logging.getLogger(__name__)


class Average(WeightAveraging):
    """Exponential moving average of the weights, used in validation and for what is kept.

    Args:
        decay: per step; in the n-th step at most (1 + n) / (10 + n), so that short runs are
            not dominated by their start.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"callbacks.average.decay must be in [0, 1), got {decay}")
        super().__init__(use_buffers=False)
        self.decay = decay
        self._averages: list[Tensor] = []
        self._weights: list[Tensor] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the average towards the weights, once per step, without waiting for a GPU."""
        step = trainer.global_step
        if step <= self._latest_update_step:  # gradients of this step are still accumulated
            return
        self._latest_update_step = step
        average = cast(AveragedModel, self._average_model)
        if not self._weights:
            self._averages = [p.detach() for p in average.parameters()]
            self._weights = [p.detach() for p in pl_module.parameters()]
        decay = min(self.decay, step / (9 + step)) if step > 1 else 0.0
        torch._foreach_lerp_(self._averages, self._weights, 1 - decay)
        average.n_averaged += 1

    @property
    def network(self) -> CCSR:
        """The averaged network."""
        if self._average_model is None:
            raise RuntimeError("expected a fitted average: call Trainer.fit first")
        module = cast(SRModule, self._average_model.module)
        return module.model


class Checkpoints(Checkpoint):
    """Keeps ``last.ckpt`` to resume from, and ``best.safetensors`` by ``val/gain``.

    ``last.ckpt`` is written every `minutes`, after each validation, at the end, and when the
    process is asked to stop (SIGTERM or Ctrl-C; a second one stops at once), always between two
    steps, validation included. Of several processes all save and stop if one is to.

    Args:
        minutes: between two checkpoints.

    Attributes:
        best: the largest gain so far.
        facts: what ``best.safetensors`` tells of its training, beside its progress.
        validation: settings of the validation that `best` is of, but not where its images lie.
    """

    def __init__(self, minutes: float = 5) -> None:
        if not minutes >= 0:
            raise ValueError(f"callbacks.checkpoints.minutes must not be negative, got {minutes}")
        self.minutes = minutes
        self.best = -math.inf
        self.facts: dict[str, Any] = {}
        self.validation: dict[str, Any] = {}
        self._saved_at = time.monotonic()
        self._asked: int | None = None
        self._stops = False
        self._processes = 1

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remember how many processes train together: a batch has a share of each."""
        self._processes = trainer.world_size

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over Ctrl-C and SIGTERM; Lightning gives them back."""
        self._saved_at = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked is not None:
            self._stop(number)
        self._asked = number

    def _stop(self, number: int | None) -> NoReturn:
        raise KeyboardInterrupt if number == signal.SIGINT else SIGTERMException

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write ``last.ckpt`` if it is time."""
        batches = trainer.fit_loop.total_batch_idx + 1
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
        gain = float(trainer.callback_metrics.get("val/gain", -math.inf))
        if gain > self.best:
            self.best = gain
            if trainer.is_global_zero:
                summary = {**self.facts, **progress_of(trainer)}
                checkpoint.save(Path(trainer.default_root_dir) / BEST, average_of(trainer), summary)
        if trainer.state.fn == TrainerFn.FITTING:
            self._save(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Say how to go on."""
        folder = Path(trainer.default_root_dir)
        if (folder / LAST).exists():
            log.info("stopped; to go on: ccsr train 'resume=%s'", folder)

    def state_dict(self) -> dict[str, Any]:
        """The best gain so far, and on what; how many processes train together."""
        state = {"best": self.best, "validation": self.validation}
        return {**state, "processes": self._processes}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best gain, unless it is one on other scales or crops.

        Raises:
            ValueError: if another number of processes trained until now.
        """
        before = state_dict.get("processes", self._processes)
        if before != self._processes:
            raise ValueError(
                f"the run was trained by {before} processes and would go on with "
                f"{self._processes}, so with other batches: give trainer.devices={before}, or "
                "start a new run from its weights (init=FOLDER/best.safetensors)"
            )
        if state_dict.get("validation", self.validation) == self.validation:
            self.best = state_dict["best"]


def average_of(trainer: Trainer) -> CCSR:
    """The averaged network, or the trained one if nothing averages."""
    for callback in cast(list[Callback], getattr(trainer, "callbacks", [])):
        if isinstance(callback, Average):
            return callback.network
    return cast(CCSR, cast(nn.Module, trainer.lightning_module.model))


def progress_of(trainer: Trainer) -> dict[str, Any]:
    """Steps and last validation, as an inference file tells them."""
    return {"steps": trainer.global_step, "validation": validation_of(trainer.lightning_module)}


def validation_of(module: LightningModule) -> dict[str, float]:
    """The last validation's means, rounded to 0.001 dB."""
    means = module.last_validation if isinstance(module, SRModule) else {}
    return {name: round(mean, 3) for name, mean in means.items()}


class Lines(Callback):
    """Progress and speed: as plain lines, for files and pipes, and in the table ``speed``.

    Args:
        seconds: between two reports.

    Attributes:
        written: whether there are lines; a terminal has a bar instead.
        speed: of the last report, if there was one.
    """

    def __init__(self, seconds: float = 10) -> None:
        self.seconds = seconds
        self.written = True
        self.speed: Speed | None = None
        self._last, self._last_step = 0.0, 0
        self._clock = Clock()
        self._meter: Meter | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        dtype = torch.bfloat16 if "bf16" in str(trainer.precision) else torch.float32
        network = cast(SRModule, pl_module).model
        self._meter = Meter(network, pl_module.device, dtype, trainer.world_size)
        self._last, self._last_step = time.monotonic(), trainer.global_step
        self._clock = Clock(trainer.global_step / trainer.max_steps)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report if it is time."""
        module, meter = cast(SRModule, pl_module), cast(Meter, self._meter)
        meter.count(batch.lr, batch.hr, module.last_effort)
        now, step = time.monotonic(), trainer.global_step
        if now - self._last < self.seconds and step < trainer.max_steps:
            return
        if step == self._last_step:
            return
        waited = getattr(trainer.train_dataloader, "waited", 0.0)
        self.speed = speed = meter.read(step - self._last_step, waited)
        self._last, self._last_step = now, step
        for logger in trainer.loggers:
            logger.log_metrics({f"speed/{k}": v for k, v in speed._asdict().items()}, step)
        if self.written:
            log.info(
                "step %d/%d  loss %.5f  learning rate %.2e  %s  %s left",
                step,
                trainer.max_steps,
                float(module.last_loss),
                trainer.optimizers[0].param_groups[0]["lr"],
                speed,
                self._clock.left(step / trainer.max_steps),
            )

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock of the speed: a validation is no training."""
        if self._meter:
            self._meter.pause()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what the validation found, and leave its time out of the speed."""
        if self._meter:
            self._meter.resume()
        if self.written:
            report_validation(trainer, pl_module)


class Bar(RichProgressBar):
    """Progress as a bar, for terminals.

    Args:
        lines: measures the speed that the bar shows too.
    """

    def __init__(self, lines: Lines | None = None) -> None:
        super().__init__()
        self._lines = lines

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Lightning's, and the pixels per second of the last report."""
        metrics = super().get_metrics(trainer, pl_module)
        if self._lines and self._lines.speed:
            metrics["Mpx/s"] = round(self._lines.speed.pixels_per_second / 1e6, 4)
        return metrics

    @property
    def total_train_batches(self) -> int | float:
        """Batches of the whole run: its only epoch has no end of its own."""
        return self.trainer.max_steps * self.trainer.accumulate_grad_batches

    def _get_train_description(self, current_epoch: int) -> str:
        return "training"

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what the validation found."""
        super().on_validation_end(trainer, pl_module)
        report_validation(trainer, pl_module)


def report_validation(trainer: Trainer, module: LightningModule) -> None:
    """Log one line: ours and bicubic per scale."""
    means = validation_of(module)
    if trainer.sanity_checking or not means:
        return
    pairs = [
        f"{name.removeprefix('psnr_')} {mean:.2f} ({means['bicubic_' + name[5:]]:.2f})"
        for name, mean in means.items()
        if name.startswith("psnr_")
    ]
    log.info("validation, PSNR (bicubic): %s  gain %+.3f dB", "  ".join(pairs), means["gain"])
