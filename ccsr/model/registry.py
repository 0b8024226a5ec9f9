"""Names in configs and checkpoints -> classes of ours. Nothing else can be constructed by name."""

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

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
        raise ValueError(f"unknown {kind} {name!r}: {_near(str(name), registry)}")
    cls = registry[name]
    allowed = [p for p in inspect.signature(cls).parameters if p not in fixed]
    for key in arguments:
        if key not in allowed:
            raise ValueError(f"{kind} {name!r} has no argument {key!r}: {_near(key, allowed)}")
    try:
        return cls(**arguments, **fixed)
    except TypeError as error:
        raise ValueError(f"{kind} {name!r}: {error}") from error


def _near(word: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(known)}"
