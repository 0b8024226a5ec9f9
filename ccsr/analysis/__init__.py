"""What the paper claims, measured: `ccsr analyze NAME`."""

from collections.abc import Callable

from ccsr.analysis import (
    alignment,
    consistency,
    effort,
    ensembles,
    equivariance,
    gradual,
    kernels,
)
from ccsr.analysis.findings import Findings, Options

Analysis = Callable[[Options], Findings]

ANALYSES: dict[str, tuple[Analysis, str]] = {
    "alignment": (alignment.analyse, "where stacks of resizing layers put the image"),
    "equivariance": (equivariance.analyse, "what a layer does when its input moves"),
    "consistency": (consistency.analyse, "one image enlarged by many factors, compared"),
    "gradual": (gradual.analyse, "one CC layer against several of equal cost (trains them)"),
    "effort": (effort.analyse, "time against quality of a network whose cost is a dial"),
    "ensembles": (ensembles.analyse, "what averages over grids and flips gain and cost"),
    "kernels": (kernels.analyse, "learned filters as continuous surfaces"),
}
