"""Training data: batches from folders of photos, and the validation set beside them."""

import hashlib
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from ccsr.device import free_memory
from ccsr.training.batches import Batch, Batches, Reduction
from ccsr.training.degradation import Degradation
from ccsr.training.loading import Singles, Steps, Timed, leave_signals
from ccsr.training.pairs import PairBatches, find_partners, numbered
from ccsr.training.photos import Photos, Roots, find_images
from ccsr.training.scales import Scales
from ccsr.training.settings import choice, number, numbers, whole
from ccsr.training.sources import FromFiles, OnDevice
from ccsr.training.validation import ValidationSet

Place = Literal["auto", "memory", "device"]
log = logging.getLogger(__name__)
_NAMED = 20  # in one message
MOST_WORKERS = 8  # more than these no network of ours can use
_MOST_ASKED = 256  # that may be given


class PhotoData(LightningDataModule):
    """Training batches from folders of photos, and the validation set beside them.

    Args:
        root: folder or folders, searched to the bottom; None for the bundled photos.
        val: arguments of :class:`ccsr.training.validation.ValidationSet`, and instead of its files
            `root`, as above, or without one `subfolder`, which lies within each training root; or
            `sets`: a name and a root for each of several sets.
        scales: arguments of :class:`ccsr.training.scales.Scales`.
        patch: side of the low-resolution patches (of the high-resolution ones below scale 1).
        batch_size: patches per batch.
        seed: with the step it decides every batch.
        subfolder: folder within each root that holds the photos; None for the root itself.
        reduction: ``uint8`` (MATLAB's, rounded to 8 bit) or ``float`` (not rounded).
        lr: folder or folders of given low-resolution images of the photos, see
            :func:`ccsr.training.pairs.find_partners`; None to reduce the photos here.
        reduced: factors in (0, 1); reduced by each of them the photos are trained on too.
        dots: share of the patches that are turned into dots, see
            :class:`ccsr.training.batches.Batches`.
        degradation: arguments of :class:`ccsr.training.degradation.Degradation`, which is done to
            the low-resolution patches; None or none of them for nothing.
        place: where the photos lie. ``device``: all of them, decoded, where the training runs,
            which makes the batches there. ``memory``: in files, decoded as they are drawn.
            ``auto``: on the device if that is a GPU and they fit into `device_mb`.
        device_mb: megabytes that they may take there; None for half of what is free.
        cache_mb: megabytes of decoded photos that are kept with the place ``memory``.
        cache: a folder to keep them in from run to run, which several processes share.
        workers: processes that read files and prepare batches; 0 prepares them between the steps;
            None takes what suits: on a GPU the processors, at most eight, else 0.

    Attributes:
        singles: samples of a step, if each of them has its own scale and is a batch of one.
        tells: whether batches tell the quality of some JPEGs among them.

    Raises:
        ValueError: for settings that cannot be, or photos that cannot be read.
    """

    tells = False
    _unreadable = 0  # photos, at the last look

    def __init__(
        self,
        root: Roots,
        val: Mapping[str, Any],
        scales: Mapping[str, Any],
        patch: int,
        batch_size: int,
        seed: int = 0,
        subfolder: str | None = None,
        reduction: Reduction = "uint8",
        lr: Roots = None,
        reduced: Sequence[float] | float | None = None,
        dots: float = 0.0,
        degradation: Mapping[str, Any] | None = None,
        place: Place = "auto",
        device_mb: float | None = None,
        cache_mb: float = 1024,
        cache: str | None = None,
        workers: int | None = None,
    ) -> None:
        super().__init__()
        choice("data.place", place, Place)
        for name, value in (("cache_mb", cache_mb), ("device_mb", device_mb)):
            if value is not None:
                number(f"data.{name}", value)
        whole("data.seed", seed, least=0)
        if workers is not None:
            whole("data.workers", workers, least=0, most=_MOST_ASKED)
        self.place, self.device_mb, self.workers = place, device_mb, workers
        drawn = Scales(**{"seed": seed, **scales})
        if set(drawn.pairs()) == {(1.0, 1.0)} and not degradation:
            raise ValueError("data.scales has 1 only, where bicubic is exact: nothing to learn")
        files = find_images(_within(root, subfolder))
        self.singles = batch_size if drawn.per == "sample" else None
        batch_size = 1 if self.singles else batch_size
        self.batches: Batches | PairBatches
        if lr == "":
            raise ValueError(
                "data.lr has no value: give data.lr=FOLDER, with files such as FOLDER/X2/0001x2.png"
            )
        if lr is None:
            self.photos = Photos(files, cache_mb, cache, _factors(reduced))
            source = FromFiles(self.photos)
            chain = Degradation(**degradation) if degradation else None
            self.tells = chain is not None and chain.tells
            self.batches = Batches(
                source,
                self.photos.sizes,
                drawn,
                patch,
                batch_size,
                seed,
                reduction,
                dots,
                chain,
            )
        else:
            changes = {"reduced": reduced, "dots": dots, "degradation": degradation}
            _check_given(drawn, reduction, changes)
            singles = [scale for scale, _ in drawn.single]
            low = find_images(lr)
            partners = find_partners(files, low, list(dict.fromkeys(singles)))
            both = {path: None for pairs in partners.values() for pair in pairs for path in pair}
            self.photos = Photos(list(both), cache_mb, cache)
            numbers = numbered(self.photos, partners)
            source = FromFiles(self.photos)
            self.batches = PairBatches(
                source, self.photos.sizes, numbers, singles, patch, batch_size, seed
            )
        self._tell_small()
        self.validation = _validation(root, val)

    def _tell_small(self) -> None:
        """Name the photos that are too small for every scale."""
        small = [self.photos.photos[n].path for n in self.batches.undrawn()]
        if small:
            names = ", ".join(map(str, small[:_NAMED])) + (", ..." if len(small) > _NAMED else "")
            count, patch = f"{len(small)} of {len(self.photos)}", self.batches.patch
            log.warning("%s photos are too small for data.patch=%d: %s", count, patch, names)

    def setup(self, stage: str) -> None:
        """Note it where the trainer looks at a part of the validation only."""
        limit = getattr(self.trainer, "limit_val_batches", 1.0)
        if not isinstance(limit, float) or limit != 1:  # 1 is one image, 1.0 all
            self.validation.settings["limit"] = limit

    def train_dataloader(self) -> Timed:
        """Batches from the trainer's step on, so that a resumed run takes up where it was."""
        trainer = self.trainer
        if trainer is None:
            raise RuntimeError("expected a trainer: pass this to Trainer.fit(datamodule=...)")
        device = trainer.strategy.root_device
        steps = Steps(
            lambda: trainer.global_step * trainer.accumulate_grad_batches,
            trainer.global_rank,
            trainer.world_size,
        )
        if self._lies_on(device):
            records = bool(getattr(trainer.lightning_module, "replays", False))
            self.batches.source = OnDevice(self.photos, device, records)
            workers = 0
        else:
            processors = (os.cpu_count() or 1) // trainer.num_devices
            suitable = min(processors, MOST_WORKERS) if device.type == "cuda" else 0
            workers = suitable if self.workers is None else self.workers
        return Timed(
            Singles(self.batches, self.singles) if self.singles else self.batches,
            batch_size=None,
            sampler=steps,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=leave_signals,
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
            pin_memory=workers > 0 and device.type == "cuda",
        )

    def _lies_on(self, device: torch.device) -> bool:
        """Whether the photos are to lie on the training's device.

        Raises:
            ValueError: if they must and do not fit.
        """
        if self.place == "memory" or (self.place == "auto" and device.type != "cuda"):
            return False
        budget = (free_memory(device) or 0) / 2e6 if self.device_mb is None else self.device_mb
        fits = self.photos.bytes <= budget * 1e6
        if self.place == "device" and not fits:
            raise ValueError(
                f"data.place=device needs {self.photos.bytes / 1e6:.0f} MB for the decoded photos "
                f"on {device}, and data.device_mb allows {budget:.0f}: raise it, or take "
                "data.place=memory, which reads them from their files"
            )
        return fits

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint tells of the photos: how many, digests of their sizes and names."""
        names = [os.fsencode(photo.path.name) for photo in self.photos.photos]
        told = {"sizes": self.photos.sizes, "names": names}
        digests = {k: hashlib.sha256(repr(v).encode()).hexdigest() for k, v in told.items()}
        return {"photos": len(self.photos), **digests}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Say it if these are not the photos of the run so far, from which batches follow."""
        if (now := self.state_dict()) != {**now, **state_dict}:  # older runs told no names
            log.warning(
                "the photos are not those of the run so far, %d then and %d now, of other sizes or "
                "names: from here on its batches are not those that it would have had",
                state_dict["photos"],
                now["photos"],
            )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Before a training batch is used, count the pictures that could not be read."""
        if isinstance(batch, Batch | list):
            self.photos.check()
            unreadable = self.photos.unreadable
            if (count := int(unreadable.sum())) > self._unreadable:
                self.batches.check_left(unreadable)
                self._unreadable = count
        return batch

    def val_dataloader(self) -> DataLoader[Any]:
        """One item per (image, scale)."""
        return DataLoader(self.validation, batch_size=None)


def _factors(reduced: Sequence[float] | float | None) -> list[float]:
    """The factors that the photos are reduced by too; one may stand alone."""
    if reduced is None:
        return []
    return numbers("data.reduced", [reduced] if isinstance(reduced, int | float) else reduced)


def _validation(root: Roots, val: Mapping[str, Any]) -> ValidationSet:
    """The validation set of `data.val` beside photos in `root`.

    Raises:
        ValueError: if it says twice or nowhere where its images lie, or see `ValidationSet`.
        FileNotFoundError: see :func:`ccsr.training.photos.find_images`.
    """
    options = dict(val)
    own, part, sets = (options.pop(name, None) for name in ("root", "subfolder", "sets"))
    if sets is None:
        files = find_images(_within(root, part) if part is not None and own is None else own)
        return ValidationSet(files, **options)
    if not sets:
        raise ValueError("data.val.sets names no set: give some, or data.val.sets=null")
    if own is not None or part is not None:
        raise ValueError(
            "data.val.sets says where the images lie, and so do data.val.root and "
            "data.val.subfolder: leave these null"
        )
    return ValidationSet({str(k): find_images(v) for k, v in sets.items()}, **options)


def _check_given(scales: Scales, reduction: str, changes: Mapping[str, object]) -> None:
    """See that nothing is asked of given low-resolution images that is done in a reduction.

    Raises:
        ValueError: if something is.
    """
    if scales.anisotropic or scales.continuous:
        raise ValueError(
            "data.lr has images of listed scales only: give data.scales.values=[2,3,4] and "
            "data.scales.anisotropic=0"
        )
    if any(changes.values()) or reduction != "uint8":
        raise ValueError(
            "with data.lr nothing is reduced here: leave data.reduced=null, data.dots=0, "
            "data/degradation=none and data.reduction=uint8"
        )


def _within(root: Roots, subfolder: str | None) -> Roots:
    """The same folder within each root."""
    if root is None or subfolder is None:
        return root
    roots = [root] if isinstance(root, str | Path) else root
    return [Path(each) / subfolder for each in roots]
