"""How long each part of a network takes while the upscaler runs it."""

import time
from collections.abc import Callable
from typing import Any

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
        self._watch("encoder", model, "features")
        self._watch("read", model, "read")
        self._watch("stack", model.stack, "forward")
        self._watch("decoder", model.decoder, "forward")
        for number, layer in enumerate(model.stack.layers, 1):
            self._watch(f"cc {number}", layer, "forward")

    def reset(self) -> None:
        """Begin anew."""
        self._seconds = {"encoder": 0.0}  # which does not run where features are kept

    def seconds(self) -> dict[str, float]:
        """Per part."""
        parts = dict(self._seconds)
        read = parts.pop("read")
        base = read - parts["stack"] - parts["decoder"]
        return parts | {"base": base, "network": parts["encoder"] + read}

    def _watch(self, name: str, owner: Any, method: str) -> None:
        run: Callable[..., Any] = getattr(owner, method)

        def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            result = run(*arguments)
            elapsed = time.perf_counter() - started
            self._seconds[name] = self._seconds.get(name, 0.0) + elapsed
            return result

        setattr(owner, method, timed)
