"""Parts of networks are made from plain descriptions: our names, or trusted import paths."""

import builtins
import importlib
import inspect
import math
import re
from collections.abc import Collection, Mapping
from importlib.metadata import entry_points
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from ccsr.plain import is_whole
from ccsr.suggest import near

T = TypeVar("T")

_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def construct(
    kind: str,
    base: type[T],
    registry: Mapping[str, type[T]],
    config: Mapping[str, Any],
    **fixed: Any,
) -> T:
    """Construct `registry[config["name"]]` with the other items of `config` and `fixed`.

    A name such as `package.module:Class` is imported instead. Whoever takes the description from a
    file calls :func:`check_trusted` before.

    Args:
        kind: what is being constructed, for messages: "encoder".
        base: the class that it must be of.
        registry: the names that may be used.
        config: `{name: ..., **arguments}`.
        **fixed: arguments that the caller decides.

    Raises:
        ValueError: for a missing or unknown name, an unknown argument, or one of another type;
            names what is near. Also for an import path with nothing of that kind behind it.
    """
    arguments = dict(config)
    name = arguments.pop("name", None)
    if is_path(name):
        cls = imported(kind, name)
        if not (isinstance(cls, type) and issubclass(cls, base)):
            expected = f"{base.__module__}.{base.__qualname__}"
            raise ValueError(f"{kind} {name!r}: expected a class that inherits from {expected}")
    elif isinstance(name, str) and name in registry:
        cls = registry[name]
    else:
        raise ValueError(
            f"unknown {kind} {name!r}: {near(str(name), registry)}, or package.module:Class"
        )
    parameters = _parameters(cls)
    others = next((p for p in parameters.values() if p.kind is p.VAR_KEYWORD), None)
    allowed = {k: p for k, p in parameters.items() if p is not others and k not in fixed}
    for key, value in arguments.items():
        parameter = allowed.get(key, others)
        if parameter is None:
            raise ValueError(f"{kind} {name!r} has no argument {key!r}: {near(key, allowed)}")
        if not _fits(value, parameter.annotation):
            expected = inspect.formatannotation(parameter.annotation)
            raise ValueError(f"{kind} {name!r} expects {expected} as {key!r}, got {value!r}")
    try:
        return cls(**arguments, **fixed)
    except TypeError as error:
        raise ValueError(f"{kind} {name!r}: {error}") from error


def is_path(name: object) -> bool:
    """Say whether a name is an import path, `package.module:Class`."""
    return isinstance(name, str) and bool(_PATH.fullmatch(name))


def advertised(kind: str, name: object, own: Collection[str]) -> object:
    """Find the import path that an installed package gives a name, without importing anything.

    A package names its classes by entry points of the group `ccsr.encoder`, `ccsr.loss` and so on,
    after their kind.

    Args:
        kind: what is looked for: "encoder".
        name: of it.
        own: the names that are ours; no package can take one.

    Returns:
        The import path, or `name` where it is ours, a path already, or nobody's.

    Raises:
        ValueError: if two packages give different paths.
    """
    if not isinstance(name, str) or name in own or is_path(name):
        return name
    found = {f"{each.module}:{each.attr}" for each in entry_points(group=f"ccsr.{kind}", name=name)}
    if len(found) > 1:
        raise ValueError(
            f"several installed packages have a {kind} called {name!r}: give one of "
            f"{', '.join(sorted(found))}"
        )
    return found.pop() if found else name


def imported(kind: str, path: str) -> Any:
    """Import what a path names, which runs the code of that package.

    Raises:
        ValueError: if there is no such module, or no such name in it.
    """
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ValueError(
            f"{kind} {path!r}: {error}: install the package, or put its folder into PYTHONPATH"
        ) from error
    except AttributeError as error:
        raise ValueError(f"{kind} {path!r}: {module} has no {name!r}") from error


def packages(config: Mapping[str, Any]) -> set[str]:
    """List the packages, but ours, that the import paths in a description name."""
    found: set[str] = set()
    for value in config.values():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Mapping):
                found |= packages(each)
            elif is_path(each):
                found.add(re.split("[.:]", each)[0])
    return found - {"ccsr"}


def check_trusted(config: Mapping[str, Any], trust: Collection[str]) -> None:
    """Raise ValueError if a description names a package that is not trusted to run its code."""
    given = {trust} if isinstance(trust, str) else set(trust)
    for package in sorted(packages(config) - given):
        raise ValueError(
            f"it names classes of the package {package!r}, and to load it would run that code: if "
            f"you trust the package, give --trust {package} (to `ccsr train` trust=[{package}], in "
            f"Python trust=[{package!r}])"
        )


def check_counts(**counts: object) -> None:
    """Raise ValueError unless each is a whole number of at least 1."""
    for name, value in counts.items():
        if not is_whole(value, 1):
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def _parameters(cls: type) -> Mapping[str, inspect.Parameter]:
    """List what a class takes; types that are written as text are read, where that works."""
    try:
        return inspect.signature(cls, eval_str=True).parameters
    except (NameError, AttributeError, SyntaxError, TypeError):  # names for type checkers alone
        return inspect.signature(cls).parameters


def _fits(value: object, annotation: Any) -> bool:
    """Say whether a plain value, from a file or a configuration, is of the annotated type."""
    if get_origin(annotation) in (Union, UnionType):
        return any(_fits(value, each) for each in get_args(annotation))
    match get_origin(annotation) or annotation:
        case builtins.int:
            return isinstance(value, int) and not isinstance(value, bool)
        case builtins.float:
            return _fits(value, int) or (isinstance(value, float) and math.isfinite(value))
        case type() as kind if kind is not inspect.Parameter.empty:
            return isinstance(value, kind)
    return True  # not annotated, or in a way that says nothing of plain values
