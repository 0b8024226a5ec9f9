"""What the paper claims, measured: `ccsr analyze NAME`."""

from collections.abc import Callable

from ccsr.analysis import alignment, consistency, ensembles, equivariance, kernels
from ccsr.analysis.findings import Findings, Options

Analysis = Callable[[Options], Findings]

ANALYSES: dict[str, tuple[Analysis, str]] = {
    "alignment": (alignment.analyse, "where stacks of resizing layers put the image"),
    "consistency": (consistency.analyse, "one image enlarged by many factors, compared"),
    "ensembles": (ensembles.analyse, "what averages over grids and flips gain and cost"),
    "kernels": (kernels.analyse, "learned filters as continuous surfaces"),
    "equivariance": (equivariance.analyse, "what a layer does when its input moves"),
}
