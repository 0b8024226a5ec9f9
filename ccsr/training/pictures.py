"""The validation's picture: input, bicubic, ours and the truth, side by side."""

from pathlib import Path
from typing import Any, cast

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms.v2.functional import center_crop
from torchvision.utils import make_grid

from ccsr import image
from ccsr.resample import resize
from ccsr.training.loggers import log_picture
from ccsr.training.settings import whole
from ccsr.training.validation import Item, ValidationSet, as_float, quantised


class Pictures(Callback):
    """Saves ``pictures/step_N.png``, one row per image: LR (nearest), bicubic, ours, HR.

    The rows are of images at even distances, each at another scale.

    Args:
        rows: number of rows.
    """

    def __init__(self, rows: int = 6) -> None:
        self.rows = whole("callbacks.pictures.rows", rows, least=0)
        self._shown: set[int] = set()
        self._tiles: list[Tensor] = []

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose what is shown."""
        loader = cast(DataLoader[Item], trainer.val_dataloaders)
        self._shown = cast(ValidationSet, loader.dataset).shown(self.rows)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Item,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the tiles of this item if it has a row."""
        if batch_idx in self._shown and trainer.is_global_zero:
            self._tiles += tiles(batch, outputs)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the picture."""
        if trainer.sanity_checking:
            self._tiles.clear()
        if not self._tiles:
            return
        side = max(tile.shape[1] for tile in self._tiles), max(t.shape[2] for t in self._tiles)
        picture = make_grid([center_crop(t, list(side)) for t in self._tiles], nrow=4, padding=4)
        self._tiles.clear()
        folder = Path(trainer.default_root_dir) / "pictures"
        folder.mkdir(exist_ok=True)
        image.write(image.to_image(picture), folder / f"step_{trainer.global_step:07d}.png")
        log_picture(trainer.loggers, "validation", picture, trainer.global_step)


def tiles(item: Item, sr: Tensor) -> list[Tensor]:
    """LR enlarged by nearest, bicubic, ours, HR: four (3, H, W) in [0, 1] on the CPU."""
    size = item.hr.shape[-2:]
    lr = as_float(item.lr)
    nearest = torch.nn.functional.interpolate(lr, tuple(size), mode="nearest-exact")
    bicubic = as_float(quantised(resize(lr, item.grid)))
    return [x[0].cpu() for x in (nearest, bicubic, as_float(sr), as_float(item.hr))]
