"""The training task: loss, optimizer, schedule and validation of a network."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from ccsr.arguments import scale_text
from ccsr.data import Batch
from ccsr.metrics import luma
from ccsr.model import CCSR
from ccsr.optimizer import Muon, split
from ccsr.resample import ProjectedGrid, resize
from ccsr.validation import Item, as_float, quantised, score

Loss = Literal["rmse", "l1"]
_LEAST_ERROR = 0.008  # of bicubic, about what it leaves at a scale of 1.2; at 1 it leaves nothing
_LUMA_WEIGHT = 3.0  # where eyes see detail
_EPSILON = 1e-8  # under a square root, whose slope at 0 is infinite


class SRModule(LightningModule):
    """Trains a network on pairs of patches.

    Args:
        model: see :class:`ccsr.model.CCSR`. One that can work with different efforts gets one
            at random in each step, as a pure function of the step.
        loss: ``rmse`` or ``l1`` over red, green, blue and three times luma, of each patch in
            proportion to bicubic's on it: the mean PSNR over images counts them so, and else
            large scales and busy patches would lead. Beyond an error of 1, which only a network
            that explodes makes, its logarithm counts.
        learning_rate: at the end of the warm-up; falls to zero as a cosine.
        warmup: steps of linear warm-up, at most a tenth of all.
        momentum: of :class:`ccsr.optimizer.Muon`, which moves the filters.
        betas: of Adam, which moves the rest.
        weight_decay: of the filters.

    Raises:
        ValueError: for an unknown loss.
    """

    def __init__(
        self,
        model: CCSR,
        loss: Loss = "rmse",
        learning_rate: float = 5e-4,
        warmup: int = 500,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.1,
    ) -> None:
        super().__init__()
        if loss not in ("rmse", "l1"):
            raise ValueError(f"module.loss must be 'rmse' or 'l1', got {loss!r}")
        betas = (float(betas[0]), float(betas[1]))
        self.save_hyperparameters(ignore=["model"])
        self.model = model.to(memory_format=torch.channels_last)
        self.loss, self.learning_rate, self.warmup = loss, learning_rate, warmup
        self.momentum, self.betas, self.weight_decay = momentum, betas, weight_decay
        self.last_loss = math.nan
        self.last_validation: dict[str, float] = {}
        self.validated_at = -1
        self._scores: defaultdict[str, list[float]] = defaultdict(list)

    def forward(self, x: Tensor, grid: ProjectedGrid, effort: float = 1.0) -> Tensor:
        """Read the image `x` (N, 3, h, w), uint8 or float in [0, 1], at `grid`; float32."""
        x = as_float(x).contiguous(memory_format=torch.channels_last)
        sr: Tensor = self.model(x, grid, self.model.route((x.shape[2], x.shape[3]), grid, effort))
        return sr.float()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch, 1 where the network is as good as bicubic.

        Raises:
            RuntimeError: if the loss is not finite.
        """
        lr, hr = batch
        grid = ProjectedGrid.project((lr.shape[2], lr.shape[3]), (hr.shape[2], hr.shape[3]))
        sr = self(lr, grid, draw_effort(self.model.efforts, self.global_step))
        hr = as_float(hr)
        bicubic = self._distance(resize(as_float(lr), grid), hr).clamp_min(_LEAST_ERROR)
        loss = (self._distance(sr, hr) / bicubic).mean()
        self.last_loss = float(loss.detach())
        self._check_finite("loss", self.last_loss)
        self.log("step", self.global_step + 1.0)  # for the loggers, instead of Lightning's count
        self.log("train/loss", self.last_loss)
        self.log("train/learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss

    def _distance(self, image: Tensor, target: Tensor) -> Tensor:
        """How far each patch (N, 3, H, W) is from its target: (N,)."""
        grey = _LUMA_WEIGHT * _bounded(luma(image) - luma(target))
        error = torch.cat((_bounded(image - target), grey), 1).flatten(1)
        if self.loss == "l1":
            return error.mean(1)
        return (error.square().mean(1) + _EPSILON).sqrt()

    def _check_finite(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            raise RuntimeError(
                f"the {what} is not finite ({value}) at step {self.global_step}, learning rate "
                f"{rate:.2g}: start again with a lower module.learning_rate, or go on from the "
                "last checkpoint (resume=...) with a lower trainer.gradient_clip_val or "
                "trainer.precision=32-true"
            )

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm, and stop before a gradient that is not finite reaches the weights."""
        limit = float(gradient_clip_val or math.inf)  # 0 means no limit too, as in Lightning
        norm = float(nn.utils.clip_grad_norm_(self.parameters(), limit))
        self._check_finite("gradient", norm)
        self.log("train/gradient_norm", norm)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Muon; linear warm-up, then a cosine that ends at zero at `trainer.max_steps`."""
        optimizer = Muon(
            *split(self.model), self.learning_rate, self.momentum, self.betas, self.weight_decay
        )
        steps = self.trainer.max_steps
        warmup = min(self.warmup, steps // 10)
        schedule = LambdaLR(optimizer, lambda step: rate_factor(step, warmup, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def validation_step(self, batch: Item, batch_idx: int) -> Tensor:
        """The 8-bit result (1, 3, H, W); its PSNR and bicubic's are kept for the epoch's end."""
        sr = quantised(self(batch.lr, batch.grid))
        name = f"x{scale_text(batch.scale)}"
        self._scores[f"psnr_{name}"].append(score(sr, batch.hr, batch.scale))
        self._scores[f"bicubic_{name}"].append(batch.bicubic)
        return sr

    def on_validation_epoch_end(self) -> None:
        """Log the mean per scale, and ``val/gain``: ours less bicubic, mean over the scales."""
        means = {name: sum(values) / len(values) for name, values in self._scores.items()}
        self._scores.clear()
        gains = [
            mean - means[name.replace("psnr_", "bicubic_")]
            for name, mean in means.items()
            if name.startswith("psnr_")
        ]
        means["gain"] = sum(gains) / len(gains)
        self.last_validation, self.validated_at = means, self.global_step
        self.log("step", float(self.global_step), sync_dist=True)
        self.log_dict({f"val/{name}": mean for name, mean in means.items()}, sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the last validation."""
        checkpoint["validation"] = {"step": self.validated_at, "means": self.last_validation}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the last validation."""
        validation = checkpoint.get("validation", {"step": -1, "means": {}})
        self.validated_at, self.last_validation = validation["step"], validation["means"]


def _bounded(error: Tensor) -> Tensor:
    """Magnitudes; beyond 1, where only a network that explodes comes, they grow as a logarithm."""
    error = error.abs()
    return torch.where(error > 1, 1 + error.clamp_min(1).log(), error)


def draw_effort(efforts: Sequence[float], step: int) -> float:
    """One of `efforts`, all equally likely; the same whenever `step` is the same."""
    return efforts[int(np.random.default_rng(step).integers(len(efforts)))]


def rate_factor(step: int, warmup: int, steps: int) -> float:
    """Factor on the learning rate at `step`: linear up to `warmup`, then a cosine to zero."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return 0.5 * (1 + math.cos(math.pi * progress))
