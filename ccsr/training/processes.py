"""Several processes that train together: which one this is, how many, and when they began.

torchrun and Slurm's srun start every process; without them Lightning starts those of this machine.
"""

import os
import time
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple, cast

import torch.distributed as distributed

_WAITED = timedelta(seconds=60)


class Launch(NamedTuple):
    """What a launcher says of this process.

    Attributes:
        name: of the launcher, with the number of its run if that is unique.
        rank: number of this process among all.
        processes: on all machines.
        local: on each machine.
    """

    name: str
    rank: int
    processes: int
    local: int

    @property
    def machines(self) -> int:
        """How many."""
        return self.processes // self.local


def launch() -> Launch | None:
    """What torchrun or srun says; None if neither started this process."""
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        numbers = (int(env[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"))
        return Launch("torchrun", *numbers)
    if "SLURM_STEP_ID" in env and "SLURM_PROCID" in env and "SLURM_NTASKS" in env:
        processes = int(env["SLURM_NTASKS"])
        name = f"slurm-{env['SLURM_JOB_ID']}.{env['SLURM_STEP_ID']}"
        machines = int(env.get("SLURM_NNODES", "1"))
        return Launch(name, int(env["SLURM_PROCID"]), processes, max(1, processes // machines))
    return None


def rank() -> int:
    """The number of this process among all that train together, before they have met."""
    launched = launch()
    if launched:
        return launched.rank
    machine = int(os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", "0")))
    return machine << 16 | int(os.environ.get("LOCAL_RANK", "0"))  # distinct; 0 is the first


def restarted() -> bool:
    """Whether the launcher has started this run again, after a failure or another job."""
    names = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
    return any(int(os.environ.get(name) or "0") > 0 for name in names)


def started(pattern: str) -> str:
    """When the run began, in the form of `time.strftime`, the same in all of its processes.

    Under Slurm, whose processes cannot ask each other yet, job and step instead.

    Raises:
        ValueError: if the processes cannot agree.
    """
    launched = launch()
    if launched and launched.processes > 1 and launched.name != "torchrun":
        return launched.name
    shared = launched is not None and launched.processes > 1
    return time.strftime(pattern, time.localtime(_agreed() if shared else _here()))


@cache
def _here() -> float:
    return time.time()


@cache
def _agreed() -> float:
    """The time of the process that asks first, by the store that torchrun keeps for them."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        raise ValueError(
            "torchrun keeps no store here by which its processes could agree on a folder: give all "
            "of them the same hydra.run.dir=FOLDER"
        )
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    connect = cast(Any, distributed).TCPStore
    store = connect(address, port, is_master=False, wait_for_workers=False, timeout=_WAITED)
    key = f"ccsr/started/{os.environ['TORCHELASTIC_RUN_ID']}"
    return float(store.compare_set(key, "", repr(_here())))
