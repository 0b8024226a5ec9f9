"""What the paper claims, measured: `ccsr analyze NAME`."""

from collections.abc import Callable
from typing import NamedTuple

from ccsr.analysis import (
    alignment,
    consistency,
    degradation,
    effort,
    ensembles,
    equivariance,
    gradual,
    heads,
    kernels,
)
from ccsr.analysis.findings import Findings, Options


class Analysis(NamedTuple):
    """One of the analyses.

    Attributes:
        run: measures, and returns what was found.
        text: what the command line says it is about.
        reads: the flags of `ccsr analyze` that concern it, beside --out.
        trains: those of them that concern networks that it trains, none of which is given.
    """

    run: Callable[[Options], Findings]
    text: str
    reads: tuple[str, ...] = ()
    trains: tuple[str, ...] = ()


ANALYSES = {
    "alignment": Analysis(alignment.analyse, "where stacks of resizing layers put the image"),
    "equivariance": Analysis(
        equivariance.analyse, "what a layer does when its input moves", ("model", "data")
    ),
    "consistency": Analysis(
        consistency.analyse, "one image enlarged by many factors, compared", ("model", "data")
    ),
    "gradual": Analysis(
        gradual.analyse,
        "one CC layer against several of equal cost (trains them)",
        ("data", "limit", "steps"),
    ),
    "degradation": Analysis(
        degradation.analyse,
        "PSNR over the quality of JPEG and over noise",
        ("model", "data", "limit"),
    ),
    "effort": Analysis(
        effort.analyse,
        "time against quality of a network whose cost is a dial",
        ("model", "data", "limit"),
    ),
    "ensembles": Analysis(
        ensembles.analyse,
        "what averages over grids and flips gain and cost",
        ("model", "data", "limit"),
    ),
    "heads": Analysis(
        heads.analyse,
        "heads of other papers beside ours on one encoder (trains them)",
        ("model", "data", "test", "encoder", "limit", "steps"),
        ("data", "encoder", "steps"),
    ),
    "kernels": Analysis(kernels.analyse, "learned filters as continuous surfaces", ("model",)),
}
