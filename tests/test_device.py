import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from ccsr import device
from ccsr.device import choose_device, free_memory, has_native_bfloat16

CPU = torch.device("cpu")


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, expected in [(1, 1, "cuda"), (0, 1, "mps"), (0, 0, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda answer=cuda: bool(answer))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda answer=mps: bool(answer))
        assert choose_device("auto").type == expected


def test_named_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    for name in ("cpu", "mps", "cuda", "cuda:1"):
        assert str(choose_device(name)) == name


def test_devices_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"device cuda:1 is not available .* sees 1 CUDA"):
        choose_device("cuda:1")
    with pytest.raises(ValueError, match="device mps is not available here: use auto or cpu"):
        choose_device("mps")
    with pytest.raises(ValueError, match=r"device must be auto, .* got 'gpu'"):
        choose_device("gpu")


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda: {"amx_bf16": True, "avx512_bf16": False}, True),
        (lambda: {"avx512_bf16": True}, True),
        (lambda: {"avx2": True}, False),
        (dict, False),
    ],
)
def test_native_bfloat16_is_what_the_processor_says(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], Mapping[str, bool]], expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", read, raising=False)
    assert has_native_bfloat16(CPU) is expected
    assert not has_native_bfloat16(torch.device("mps"))


def test_free_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  9 kB\nMemAvailable:     3 kB\n")
    monkeypatch.setattr(device, "_MEMINFO", meminfo)
    monkeypatch.setattr(device, "_CONTAINER", tmp_path)
    assert free_memory(CPU) == 3 * 1024
    for limit, expected in (("max", 3 * 1024), ("9000", 3 * 1024), ("3000", 1100), ("1", 0)):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text("2000\n")
        (tmp_path / "memory.stat").write_text("anon 1900\ninactive_file 100\n")
        assert free_memory(CPU) == expected
    monkeypatch.setattr(device, "_MEMINFO", tmp_path / "missing")
    monkeypatch.setattr(
        os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10}.__getitem__, raising=False
    )
    assert free_memory(CPU) == 4096 * 5
    monkeypatch.delattr(os, "sysconf")
    assert free_memory(CPU) is None
