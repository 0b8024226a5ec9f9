"""What the results of a run are called."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter

from ccsr.bundled import resource_dir
from ccsr.grid import Size, scale_text
from ccsr.image import READABLE
from ccsr.jobs.places import Place
from ccsr.jobs.target import LABEL, Target

_NUMBER = r"[\d.e+-]+"
_FIELDS = {  # and what stands for them in a name
    "stem": r".+",
    "label": LABEL,
    "scale": rf"{_NUMBER}(?:x{_NUMBER})?",
    "width": r"\d+",
    "height": r"\d+",
    "model": "",
}
_MEASURED = {"scale", "width", "height"}


@dataclass(frozen=True)
class Naming:
    """A template of names, without their suffix.

    Its fields are `{stem}`, the input's name without suffix; `{width}` and `{height}` of the
    result; `{scale}`, as `2.37` or `2x1.5` (WIDTHxHEIGHT); `{model}`; and `{label}`, the target
    as a person asked for it, such as `2.37x` or `1920w`.

    Attributes:
        template: the text with the fields.
        model: the name of the network.

    Raises:
        ValueError: for a template with other fields, without any, or that is no plain name.
    """

    template: str = "{stem}_{label}"
    model: str = ""

    def __post_init__(self) -> None:
        if not self._fields:
            raise ValueError(
                f"expected a name with a field such as {{stem}} in it, got {self.template!r}: "
                "all results would be called the same"
            )
        if re.search(r"[/\\\0]", self.template):
            raise ValueError(
                f"expected a name, got {self.template!r}, a path: name the folder by -o"
            )
        suffix = Path(self.template).suffix.lower()
        if suffix in READABLE:
            raise ValueError(
                f"expected a name without suffix, got {self.template!r}: choose it by --format"
            )

    @property
    def measured(self) -> bool:
        """Whether the picture's size must be known to name its result."""
        return not _MEASURED.isdisjoint(self._fields)

    def name(self, source: Place, target: Target, size: Size | None = None) -> str:
        """The name, without suffix, of the result of `source`.

        Args:
            source: the picture's file.
            target: what is asked for.
            size: (h, w) of the picture, if `measured`.
        """
        values = {"stem": source.stem, "label": target.label, "model": self.model}
        if size is not None:
            height, width = target.size(size)
            values |= {"width": str(width), "height": str(height)}
            values["scale"] = _scale(target, size, (height, width))
        return self.template.format_map(values)

    def origin(self, stem: str) -> str | None:
        """The stem of a picture whose result, of any target, is called `stem`; None if none is."""
        return self._read(stem).get("stem")

    def is_size(self, stem: str, size: Size) -> bool:
        """Whether the size (H, W) of a picture is the one, if any, that its name `stem` tells."""
        told = self._read(stem)
        sides = {"height": str(size[0]), "width": str(size[1])}
        return all(told.get(name, side) == side for name, side in sides.items())

    def _read(self, stem: str) -> dict[str, str]:
        """What a name says; nothing if it is none of a result."""
        match = re.fullmatch(self._pattern, stem, re.DOTALL)
        return match.groupdict() if match else {}

    @property
    def _pattern(self) -> str:
        fields = _FIELDS | {"model": "|".join(map(re.escape, {self.model, *_shipped()}))}
        pattern, seen = "", set()
        for literal, field, _, _ in Formatter().parse(self.template):
            pattern += re.escape(literal)
            if field is not None:
                pattern += f"(?P={field})" if field in seen else f"(?P<{field}>{fields[field]})"
                seen.add(field)
        return pattern

    @property
    def _fields(self) -> list[str]:
        try:
            parts = list(Formatter().parse(self.template))
        except ValueError as error:
            raise ValueError(f"cannot read the name {self.template!r}: {error}") from error
        fields = [field for _, field, _, _ in parts if field is not None]
        formatted = any(spec or conversion for _, field, spec, conversion in parts if field)
        unknown = [field for field in fields if field not in _FIELDS]
        if unknown or formatted:
            known = ", ".join(f"{{{field}}}" for field in _FIELDS)
            raise ValueError(f"expected a name with no fields but {known}, got {self.template!r}")
        return fields


@cache
def _shipped() -> list[str]:
    """The names that results of our own models may have in them."""
    try:
        return ["auto", *(path.stem for path in resource_dir("checkpoints").glob("*.safetensors"))]
    except FileNotFoundError:
        return ["auto"]


def _scale(target: Target, before: Size, after: Size) -> str:
    if target.scale:
        return scale_text(target.scale)
    vertical, horizontal = (float(f"{b / a:.4g}") for a, b in zip(before, after, strict=True))
    if target.height and target.width:
        return scale_text((vertical, horizontal))
    longer = vertical if before[0] >= before[1] else horizontal  # the one that rounding hurts less
    return scale_text((longer, longer))
