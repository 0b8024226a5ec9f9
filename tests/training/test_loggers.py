import csv
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ccsr.training.loggers import Tables, build_loggers


def rows(table):
    with table.open() as stream:
        return list(csv.DictReader(stream))


def test_tables_take_new_columns_and_drop_what_a_resumed_run_repeats(tmp_path):
    tables = Tables(tmp_path)
    tables.log_metrics({"train/loss": 1.0, "epoch": 0}, 1)
    tables.log_metrics({"train/loss": 2.0, "train/norm": 3.0}, 2)
    tables.log_metrics({"train/loss": 4.0}, 3)
    with (tmp_path / "train.csv").open("a") as stream:
        stream.write('4,"cut')
    assert rows(tmp_path / "train.csv")[2] == {"step": "3", "loss": "4.0", "norm": ""}
    (tmp_path / "results.csv").write_text("model,psnr\nlight,30\n")
    Tables(tmp_path, resume_step=2)
    assert (tmp_path / "results.csv").read_text() == "model,psnr\nlight,30\n"  # another's
    assert [row["step"] for row in rows(tmp_path / "train.csv")] == ["1", "2"]


def test_a_logger_writes_into_the_folder_of_the_run(tmp_path):
    target = {"_target_": "pytorch_lightning.loggers.CSVLogger"}
    assert Path(build_loggers(target, tmp_path, 0)[1].save_dir) == tmp_path
    with pytest.raises(ValueError, match=r"logger\.save_dir=there cannot be: all that a run"):
        build_loggers({**target, "save_dir": "there"}, tmp_path, 0)
    for key, place in (("name", "/there"), ("name", ".."), ("version", "x/../../y")):
        with pytest.raises(
            ValueError, match=rf"logger\.{key}={place} cannot be: it names a folder"
        ):
            build_loggers({**target, key: place}, tmp_path, 0)


def test_a_resumed_run_hides_what_tensorboard_has_beyond_it(tmp_path):
    config = {"_target_": "pytorch_lightning.loggers.TensorBoardLogger"}
    config |= {"name": "tensorboard", "version": ""}
    for resume_step, steps in ((0, range(1, 8)), (4, range(5, 9))):
        logger = build_loggers(config, tmp_path, resume_step)[1]
        for step in steps:
            logger.log_metrics({"train/loss": 10.0 * resume_step + step}, step)
        logger.finalize("success")
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("train/loss")
    assert [(each.step, each.value) for each in shown] == [
        *((step, step) for step in range(1, 5)),
        *((step, 40 + step) for step in range(5, 9)),
    ]


def test_wandb_online_needs_credentials(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    config = {"_target_": "pytorch_lightning.loggers.WandbLogger", "offline": False}
    with pytest.raises(ValueError, match=r"found none: run `wandb login`.*logger\.offline=true"):
        build_loggers(config, tmp_path, 0)
