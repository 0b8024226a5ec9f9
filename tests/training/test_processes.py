"""Training as people start it: by the command line, in several processes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ccsr.model import checkpoint
from ccsr.training.train import step_of
from runs import TINY, rows


def from_the_command_line(folder, *arguments, program=("-m", "ccsr.training.train")):
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


STOPPED = """
import os, signal
from ccsr.training.task import SRModule
from ccsr.training.train import main

original = SRModule.training_step

def stopped(self, batch, batch_idx):
    if self.global_step == 2 and self.trainer.global_rank == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    return original(self, batch, batch_idx)

if os.environ.get("STOPPED"):
    SRModule.training_step = stopped
main()
"""


@pytest.mark.long
def test_two_processes_train_one_network_and_stop_together(photos, tmp_path, monkeypatch):
    script, folder = tmp_path / "script.py", tmp_path / "run"
    script.write_text(STOPPED)
    several = ("trainer=ddp", "trainer.devices=2", f"data.root={photos}", f"data.val.root={photos}")
    monkeypatch.setenv("STOPPED", "1")
    result = from_the_command_line(
        tmp_path, *TINY, *several, "hydra.run.dir=run", program=[str(script)]
    )
    assert result.returncode == 143, result.stderr
    assert step_of(folder / "last.ckpt") == 3
    monkeypatch.delenv("STOPPED")
    result = from_the_command_line(tmp_path, f"resume={folder}", program=[str(script)])
    assert result.returncode == 0, result.stderr
    assert step_of(folder / "last.ckpt") == 8
    assert [row["step"] for row in rows(folder / "train.csv")] == [str(i) for i in range(1, 9)]
    checkpoint.load(folder / "model.safetensors")


@pytest.mark.long
def test_a_sweep_from_the_command_line(photos, tmp_path):
    short = ("trainer.max_steps=2", "trainer.val_check_interval=2")
    several = ("logger=wandb", "seed=1,2", "--multirun")
    result = from_the_command_line(tmp_path, *TINY, *short, f"data.root={photos}", *several)
    assert result.returncode == 0, result.stderr
    assert "Warn" not in result.stderr
    (sweep,) = (tmp_path / "runs").iterdir()
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    seeds = [checkpoint.load(sweep / job / "model.safetensors")[1]["seed"] for job in "01"]
    assert seeds == [1, 2]
    names = sorted(path.name for path in sweep.glob("*/wandb/offline-run-*"))
    assert [name[-8:] for name in names] == ["_train_0", "_train_1"]


@pytest.mark.long
def test_a_sweep_over_folders_and_starts(photos, finished, tmp_path):
    folders = []
    for name in ("a b", "c"):
        shutil.copytree(photos, tmp_path / name)
        folders.append(name)
    short = ("trainer.max_steps=1", "trainer.val_check_interval=1", "data.workers=0")
    start = finished[0] / "model.safetensors"
    swept = ("--multirun", f"data.root={','.join(folders)}", f"init=null,{start}")
    result = from_the_command_line(tmp_path, *TINY, *short, *swept)
    assert result.returncode == 0, result.stderr
    summaries = [
        checkpoint.load(path)[1] for path in sorted((tmp_path / "runs").glob("*/?/model.*"))
    ]
    found = [(summary["data"], summary["init"]) for summary in summaries]
    assert found == [(["a b"], None), (["a b"], "model"), (["c"], None), (["c"], "model")]


@pytest.mark.long
@pytest.mark.parametrize("where", [(), ("hydra.run.dir=out/run",)])
def test_what_is_refused_leaves_no_folder(photos, tmp_path, where):
    wrong = ("module.learning_rate=abc", f"data.root={photos}")
    result = from_the_command_line(tmp_path, *TINY, *wrong, *where)
    assert result.returncode == 1
    assert result.stderr.endswith("ccsr: error: module.learning_rate must be a number, got 'abc'\n")
    assert "Traceback" not in result.stderr
    sweep = from_the_command_line(tmp_path, *TINY, *wrong, "seed=1,2", "-m")
    assert sweep.stderr.count("module.learning_rate must be a number") == 2
    assert list(tmp_path.iterdir()) == []
