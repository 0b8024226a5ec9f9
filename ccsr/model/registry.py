"""Names in configs and checkpoints -> classes of ours. Nothing else can be constructed by name."""

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from ccsr.suggest import near

T = TypeVar("T")


def construct(
    kind: str, registry: Mapping[str, type[T]], config: Mapping[str, Any], **fixed: Any
) -> T:
    """Construct `registry[config["name"]]` with the other items of `config` and `fixed`.

    Args:
        kind: what is being constructed, for messages: "encoder".
        registry: the names that may be used.
        config: `{name: ..., **arguments}`.
        **fixed: arguments that the caller decides.

    Raises:
        ValueError: for a missing or unknown name or argument; names what is near.
    """
    arguments = dict(config)
    name = arguments.pop("name", None)
    if name not in registry:
        raise ValueError(f"unknown {kind} {name!r}: {near(str(name), registry)}")
    cls = registry[name]
    allowed = [p for p in inspect.signature(cls).parameters if p not in fixed]
    for key in arguments:
        if key not in allowed:
            raise ValueError(f"{kind} {name!r} has no argument {key!r}: {near(key, allowed)}")
    try:
        return cls(**arguments, **fixed)
    except TypeError as error:
        raise ValueError(f"{kind} {name!r}: {error}") from error
