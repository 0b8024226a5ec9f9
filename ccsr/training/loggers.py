"""What a run writes down: its log, CSV tables, and what other loggers take."""

import csv
import logging
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from ccsr.atomic import replacing
from ccsr.terminal import say, shown_lines
from ccsr.training.config import made
from ccsr.training.processes import rank

LOG, TABLES = "train.log", ("train", "val", "speed")  # in the run's folder; these end in .csv


class Tables(Logger):
    """``train.csv``, ``val.csv`` and ``speed.csv`` in the run's folder, a row per report.

    Each row is written at once. A resumed run drops the rows beyond the step that it takes up,
    then goes on.
    """

    def __init__(self, folder: Path, resume_step: int = 0) -> None:
        super().__init__()
        self.folder = folder
        if rank():
            return
        for table in (folder / f"{name}.csv" for name in TABLES):
            if table.exists():
                rows = [row for row in _read(table) if int(row["step"]) <= resume_step]
                _write(table, rows)

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.folder.name

    @property
    def version(self) -> str:
        """Empty: a run has one folder, and no versions in it."""
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run's ``config.yaml`` holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row to the table of each prefix (``train/loss`` goes to ``train.csv``)."""
        tables: dict[str, dict[str, float]] = {}
        for key, value in metrics.items():
            prefix, _, name = key.partition("/")
            if name:
                tables.setdefault(prefix, {})[name] = value
        for prefix, values in tables.items():
            _append(self.folder / f"{prefix}.csv", {"step": int(step or 0), **values})


def _read(table: Path) -> list[dict[str, Any]]:
    with table.open(newline="") as stream:
        rows = csv.DictReader(stream, restkey="more", restval="")
        return [row for row in rows if row.get("step", "").isdigit()]  # a kill may cut a line


def _write(table: Path, rows: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(table) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _append(table: Path, row: dict[str, Any]) -> None:
    """Add a row; a new column rewrites the table.

    Raises:
        OSError: as a sentence about the table.
    """
    if table.exists():
        with table.open(newline="") as stream:
            names = next(csv.reader(stream), [])
        if set(row) <= set(names):
            try:
                with table.open("a", newline="") as stream:
                    csv.DictWriter(stream, names).writerow(row)
            except OSError as error:
                raise OSError(f"cannot write {table}: {error.strerror or error}") from error
            return
    _write(table, [*(_read(table) if table.exists() else []), row])


def build_loggers(config: Mapping[str, Any] | None, folder: Path, resume_step: int) -> list[Logger]:
    """The tables, and the logger that the configuration names, if any; all below `folder`.

    Raises:
        ValueError: if an online logger has no credentials, or one is to write elsewhere.
    """
    loggers: list[Logger] = [Tables(folder, resume_step)]
    if config:
        if "save_dir" in config:
            raise ValueError(
                f"logger.save_dir={config['save_dir']} cannot be: all that a run writes lies in "
                "its folder (hydra.run.dir=FOLDER)"
            )
        target = str(config.get("_target_"))
        for key in ("name", "version", "sub_dir"):
            place = str(config.get(key) or "")
            if not target.endswith("WandbLogger") and (Path(place).name != place or place == ".."):
                raise ValueError(
                    f"logger.{key}={place} cannot be: it names a folder in the run's own, without "
                    "separators"
                )
        own: dict[str, Any] = {}
        if target.endswith("WandbLogger"):
            _prepare_wandb(folder, offline=bool(config.get("offline")))
            number = folder.name.isdecimal()  # of a job in a sweep
            own["id"] = f"{folder.absolute().parent.name}_{folder.name}" if number else folder.name
        elif target.endswith("TensorBoardLogger") and resume_step:
            own["purge_step"] = resume_step + 1  # hides what a killed part went on to
        loggers.append(made("logger", {**own, **config}, save_dir=str(folder)))
    return loggers


def _prepare_wandb(folder: Path, offline: bool) -> None:
    """Keep wandb within the folder, and from asking for a login."""
    for name in ("CACHE", "CONFIG", "DATA", "ARTIFACT"):
        os.environ.setdefault(f"WANDB_{name}_DIR", str(folder / "wandb"))
    os.environ.setdefault("WANDB_SILENT", "true")
    if not offline and not _has_wandb_key():
        raise ValueError(
            "logger.offline=false needs credentials for wandb, found none: run `wandb login` "
            "once or set WANDB_API_KEY, or leave logger.offline=true and `wandb sync` later"
        )


def _has_wandb_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("//")[-1].strip("/")
    try:
        return netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, NetrcParseError):
        return False


def close(loggers: Sequence[Logger], failed: bool) -> None:
    """End what a run logged, or the next one in this process would go on with it."""
    if any(isinstance(logger, WandbLogger) for logger in loggers):
        import wandb

        wandb.finish(exit_code=int(failed))


def log_picture(loggers: list[Logger], name: str, picture: Tensor, step: int) -> None:
    """Send a picture (3, H, W) in [0, 1] to every logger that takes pictures."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(name, [picture.permute(1, 2, 0).numpy()], step=step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, picture, step)


class _ToStandardError(logging.Handler):
    """Looks up standard error for each line, so that a progress bar can stay below the lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, unless it is meant for the file only."""
        if not getattr(record, "file_only", False):
            say(self.format(record))


class _Lines(logging.Formatter):
    """Shows names as everywhere, in the file too: it is read on terminals."""

    def format(self, record: logging.LogRecord) -> str:
        """The line with its time."""
        return shown_lines(super().format(record))


class _ToFile(logging.FileHandler):
    """Says once that a line could not be written, instead of a traceback for each."""

    told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say it."""
        if not self.told:
            reason = sys.exception()
            say(f"ccsr: cannot write {self.baseFilename}: {reason}")
        self.told = True


def log_to(path: Path | None) -> None:
    """Send the package's log to the run's file and to standard error; Lightning's nowhere.

    Without a file it goes nowhere either.
    """
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated")
    # of callbacks that a resumed run leaves out, as it may: trainer.max_time=null
    warnings.filterwarnings("ignore", r"Be aware that when using `ckpt_path`, callbacks used")
    log = logging.getLogger("ccsr")
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    log.setLevel(logging.INFO)
    if path is None:
        return
    for handler in (_ToFile(path, encoding="utf-8"), _ToStandardError()):
        handler.setFormatter(_Lines("%(asctime)s %(message)s", "%H:%M:%S"))
        log.addHandler(handler)
