"""What the paper claims, measured: `ccsr analyze NAME`."""

from collections.abc import Callable

from ccsr.analysis import alignment
from ccsr.analysis.findings import Findings, Options

Analysis = Callable[[Options], Findings]

ANALYSES: dict[str, tuple[Analysis, str]] = {
    "alignment": (alignment.analyse, "where stacks of resizing layers put the image"),
}
