"""Progress and speed: as lines, for files and pipes, or as a bar, for terminals."""

import logging
import sys
import time
from typing import Any, cast

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import RichProgressBar

from ccsr.clock import Clock
from ccsr.training.settings import number
from ccsr.training.speed import Meter, Speed
from ccsr.training.task import SRModule

log = logging.getLogger(__name__)


def display(seconds: float = 10) -> Callback:
    """A bar where standard error is a terminal, else lines, one every few `seconds`."""
    return Bar(seconds) if sys.stderr.isatty() else Lines(seconds)


class Reports:
    """Measures the speed of a training and writes it to the table ``speed`` every few seconds.

    Args:
        trainer: of the training, which begins.
        seconds: between two reports.
    """

    def __init__(self, trainer: Trainer, seconds: float) -> None:
        module = cast(SRModule, trainer.lightning_module)
        dtype = torch.bfloat16 if "bf16" in str(trainer.precision) else torch.float32
        self._meter = Meter(module.model, module.device, dtype, trainer.world_size)
        self._trainer, self._module, self._seconds = trainer, module, seconds
        self._clock = Clock(trainer.global_step / trainer.max_steps)
        self._last, self._last_step = time.monotonic(), trainer.global_step
        self.speed: Speed | None = None

    def count(self, batch: Any) -> bool:
        """Count a batch; whether there is a new report."""
        for each in batch if isinstance(batch, list) else [batch]:
            self._meter.count(each.lr, each.hr, self._module.last_effort)
        now, step = time.monotonic(), self._trainer.global_step
        late = now - self._last >= self._seconds or step >= self._trainer.max_steps
        if not late or step == self._last_step:
            return False
        waited = getattr(self._trainer.train_dataloader, "waited", 0.0)
        self.speed = self._meter.read(step - self._last_step, waited)
        self._last, self._last_step = now, step
        values = {f"speed/{k}": v for k, v in self.speed._asdict().items()}
        for logger in self._trainer.loggers:
            logger.log_metrics(values, step)
        return True

    def pause(self) -> None:
        """A validation begins, which is no training."""
        self._meter.pause()

    def resume(self) -> None:
        """It has ended."""
        self._meter.resume()

    def __str__(self) -> str:
        """The last report in a line."""
        step, steps = self._trainer.global_step, self._trainer.max_steps
        return (
            f"step {step}/{steps}  loss {float(self._module.last_loss):.5f}  learning rate "
            f"{self._trainer.optimizers[0].param_groups[0]['lr']:.2e}  {self.speed}  "
            f"{self._clock.left(step / steps)} left"
        )


class Lines(Callback):
    """Progress as plain lines.

    Args:
        seconds: between two of them.
    """

    def __init__(self, seconds: float = 10) -> None:
        self.seconds = number("callbacks.lines.seconds", seconds)
        self._reports: Reports | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._reports = Reports(trainer, self.seconds)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report if it is time."""
        if self._reports and self._reports.count(batch):
            log.info("%s", self._reports)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        if self._reports:
            self._reports.pause()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what the validation found."""
        if self._reports:
            self._reports.resume()
        report_validation(trainer, pl_module)


class Bar(RichProgressBar):
    """Progress as a bar on standard error, with the pixels per second of the last report.

    Args:
        seconds: between two reports.
    """

    def __init__(self, seconds: float = 10) -> None:
        super().__init__(console_kwargs={"stderr": True})
        self.seconds = number("callbacks.lines.seconds", seconds)
        self._reports: Reports | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        super().on_train_start(trainer, pl_module)
        self._reports = Reports(trainer, self.seconds)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure, then show."""
        if self._reports:
            self._reports.count(batch)
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        super().on_validation_start(trainer, pl_module)
        if self._reports:
            self._reports.pause()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what the validation found."""
        super().on_validation_end(trainer, pl_module)
        if self._reports:
            self._reports.resume()
        report_validation(trainer, pl_module)

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Lightning's, and the pixels per second of the last report."""
        metrics = super().get_metrics(trainer, pl_module)
        if self._reports and self._reports.speed:
            metrics["Mpx/s"] = round(self._reports.speed.pixels_per_second / 1e6, 4)
        return metrics

    @property
    def total_train_batches(self) -> int | float:
        """Batches of the whole run: its only epoch has no end of its own."""
        return self.trainer.max_steps * self.trainer.accumulate_grad_batches

    def _get_train_description(self, current_epoch: int) -> str:
        return "training"


def report_validation(trainer: Trainer, module: LightningModule) -> None:
    """Log ours and bicubic per scale, a line per set."""
    found = None if trainer.sanity_checking else cast(SRModule, module).validation
    for line in found.lines() if found else ():
        log.info("validation, %s", line)
