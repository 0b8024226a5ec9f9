"""Results that are measured already, by the content of all that decides them.

A result lies in a file of its own, named by a digest of what decides it: the weights or the
picture, the test image, the scale, the protocol, the degradation, device and precision, and the
code that measures. So nothing that changed is ever taken for what it was, several runs can share a
folder, and a file that is damaged is one that is not there.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import ccsr
from ccsr.atomic import make_folder, replacing, sweep
from ccsr.evaluation.results import Scores
from ccsr.grid import Size

_DECIDES = (  # the code that numbers come from
    "grid", "metrics.py", "protocols.py", "resample.py", "device.py", "image", "model", "peers",
    "upscaling", "evaluation/cases.py", "evaluation/measure.py", "evaluation/methods.py",
    "evaluation/pictures.py",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """What is known of one method on one case.

    Attributes:
        lr_size: (h, w).
        hr_size: (H, W).
        scores: as they were measured, the seconds too.
        pixels: digest of the finished output.
    """

    lr_size: Size
    hr_size: Size
    scores: Scores
    pixels: str


class Cache:
    """A folder of results.

    Args:
        folder: which is made with the first result.
        warn: called once with a sentence, if results cannot be kept.

    Attributes:
        found: how many were there.
        kept: how many were added.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self.folder, self._warn = folder, warn
        self.found = self.kept = 0
        self._writes = True
        for place in folder.glob("??"):
            sweep(place)

    def get(self, content: Mapping[str, Any]) -> Measured | None:
        """The result of what `content` tells; None if it is not there, or cannot be read."""
        whole = _whole(content)
        try:
            read = json.loads(self._path(whole).read_text(encoding="utf-8"), parse_constant=_refuse)
            if read.pop("sum") != _sum(read) or read["content"] != whole:
                return None
            scores: dict[str, Any] = {
                name: None if value is None else float(value)
                for name, value in read["scores"].items()
            }
            lr_size, hr_size = ((int(h), int(w)) for h, w in (read["lr_size"], read["hr_size"]))
            result = Measured(lr_size, hr_size, Scores(**scores), str(read["pixels"]))
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None
        self.found += 1
        return result

    def put(self, content: Mapping[str, Any], result: Measured) -> None:
        """Keep a result; where that fails this is told, and later ones are not tried."""
        if not self._writes:
            return
        whole = _whole(content)
        path = self._path(whole)
        scores = {
            name: value if value is None or math.isfinite(value) else str(value)
            for name, value in asdict(result.scores).items()
        }
        told = {"content": whole, **asdict(result), "scores": scores}
        text = json.dumps({**told, "sum": _sum(told)}, allow_nan=False)
        try:
            make_folder(path)
            with replacing(path) as temporary:
                temporary.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            self._writes = False
            self._warn(f"results are not kept any more: {error}")
        else:
            self.kept += 1

    def _path(self, whole: Mapping[str, Any]) -> Path:
        name = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.json"


def _whole(content: Mapping[str, Any]) -> dict[str, Any]:
    """`content` with what measures it, as JSON gives it back."""
    measured_by = {"code": code(), "torch": torch.__version__, "pillow": version("pillow")}
    whole: dict[str, Any] = json.loads(json.dumps({**content, **measured_by}))
    return whole


def _sum(told: Mapping[str, Any]) -> str:
    """A digest of what a file tells, which a damaged one does not have."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _refuse(constant: str) -> float:
    raise ValueError(f"expected a number, got {constant}")


@cache
def code() -> str:
    """A digest of the source that numbers come from: with another one they are measured again."""
    package = Path(ccsr.__file__).parent
    found = hashlib.sha256(ccsr.__version__.encode())
    for name in _DECIDES:
        place = package / name
        for path in sorted(place.rglob("*.py")) or [place]:
            found.update(path.relative_to(package).as_posix().encode() + b"\0")
            found.update(path.read_bytes())
    return found.hexdigest()
