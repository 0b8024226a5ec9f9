"""What browsers ask for, checked before anything else sees it."""

import math
from collections.abc import Mapping
from typing import Any, cast

from ccsr import image, sizes
from ccsr.choices import FileFormat, Policy
from ccsr.jobs.target import Target
from ccsr.web.views import Window

LARGEST_FACTOR = 1000.0
LARGEST_SIDE = 2**31 - 1


def target(given: Any) -> Target:
    """`{"scale": [vertical, horizontal]}`, or pixels: a width, a height, both, or the longest side.

    Raises:
        ValueError: for anything else.
    """
    fields = _mapping(given, "a target")
    if set(fields) == {"scale"}:
        factors = fields["scale"]
        if isinstance(factors, list) and len(factors) == 2 and all(map(_is_factor, factors)):
            return Target((float(factors[0]), float(factors[1])))
        raise ValueError(
            f"scale must be two factors up to {LARGEST_FACTOR:g}, vertical and horizontal, got "
            f"{factors!r}"
        )
    if fields and set(fields) <= {"width", "height"}:
        sides = {name: whole(value, name, 1, LARGEST_SIDE) for name, value in fields.items()}
        return Target(None, sides.get("height"), sides.get("width"))
    if set(fields) == {"longest"}:
        return Target(rule=sizes.longest(whole(fields["longest"], "longest", 1, LARGEST_SIDE)))
    raise ValueError(f"a target is a scale, a width, a height, both or the longest, got {given!r}")


def view(given: Any) -> Window:
    """A window to be shown.

    Raises:
        ValueError: for anything else.
    """
    fields = _mapping(given, "a view")
    left, top = (whole(fields.get(name), name) for name in ("left", "top"))
    width, height = (whole(fields.get(name), name, 1) for name in ("width", "height"))
    methods = fields.get("methods")
    if not (isinstance(methods, list) and len(methods) == 2 and set(map(type, methods)) == {str}):
        raise ValueError(f"methods must be two names, got {methods!r}")
    return Window(
        whole(fields.get("picture"), "picture"),
        target(fields.get("target")),
        left,
        top,
        width,
        height,
        (methods[0], methods[1]),
        whole(fields.get("divider"), "divider", -LARGEST_SIDE),
    )


def output(given: Any) -> image.Output:
    """How results are written.

    Raises:
        ValueError: for an unknown format or policy, or a quality out of range.
    """
    fields = _mapping(given, "an output")
    quality, background = fields.get("quality"), fields.get("background")
    if background is not None and not (isinstance(background, list) and len(background) == 3):
        raise ValueError(f"background must be red, green and blue, got {background!r}")
    return image.Output(
        cast(FileFormat, fields.get("format")),
        None if quality is None else whole(quality, "quality", 1, 100),
        fields.get("lossless") is True,
        None if background is None else _colour(background),
        cast(Policy, fields.get("metadata", "keep")),
    )


def whole(value: Any, name: str, least: int = 0, most: int = LARGEST_SIDE) -> int:
    """A whole number within bounds.

    Raises:
        ValueError: for anything else.
    """
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}, got {value!r}")
    return value


def _mapping(given: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"expected {what}, got {given!r}")
    return given


def _is_factor(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 < value <= LARGEST_FACTOR


def _colour(values: list[Any]) -> tuple[int, int, int]:
    red, green, blue = (whole(value, "background", 0, 255) for value in values)
    return red, green, blue
