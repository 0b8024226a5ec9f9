"""Where the files that come with ccsr are, in a checkout and in an installed package."""

from pathlib import Path
from typing import Literal

Resource = Literal["conf", "checkpoints", "samples", "open", "benchmarks"]

_PACKAGE = Path(__file__).resolve().parent
_IN_CHECKOUT: dict[Resource, str] = {
    "conf": "conf",
    "checkpoints": "checkpoints",
    "samples": "data/samples",
    "open": "data/open",
    "benchmarks": "data/benchmarks",
}


def resource_dir(name: Resource) -> Path:
    """Folder of the configurations, the checkpoints, the samples or the lists of data sets.

    Raises:
        FileNotFoundError: if this installation has no such folder.
    """
    candidates = (_PACKAGE / name, _PACKAGE.parent / _IN_CHECKOUT[name])
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(
        f"no folder {name!r} of ccsr at {candidates[0]} or {candidates[1]}: "
        "the installation is incomplete, install ccsr again"
    )
