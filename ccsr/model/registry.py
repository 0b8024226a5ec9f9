"""Names in configs and checkpoints -> classes of ours. Nothing else can be constructed by name."""

import builtins
import inspect
import math
from collections.abc import Mapping
from numbers import Integral
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

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
        ValueError: for a missing or unknown name, an unknown argument, or one of another type;
            names what is near.
    """
    arguments = dict(config)
    name = arguments.pop("name", None)
    if name not in registry:
        raise ValueError(f"unknown {kind} {name!r}: {near(str(name), registry)}")
    cls = registry[name]
    parameters = inspect.signature(cls).parameters
    allowed = [key for key in parameters if key not in fixed]
    for key, value in arguments.items():
        if key not in allowed:
            raise ValueError(f"{kind} {name!r} has no argument {key!r}: {near(key, allowed)}")
        if not _fits(value, parameters[key].annotation):
            expected = inspect.formatannotation(parameters[key].annotation)
            raise ValueError(f"{kind} {name!r} expects {expected} as {key!r}, got {value!r}")
    try:
        return cls(**arguments, **fixed)
    except TypeError as error:
        raise ValueError(f"{kind} {name!r}: {error}") from error


def check_counts(**counts: object) -> None:
    """Raise ValueError unless each is a whole number of at least 1."""
    for name, value in counts.items():
        if type(value) is bool or not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def _fits(value: object, annotation: Any) -> bool:
    """Whether a plain value, as files and configurations hold them, is of the annotated type."""
    if isinstance(annotation, UnionType):
        return any(_fits(value, each) for each in get_args(annotation))
    match get_origin(annotation) or annotation:
        case builtins.int:
            return isinstance(value, int) and not isinstance(value, bool)
        case builtins.float:
            return _fits(value, int) or (isinstance(value, float) and math.isfinite(value))
        case type() as kind if kind is not inspect.Parameter.empty:
            return isinstance(value, kind)
    return True  # not annotated, or in a way that says nothing of plain values
