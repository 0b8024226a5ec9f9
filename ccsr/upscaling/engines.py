"""What computes a network: torch, or onnxruntime, which is small and starts fast."""

from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from ccsr.choices import Engine

ONNX = ".onnx"
_PACKAGES: dict[str, str] = {"torch": "torch", "onnx": "onnxruntime"}


def choose_engine(engine: str, model: str | Path) -> Engine:
    """The engine for a model: that which is asked for, or by `auto` one that is installed.

    That is torch where it is: it has every model, GPUs and bfloat16, and results do not change
    because another package was installed too.

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
            raise ValueError(
                f"the engine {chosen} needs the package {_PACKAGES[chosen]}, which is not "
                f"installed: run pip install {_PACKAGES[chosen]}"
            )
        return chosen
    if _installed("torch") and not exported:
        return "torch"
    if _installed("onnx"):
        return "onnx"
    raise ValueError(
        "enlarging needs torch or onnxruntime, and neither is installed: run pip install torch "
        "(all models, GPUs), or pip install onnxruntime (small)"
        if not exported
        else f"{model} needs the package onnxruntime, which is not installed: run pip install "
        "onnxruntime"
    )


def _installed(engine: Engine) -> bool:
    try:
        return find_spec(_PACKAGES[engine]) is not None
    except (ImportError, ValueError):  # of hooks that keep it out, as in frozen programs
        return False
