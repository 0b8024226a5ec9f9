"""The average of the weights, which is validated and kept."""

from typing import Any, cast

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from ccsr.model import Network
from ccsr.training.settings import number
from ccsr.training.task import SRModule


class Average(WeightAveraging):
    """Exponential moving average of the weights, used in validation and for what is kept.

    Buffers, such as the statistics of batch normalisation, are those of the network itself.

    Args:
        decay: per step; in the n-th step at most (1 + n) / (10 + n), so that short runs are
            not dominated by their start.
    """

    def __init__(self, decay: float = 0.999) -> None:
        number("callbacks.average.decay", decay, "[0, 1)")
        super().__init__(use_buffers=False)
        self.decay = decay
        self._averages: list[Tensor] = []
        self._weights: list[Tensor] = []
        self._buffers: tuple[list[Tensor], list[Tensor]] = ([], [])  # of average and network

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin the average; it is what the module keeps."""
        super().setup(trainer, pl_module, stage)
        cast(SRModule, pl_module).average = self

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
            self._buffers = ([*average.module.buffers()], [*pl_module.buffers()])
        decay = min(self.decay, step / (9 + step)) if step > 1 else 0.0
        torch._foreach_lerp_(self._averages, self._weights, 1 - decay)
        if self._buffers[0]:  # such as the statistics of a normalisation
            torch._foreach_copy_(*self._buffers)
        average.n_averaged += 1

    @property
    def network(self) -> Network:
        """The averaged network."""
        if self._average_model is None:
            raise RuntimeError("expected a fitted average: call Trainer.fit first")
        module = cast(SRModule, self._average_model.module)
        return module.model
