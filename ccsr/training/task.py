"""The training task: loss, optimizer, schedule and validation of a network."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, cast

import numpy as np
import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from ccsr.grid import ProjectedGrid, as_pair, size_of
from ccsr.model import Network
from ccsr.model.registry import is_path
from ccsr.model.whole import check_shape
from ccsr.resample import resize
from ccsr.training.batches import Batch
from ccsr.training.finite import Finite
from ccsr.training.loss import PLAIN, Loss, Plain, Relative, checked, foreign, plain, relative
from ccsr.training.optimizer import Kind, build_optimizer
from ccsr.training.recorded import RecordedSteps, blocks_of
from ccsr.training.schedule import Rate, Schedule
from ccsr.training.settings import choice, flag, number, numbers
from ccsr.training.validation import (
    Item,
    ScaleMean,
    Validation,
    ValidationSet,
    as_float,
    quantised,
    score,
)

log = logging.getLogger(__name__)


class SRModule(LightningModule):
    """Trains a network on pairs of patches.

    Args:
        model: see :class:`ccsr.model.Network`. One that can work with different efforts gets one
            at random in each step, as a pure function of the step.
        loss: ``rmse`` or ``l1`` over red, green, blue and three times luma, of each patch in
            proportion to bicubic's on it: the mean PSNR over images counts them so, and else
            large scales and busy patches would lead. Beyond an error of 1, which only a network
            that explodes makes, its logarithm counts. ``plain_l1`` and ``charbonnier`` are means
            over all values, as papers have them. ``package.module:function`` names one of another
            package: of what the network gives and the target, (N, 3, H, W), to a scalar.
        optimizer: ``muon``: :class:`ccsr.training.optimizer.Muon` moves the filters, Adam the rest;
            ``adamw`` or ``adam`` moves all.
        learning_rate: at the end of the warm-up.
        schedule, decay, milestones, gamma, warmup: see :class:`ccsr.training.schedule.Rate`.
        momentum: of Muon.
        betas: of Adam.
        weight_decay: of the filters, apart from the gradient; ``adam`` has none.
        replay: whether a GPU gets each step as a few recordings of its operations (CUDA graphs, one
            per shape) instead of one operation after the other. One process only.
        compile: whether those of the residual blocks, where most of the time goes, are fused first
            (`torch.compile`): faster, after some 15 seconds at the start.
        facts: what the inference files tell of the training.

    Attributes:
        average: of the weights, if there is one: what is kept instead of them.
        validation: the last one.

    Raises:
        ValueError: for an unknown loss or schedule, or a number out of its range.
    """

    def __init__(
        self,
        model: Network,
        loss: Loss | str = "rmse",
        optimizer: Kind = "muon",
        learning_rate: float = 5e-4,
        schedule: Schedule = "cosine",
        decay: float = 0.2,
        milestones: Sequence[float] = (0.5, 0.75),
        gamma: float = 0.5,
        warmup: int = 500,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.1,
        replay: bool = True,
        compile: bool = False,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._foreign_loss: Callable[..., Tensor] | None = None
        if is_path(loss):
            self._foreign_loss = foreign(loss)
        else:
            choice("module.loss", loss, Loss)
        choice("module.optimizer", optimizer, Kind)
        if optimizer == "adam" and weight_decay != 0:
            raise ValueError(
                f"module.optimizer=adam has no weight decay, got module.weight_decay={weight_decay}"
                ": give module.weight_decay=0, or module.optimizer=adamw"
            )
        self.rate = Rate(schedule, warmup, decay, milestones, gamma)
        number("module.learning_rate", learning_rate)
        number("module.weight_decay", weight_decay)
        flag("module.replay", replay)
        flag("module.compile", compile)
        number("module.momentum", momentum, "[0, 1)")
        first, second = numbers("module.betas", betas, "[0, 1)", count=2)
        betas = first, second
        self.save_hyperparameters(ignore=["model", "facts"])
        self.model = model.to(memory_format=torch.channels_last)
        self.loss, self.optimizer, self.learning_rate = loss, optimizer, learning_rate
        self.momentum, self.betas, self.weight_decay = momentum, betas, weight_decay
        self.replay, self.compiles = replay, compile
        self.last_loss = torch.tensor(math.nan)
        self.last_effort = 1.0
        self._finite = Finite()
        self._recorded: RecordedSteps | None = None
        self._trained = list(self.parameters())
        self.facts, self.average = dict(facts or {}), cast(_Average | None, None)
        self.validation: Validation | None = None
        self._scores: list[ScaleMean] = []

    @property
    def kept(self) -> Network:
        """The network that is written to inference files."""
        return self.average.network if self.average else self.model

    def forward(
        self,
        x: Tensor,
        grid: ProjectedGrid,
        effort: float = 1.0,
        quality: Tensor | None = None,
    ) -> Tensor:
        """Read images at `grid`.

        Args:
            x: (N, 3, h, w), uint8 or float in [0, 1].
            grid: laid over (h, w).
            effort: share of the network's work.
            quality: (N,), of the JPEGs that they were, 0 for none; what is not conditioned on it is
                not told.

        Returns:
            (N, 3, H, W), float32.
        """
        x = as_float(x).contiguous(memory_format=torch.channels_last)
        told = (quality,) if self.model.conditioned else ()
        sr: Tensor = self.model(x, grid, self.model.route(size_of(x), grid, effort), *told)
        check_shape(self.model, sr, (len(x), 3, *grid.size))
        return sr.float()

    def on_train_start(self) -> None:
        """Take the rate that the schedule says by now, and prepare what recordings on a GPU need.

        Where nothing is recorded nothing is fused either, which is said; so is a network that could
        be told the quality of JPEGs where none is told.

        A run that is prolonged or gets another schedule was saved with the rate of the old one.
        """
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = group["initial_lr"] * self._factor(self.global_step)
        if self.model.conditioned and not getattr(self._data, "tells", True):
            log.warning(
                "the network is conditioned on the quality of JPEGs, and no batch tells it one: "
                "give data/degradation=jpeg or photo with data.degradation.told above 0, or "
                "model.encoder.conditioned=false"
            )
        if self.replays:
            blocks = blocks_of(self.model) if self.compiles else None
            self._recorded = RecordedSteps(self._trained, self._accumulated, blocks)
        else:
            self._recorded = None
            if self.compiles:
                log.warning(
                    "module.compile=true changes nothing here: what it fuses are steps that are "
                    "recorded, on one GPU, with module.replay=true and a scale for each batch"
                )

    @property
    def _accumulated(self) -> int:
        """Batches whose gradients make a step."""
        return int(self.trainer.accumulate_grad_batches)

    @property
    def replays(self) -> bool:
        """Whether steps are recorded and replayed: on one GPU, if it is wanted.

        Not where `trainer.detect_anomaly` is to look at each operation, or where each sample has a
        scale of its own: a recording is of one scale.
        """
        trainer = cast(Any, self.trainer)
        alone = self.device.type == "cuda" and trainer.world_size == 1
        alike = not getattr(self._data, "singles", None)
        return self.replay and alone and alike and not trainer._detect_anomaly

    def training_step(self, batch: Batch | list[Batch], batch_idx: int) -> Tensor:
        """Loss of one batch, or the mean of several of equal size, that may have other scales.

        It is 1 where the network is as good as bicubic.

        Raises:
            RuntimeError: if the loss is not finite.
        """
        effort = self.last_effort = draw_effort(self.model.efforts, self.global_step)
        loss_of = partial(self._loss_of, effort)
        if isinstance(batch, list):
            loss = torch.stack([loss_of(*each) for each in batch]).mean()
        elif self._recorded is None:
            loss = loss_of(*batch)
        else:
            key = batch[0].shape, batch[1].shape, effort
            loss = self._recorded.loss(key, loss_of, *batch)
        self.last_loss = loss.detach()
        self._watch("loss", self.last_loss)
        return loss

    def _loss_of(
        self, effort: float, lr: Tensor, hr: Tensor, quality: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch; those of other packages may be of two parts."""
        told = {"quality": quality} if self.model.conditioned else {}
        return self.loss_of(lr, hr, effort, **told)

    def loss_of(
        self, lr: Tensor, hr: Tensor, effort: float = 1.0, quality: Tensor | None = None
    ) -> Tensor:
        """The loss of patches, the parts of a :class:`ccsr.training.batches.Batch`: a scalar.

        Args:
            lr: (N, 3, h, w).
            hr: (N, 3, H, W).
            effort: share of the network's work.
            quality: (N,), for a network that is conditioned on it.
        """
        grid = ProjectedGrid.project(size_of(lr), size_of(hr))
        sr, hr = self(lr, grid, effort, quality), as_float(hr)
        if self._foreign_loss is not None:
            return checked(self._foreign_loss, sr, hr, self.loss)
        if self.loss in PLAIN:
            return plain(sr, hr, cast(Plain, self.loss))
        return relative(sr, hr, resize(as_float(lr), grid), cast(Relative, self.loss))

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Compute the gradients, or add those that a recording has found."""
        if self._recorded is None:
            super().backward(loss, *args, **kwargs)
        else:
            self._recorded.backward()

    def optimizer_zero_grad(
        self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer
    ) -> None:
        """Forget the gradients; recordings may keep their places."""
        if self._recorded is None:
            optimizer.zero_grad()
        else:
            self._recorded.zero_grad(optimizer)

    def _watch(self, what: str, value: Tensor) -> None:
        """See that a value is finite: at once, or on a GPU when its step is reported."""
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self._finite.add(what, self.global_step, rate, value)
        if self.device.type == "cpu" or self.reports:
            self.check_finite()

    @property
    def reports(self) -> bool:
        """Whether this step is one that goes to the tables: one of every few, and the last."""
        every, step = int(cast(Any, self.trainer).log_every_n_steps), self.global_step + 1
        return step % every == 0 or step == self.trainer.max_steps

    def check_finite(self) -> None:
        """Raise RuntimeError if a loss or gradient since the last call was not finite.

        Nothing is saved without it, so that weights which such a gradient reached never are.
        """
        self._finite.check()

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm, see that it is finite, and report the step."""
        limit = float(gradient_clip_val or math.inf)  # 0 means no limit too, as in Lightning
        if self._recorded is None:
            norm = nn.utils.clip_grad_norm_(self._trained, limit)
        else:
            norm = self._recorded.clip(limit)
        self._watch("gradient", norm)
        if not self.reports:
            return
        values = {
            "train/loss": float(self.last_loss),
            "train/learning_rate": optimizer.param_groups[0]["lr"],
            "train/gradient_norm": float(norm),
        }
        for logger in self.trainer.loggers:
            logger.log_metrics(values, self.global_step + 1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer, and the schedule over `trainer.max_steps`."""
        optimizer = build_optimizer(
            self.model,
            self.optimizer,
            self.learning_rate,
            self.momentum,
            self.betas,
            self.weight_decay,
            self.replays,
        )
        schedule = LambdaLR(optimizer, self._factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _factor(self, step: int) -> float:
        """Of the learning rate at a step of this run."""
        return self.rate.factor(step, self.trainer.max_steps)

    def on_validation_model_zero_grad(self) -> None:
        """Keep the places of gradients that recordings know: Lightning would free them here."""
        if self._recorded is None:
            super().on_validation_model_zero_grad()

    def on_validation_start(self) -> None:
        """What is validated may be saved: no step that led to it may be unchecked."""
        self.check_finite()

    def validation_step(self, batch: Item, batch_idx: int) -> Tensor:
        """The 8-bit result (1, 3, H, W); its PSNR and bicubic's are kept for the epoch's end."""
        quality = torch.tensor([batch.quality], device=batch.lr.device)
        sr = quantised(self(batch.lr, batch.grid, quality=quality))
        found = score(sr, batch.hr, batch.scale)
        self._scores.append(ScaleMean(batch.kind, as_pair(batch.scale), found, batch.bicubic))
        return sr

    def on_validation_epoch_end(self) -> None:
        """Log the means per set and scale, and ``val/gain``: ours less bicubic.

        Of a validation of a few images that only shows that it works nothing is told.
        """
        if self.trainer.sanity_checking:
            self._scores.clear()
            return
        self.validation = Validation.of(self.global_step, self._scores)
        self._scores.clear()
        self.log("step", float(self.global_step), sync_dist=True)
        metrics = {f"val/{name}": mean for name, mean in self.validation.metrics().items()}
        self.log_dict(metrics, sync_dist=True)

    @property
    def _data(self) -> Any:
        return getattr(self.trainer, "datamodule", None)

    @property
    def _validated_on(self) -> ValidationSet:
        return cast(ValidationSet, self._data.validation)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the last validation, and how many batches make a step."""
        share = {"processes": self.trainer.world_size, "accumulated": self._accumulated}
        checkpoint["batches"] = share
        if self.validation:
            means = [tuple(mean) for mean in self.validation.means]
            step, settings = self.validation.step, self._validated_on.settings
            checkpoint["validation"] = {"step": step, "means": means, "settings": settings}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the last validation; one on other images, or at other scales, is made again.

        Where another number of processes shares a step's batches, the trainer's count of them, of
        each process, is brought in line.
        """
        before = checkpoint.get("batches", {}).get("accumulated", self._accumulated)
        if before != self._accumulated:
            progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
            for counts in (progress["total"], progress["current"]):
                behind = counts["ready"] - counts["completed"]  # in the batch that was saved
                for name in counts:
                    counts[name] = counts["ready"] * self._accumulated // before
                counts["completed"] -= behind
        saved = checkpoint.get("validation", {})
        alike = self._validated_on.is_of(saved.get("settings", {}))
        if isinstance(saved.get("means"), list) and alike:
            means = tuple(ScaleMean(*mean) for mean in saved["means"])
            self.validation = Validation(saved["step"], means)


def draw_effort(efforts: Sequence[float], step: int) -> float:
    """One of `efforts`, the full one half of the time; the same whenever `step` is the same."""
    *others, full = efforts
    drawn = int(np.random.default_rng(step).integers(2 * len(others))) if others else 0
    return others[drawn] if drawn < len(others) else full


class _Average(Protocol):
    """See :class:`ccsr.training.average.Average`."""

    @property
    def network(self) -> Network: ...
