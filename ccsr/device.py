"""What the machine has: processors, native bfloat16, free memory."""

import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # slow to import, and not always there
    import torch

CPU = ("cpu", "cpu:0")  # the names of the processor

_MEMINFO = Path("/proc/meminfo")
_STATUS = Path("/proc/self/status")
_CONTAINER = Path("/sys/fs/cgroup")  # version 2; in a container these files are its own


def choose_device(name: "str | torch.device" = "auto") -> "torch.device":
    """The device called `name`: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`; or one of torch's.

    Raises:
        ValueError: if there is no such device here.
    """
    import torch

    name = str(name)
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if name in CPU:
        return torch.device("cpu")
    if name in ("mps", "mps:0"):
        if not torch.backends.mps.is_available():
            raise ValueError("device mps is not available here: use auto or cpu")
        return torch.device("mps")
    match = re.fullmatch(r"cuda(?::(\d+))?", name)
    if not match:
        raise ValueError(f"device must be auto, cpu, cuda, cuda:N or mps, got {name!r}")
    if int(match[1] or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {name} is not available here, PyTorch sees {torch.cuda.device_count()} "
            "CUDA devices: use auto or cpu"
        )
    return torch.device(name)


def has_native_bfloat16(device: "torch.device") -> bool:
    """Whether `device` computes in bfloat16 itself; where it is emulated it is slower."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # torch 2.10 may lack the function; then the answer is the safe one
        capabilities: Callable[[], Mapping[str, Any]]
        capabilities = getattr(torch.cpu, "get_capabilities", dict)
        return any(capabilities().get(name) for name in ("amx_bf16", "avx512_bf16"))
    return False


class NoRoomError(RuntimeError):
    """Something does not fit into the memory that is free."""


def require(needed: int, what: str, instead: str) -> None:
    """Make sure, before any work, that `needed` bytes can be allocated on the host.

    Args:
        needed: bytes.
        what: needs them, for a person.
        instead: can be done.

    Raises:
        NoRoomError: if they cannot.
    """
    free = free_memory(None)
    if free is not None and needed > free:
        raise NoRoomError(
            f"{what} needs {needed / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free: "
            f"{instead}"
        )


def free_memory(device: "torch.device | None") -> int | None:
    """Bytes that can be allocated on `device`, or on the host (None).

    None where the system does not say.
    """
    if device is not None and device.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)[0]
    if _MEMINFO.exists():  # "available" counts the page cache, which sysconf's figure does not
        match = re.search(r"^MemAvailable:\s+(\d+) kB", _MEMINFO.read_text(), re.MULTILINE)
        if match:
            return int(min(int(match[1]) * 1024, _left_in_container()))
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return None


def used_memory(device: "torch.device") -> int:
    """Bytes that this process holds on `device`; 0 where the system does not say."""
    import torch

    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    if device.type == "mps":
        return int(torch.mps.driver_allocated_memory())
    try:
        match = re.search(r"^VmRSS:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0


def _left_in_container() -> float:
    """Bytes below the limit of a container; infinite without one."""
    try:
        limit, used = (int((_CONTAINER / f"memory.{n}").read_text()) for n in ("max", "current"))
        stat = (_CONTAINER / "memory.stat").read_text()
    except (OSError, ValueError):  # no such file, or "max"
        return math.inf
    cache = re.search(r"^inactive_file (\d+)", stat, re.MULTILINE)  # is given back when asked for
    return max(0, limit - used + int(cache[1] if cache else 0))
