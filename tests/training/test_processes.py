"""Training as people start it: by the command line, in several processes."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import distributed

from ccsr.model import checkpoint
from ccsr.training import processes
from ccsr.training.folder import accumulated, past_of
from ccsr.training.processes import launch, rank, restarted, started
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
    assert past_of(folder / "last.ckpt").step == 3
    monkeypatch.delenv("STOPPED")
    result = from_the_command_line(tmp_path, f"resume={folder}", program=[str(script)])
    assert result.returncode == 0, result.stderr
    assert past_of(folder / "last.ckpt").step == 8
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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def by_torchrun(processes, *more):
    """Arguments that start so many processes on this machine, who meet on loopback only."""
    own = ("--master-addr=127.0.0.1", f"--master-port={free_port()}", *more)
    return ("-m", "torch.distributed.run", f"--nproc-per-node={processes}", *own)


TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=-1")
ALIKE = ("module.schedule=constant", "module.warmup=0", "trainer.precision=32-true")


def the_run(folder):
    """The one folder that a run made under `runs`."""
    (run,) = (folder / "runs").iterdir()
    return run


@pytest.mark.long
def test_torchrun_writes_one_folder_and_fewer_processes_go_on_alike(photos, tmp_path, monkeypatch):
    """Two processes and then one train the network that one process trains alone."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    roots = (f"data.root={photos}", f"data.val.root={photos}")
    program = (*by_torchrun(2), "-m", "ccsr.training.train")
    two = (*TINY, *TWO, *ALIKE, *roots, "trainer.max_steps=4")
    result = from_the_command_line(tmp_path, *two, program=program)
    assert result.returncode == 0, result.stderr
    run = the_run(tmp_path)
    assert {path.name for path in run.iterdir()} == {
        "best.safetensors", "config.yaml", "last.ckpt", "model.safetensors", "pictures",
        "speed.csv", "train.csv", "train.log", "val.csv",
    }  # fmt: skip
    assert [row["step"] for row in rows(run / "train.csv")] == ["1", "2", "3", "4"]
    assert (run / "train.log").read_text().count("wrote ") == 1
    alone = ("trainer.max_steps=8", "trainer.strategy=auto", "trainer.devices=1")
    result = from_the_command_line(tmp_path, f"resume={run}", *alone)
    assert result.returncode == 0, result.stderr
    assert "1 processes, each adds up 2 batches for a step" in result.stderr
    one = (*TINY, *ALIKE, *roots, "trainer.accumulate_grad_batches=2", "hydra.run.dir=alone")
    assert from_the_command_line(tmp_path, *one).returncode == 0
    networks = (
        checkpoint.load(folder / "model.safetensors")[0].state_dict()
        for folder in (run, tmp_path / "alone")
    )
    first, second = networks
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=1e-3, atol=1e-4)
    more = ("trainer.strategy=ddp", "trainer.devices=3", "trainer.max_steps=9")
    three = (*by_torchrun(3), "-m", "ccsr.training.train")
    result = from_the_command_line(tmp_path, f"resume={run}", *more, program=three)
    assert result.returncode != 0
    assert "is made of 2 batches, which 3 processes cannot share evenly" in result.stderr


@pytest.mark.long
def test_processes_that_torchrun_starts_need_a_configuration_for_them(photos, tmp_path):
    program = (*by_torchrun(2), "-m", "ccsr.training.train")
    result = from_the_command_line(tmp_path, *TINY, f"data.root={photos}", program=program)
    assert result.returncode != 0
    message = "torchrun started 2 processes, and the configuration has 1: give trainer=ddp"
    assert f"ccsr: error: {message}" in result.stderr
    assert not (tmp_path / "runs").exists()


def test_who_this_process_is(monkeypatch):
    assert (launch(), rank()) == (None, 0)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert rank() == 1
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("NODE_RANK", "1")
    assert rank() > 1
    slurm = {"JOB_ID": "77", "STEP_ID": "0", "PROCID": "5", "NTASKS": "8", "NNODES": "2"}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert launch() == ("slurm-77.0", 5, 8, 4)
    assert (rank(), launch().machines) == (5, 2)
    assert started("%Y") == "slurm-77.0"
    assert not restarted()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert restarted()


def test_a_run_of_one_process_is_called_by_its_time(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "1")
    assert started("%Y-%m-%d_%H-%M-%S") == started("%Y-%m-%d_%H-%M-%S")
    assert started("%Y") in (time.strftime("%Y"), str(int(time.strftime("%Y")) - 1))


def test_processes_of_torchrun_agree_by_its_store(monkeypatch):
    port = free_port()
    store = distributed.TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
    for name, value in {
        "TORCHELASTIC_RUN_ID": "none", "RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    processes._agreed.cache_clear()
    with pytest.raises(ValueError, match=r"give all of them the same hydra\.run\.dir=FOLDER"):
        started("%Y")
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    store.set("ccsr/started/none", "86400.0")
    try:
        assert started("%Y-%m") == "1970-01"
    finally:
        processes._agreed.cache_clear()


@pytest.mark.parametrize(("batches", "count", "each"), [(4, 2, 2), (4, 1, 4), (6, 3, 2)])
def test_processes_share_the_batches_of_a_step(batches, count, each):
    assert accumulated(batches, count) == each


def test_batches_that_cannot_be_shared_are_refused():
    message = r"made of 4 batches, which 3 processes cannot share evenly.* that divides 4, or start"
    with pytest.raises(ValueError, match=message):
        accumulated(4, 3)
