"""How long each part of a network takes while the upscaler runs it."""

import time
from typing import Any

from torch import nn

from ccsr import Upscaler
from ccsr.model.network import parts_of


class Parts:
    """Seconds per part since the last :meth:`reset`.

    Parts: `network`, in it `encoder`, `stack` (all CC layers and what is between; `cc 1`, `cc 2`
    ... are the CC layers alone), `decoder`, and `base`, which is the rest.
    """

    def __init__(self, upscaler: Upscaler) -> None:
        model = parts_of(upscaler.model)
        self._seconds: dict[str, float] = {}
        watched: dict[str, nn.Module] = {
            "network": model,
            "encoder": model.encoder,
            "stack": model.stack,
            "decoder": model.decoder,
        }
        watched |= {f"cc {i}": layer for i, layer in enumerate(model.stack.layers, 1)}
        for name, module in watched.items():
            self._watch(name, module)

    def reset(self) -> None:
        """Begin anew."""
        self._seconds = {}

    def seconds(self) -> dict[str, float]:
        """Per part."""
        parts = self._seconds
        base = parts["network"] - parts["encoder"] - parts["stack"] - parts["decoder"]
        return parts | {"base": base}

    def _watch(self, name: str, module: nn.Module) -> None:
        started = 0.0

        def before(module: nn.Module, arguments: Any) -> None:
            nonlocal started
            started = time.perf_counter()

        def after(module: nn.Module, arguments: Any, result: Any) -> None:
            elapsed = time.perf_counter() - started
            self._seconds[name] = self._seconds.get(name, 0.0) + elapsed

        module.register_forward_pre_hook(before)
        module.register_forward_hook(after)
