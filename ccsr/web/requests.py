"""What browsers ask for, checked before anything else sees it."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from ccsr import image, sizes
from ccsr.choices import FileFormat, Policy
from ccsr.grid import LARGEST_SIDE
from ccsr.jobs.target import Target
from ccsr.web.views import Window

LARGEST_FACTOR = 1000.0
LARGEST_TYPED = 64.0  # a larger number that is typed is a side in pixels
LONGEST_TEXT = 200  # characters
_TYPED = re.compile(
    r"(?P<kind>longest|shortest|width|height|fit|cover|at least)? ?(?P<first>\d*\.?\d+)"
    r"(?: ?[x*] ?(?P<second>\d*\.?\d+))? ?(?P<unit>px|mp|megapixels)?"
)
_SIDES: Mapping[str, Callable[[int], Target]] = {
    "": lambda n: Target(rule=sizes.longest(n)),
    "longest": lambda n: Target(rule=sizes.longest(n)),
    "shortest": lambda n: Target(rule=sizes.shortest(n)),
    "width": lambda n: Target(width=n),
    "height": lambda n: Target(height=n),
}
_BOXES: Mapping[str, Callable[[int, int], Target]] = {
    "": lambda w, h: Target(None, h, w),
    "fit": lambda w, h: Target(rule=sizes.fit((h, w))),
    "cover": lambda w, h: Target(rule=sizes.cover((h, w))),
    "at least": lambda w, h: Target(rule=sizes.at_least((h, w))),
}
VIEW = (
    "picture", "target", "left", "top", "width", "height", "methods", "divider", "tab",
)  # fmt: skip
_TELL = (
    "Type a factor such as 2.37, pixels such as 1920x1080, a side such as 3000 or shortest 800, "
    "fit, cover or at least 1920x1080, 12 mp, or paper such as 30x20cm@300"
)


class Wish(NamedTuple):
    """A size that a person typed: how large, and the resolution if it is one on paper."""

    target: Target
    dpi: float | None = None


def typed(text: str) -> Wish:
    """What a person types for a size.

    `2.37` or `2x1.5` are factors up to 64; `1920x1080` is a size, `3000` or `48px` the longest
    side; then there are the rules of `ccsr.sizes`, as in `shortest 800`, `fit 1920x1080`, `12 mp`
    and `30x20cm@300`.

    Raises:
        ValueError: for anything else.
    """
    if len(text) > LONGEST_TEXT:
        raise ValueError(_TELL)
    words = " ".join(text.lower().replace(",", ".").replace("×", "x").split())
    if "@" in words:
        return Wish(*_on_paper(words.removeprefix("print ")))
    match = _TYPED.fullmatch(words)
    numbers = [float(n) for n in (match["first"], match["second"]) if n] if match else [0.0]
    if not match or not all(math.isfinite(n) and n > 0 for n in numbers):
        raise ValueError(_TELL)
    kind, unit = match["kind"], match["unit"]
    if unit in ("mp", "megapixels") and len(numbers) == 1 and not kind:
        return Wish(Target(rule=sizes.megapixels(numbers[0])))
    if not kind and not unit and max(numbers) <= LARGEST_TYPED:
        return Wish(Target((numbers[-1], numbers[0])))
    choices: Mapping[str, Callable[..., Target]] = _SIDES if len(numbers) == 1 else _BOXES
    wanted = choices.get(kind or "")
    whole_ones = all(n.is_integer() and n <= LARGEST_SIDE for n in numbers)
    if wanted is None or unit in ("mp", "megapixels") or not whole_ones:
        raise ValueError(_TELL)
    return Wish(wanted(*map(int, numbers)))


def _on_paper(text: str) -> tuple[Target, float]:
    rule, dpi = sizes.paper(text)
    return Target(rule=rule), dpi


def target(given: Any) -> Target:
    """`{"scale": [vertical, horizontal]}`, or `{"text": ...}`, see `typed`.

    Raises:
        ValueError: for anything else.
    """
    return wish(given).target


def wish(given: Any) -> Wish:
    """A target with the resolution that it asks for.

    Raises:
        ValueError: as `target`.
    """
    fields = known(given, "a target", "scale", "text")
    if set(fields) == {"scale"}:
        factors = fields["scale"]
        if isinstance(factors, list) and len(factors) == 2 and all(map(_is_factor, factors)):
            return Wish(Target((float(factors[0]), float(factors[1]))))
        raise ValueError(
            f"scale must be two factors up to {LARGEST_FACTOR:g}, vertical and horizontal, got "
            f"{factors!r}"
        )
    if set(fields) == {"text"} and isinstance(fields["text"], str):
        return typed(fields["text"])
    raise ValueError(f"a target is a scale or a text, got {given!r}")


def view(given: Any) -> Window:
    """A window to be shown.

    Raises:
        ValueError: for anything else.
    """
    fields = known(given, "a view", *VIEW)
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
        ValueError: for an unknown format or policy, a quality out of range, or another type.
    """
    fields = known(given, "an output", "format", "quality", "lossless", "background", "metadata")
    quality, background = fields.get("quality"), fields.get("background")
    lossless = fields.get("lossless", False)
    if not isinstance(lossless, bool):
        raise ValueError(f"lossless must be true or false, got {lossless!r}")
    if background is not None and not (isinstance(background, list) and len(background) == 3):
        raise ValueError(f"background must be red, green and blue, got {background!r}")
    return image.Output(
        cast(FileFormat, fields.get("format")),
        None if quality is None else whole(quality, "quality", 1, 100),
        lossless,
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


def known(given: Any, what: str, *names: str) -> dict[str, Any]:
    """Something with fields of these names only; each may be missing.

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(given, dict):
        raise ValueError(f"expected {what}, an object of JSON, got {type(given).__name__}")
    if unknown := [name for name in given if name not in names]:
        raise ValueError(f"{what} has the fields {', '.join(names)}, got {', '.join(unknown)} too")
    return given


def _is_factor(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value <= LARGEST_FACTOR  # no NaN is


def _colour(values: list[Any]) -> tuple[int, int, int]:
    red, green, blue = (whole(value, "background", 0, 255) for value in values)
    return red, green, blue
