"""What computes a network: torch, or onnxruntime, which is small and starts fast."""

from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from ccsr.bundled import resource_dir
from ccsr.choices import Engine
from ccsr.distribution import remedy

ONNX, WEIGHTS = ".onnx", ".safetensors"
_PACKAGES: dict[str, tuple[str, ...]] = {
    "torch": ("torch", "safetensors"),
    "onnx": ("onnxruntime",),
}


def choose_engine(engine: str, model: str | Path) -> Engine:
    """The engine for a model: that which is asked for, or by `auto` one that is installed.

    That is torch where it and the model's weights are: it has GPUs and bfloat16, and results do not
    change because another package was installed too.

    Raises:
        ValueError: for an unknown engine, or one that is not installed or cannot take the model.
    """
    if engine not in get_args(Engine):
        known = ", ".join(get_args(Engine))
        raise ValueError(f"engine must be one of {known}, got {engine!r}")
    exported = Path(model).suffix.lower() == ONNX
    if engine == "torch" and exported:
        raise ValueError(f"the engine torch takes no ONNX file, got {model}: use the engine onnx")
    if engine != "auto":
        chosen: Engine = "torch" if engine == "torch" else "onnx"
        if not _installed(chosen):
            package = next(each for each in _PACKAGES[chosen] if not is_there(each))
            how = remedy() if chosen == "torch" else f"pip install {package}"
            raise ValueError(
                f"the engine {chosen} needs the package {package}, which is not installed: "
                f"run {how}"
            )
        return chosen
    if _installed("torch") and not exported and not _only_exported(model):
        return "torch"
    if _installed("onnx"):
        return "onnx"
    raise ValueError(
        f"enlarging needs torch or onnxruntime, and neither is installed: run {remedy()} "
        "(all models, GPUs), or pip install onnxruntime (small)"
        if not exported
        else f"{model} needs the package onnxruntime, which is not installed: run pip install "
        "onnxruntime"
    )


def _only_exported(model: str | Path) -> bool:
    """Whether a shipped model lies here for the engine onnx alone, as in `ccsr-onnx`."""
    shipped = resource_dir("checkpoints")
    return (shipped / f"{model}{ONNX}").is_file() and not (shipped / f"{model}{WEIGHTS}").is_file()


def _installed(engine: Engine) -> bool:
    return all(map(is_there, _PACKAGES[engine]))


def is_there(package: str) -> bool:
    """Whether a package is installed."""
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # of hooks that keep it out, as in frozen programs
        return False
