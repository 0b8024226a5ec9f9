"""Settings by their names; every message of a check has the name as it is written."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args


def number(name: str, value: object, interval: str = "[0, inf)") -> float:
    """The value of a setting as a float.

    Args:
        name: of the setting, `module.decay`.
        value: what it was given.
        interval: what it must lie in, `[0, 1)`.

    Raises:
        ValueError: if it is no number, or lies elsewhere.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{name} must be a number, got {value!r}")
    least, most = (float(end) for end in interval[1:-1].split(","))
    above = value > least or (value == least and interval[0] == "[")
    below = value < most or (value == most and interval[-1] == "]")
    if not (above and below):
        where = f"be in {interval}"
        if interval == "[0, inf)":
            where = "not be negative" if value < 0 else "be finite"
        raise ValueError(f"{name} must {where}, got {value}")
    return float(value)


def numbers(
    name: str, values: object, interval: str = "[0, inf)", count: int | None = None
) -> list[float]:
    """The value of a setting that is a list of numbers, `count` of them if that is given.

    Raises:
        ValueError: if it is none, or see :func:`number`.
    """
    wanted = f"a list of {count} numbers" if count else "a list of numbers"
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise ValueError(f"{name} must be {wanted}, got {values!r}")
    if count is not None and len(values) != count:
        raise ValueError(f"{name} must be {wanted}, got {list(values)}")
    return [number(name, value, interval) for value in values]


def whole(name: str, value: object, least: int = 1, most: float = math.inf) -> int:
    """The value of a setting that is an integer.

    Raises:
        ValueError: if it is none, or beyond `least`, which is 0 or 1, or `most`.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if least <= value <= most:
            return value
        if value > most:
            raise ValueError(f"{name} must be at most {most}, got {value}")
        if not least:
            raise ValueError(f"{name} must not be negative, got {value}")
    wanted = "a positive integer" if least else "an integer"
    raise ValueError(f"{name} must be {wanted}, got {value!r}")


def flag(name: str, value: object) -> bool:
    """The value of a setting that is true or false.

    Raises:
        ValueError: if it is neither: any other text would count as true.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r}")
    return value


def choice(name: str, value: object, literal: Any) -> str:
    """The value of a setting that is one of a `Literal`'s words.

    Raises:
        ValueError: if it is none of them.
    """
    words = cast("tuple[str, ...]", get_args(literal))
    if value not in words:
        raise ValueError(f"{name} must be {', '.join(words[:-1])} or {words[-1]}, got {value!r}")
    return str(value)


def flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested mappings by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
