"""Where output pixels look into the input: positions per axis, and the pixels around them.

An :class:`Axis` says at which input position each output index sits, a :class:`ProjectedGrid` is
one axis per dimension, and :func:`neighbours` lists the input pixels that a kernel centred there
covers. Everything that resamples in this package, the fixed kernels of :mod:`ccsr.resample` and
the learned ones of :mod:`ccsr.model.cc_layer`, reads these same positions.

Positions are in input pixels, pixel centres at integers, computed in float64.
"""

from ccsr.grid.projected_grid import (
    Anchor,
    Axis,
    ProjectedGrid,
    centred_origin,
    choose_grid,
    position,
    within,
    within_origin,
)
from ccsr.grid.sizes import (
    HALF,
    LARGEST_SIDE,
    Pair,
    Scale,
    Size,
    SizeRule,
    as_pair,
    as_size,
    checked_size,
    output_size,
    scale_text,
    size_of,
)
from ccsr.grid.support import (
    Neighbours,
    array_neighbours,
    first_pixel,
    is_remembered,
    is_traced,
    neighbours,
    reach,
)

__all__ = [
    "HALF",
    "LARGEST_SIDE",
    "Anchor",
    "Axis",
    "Neighbours",
    "Pair",
    "ProjectedGrid",
    "Scale",
    "Size",
    "SizeRule",
    "array_neighbours",
    "as_pair",
    "as_size",
    "centred_origin",
    "checked_size",
    "choose_grid",
    "first_pixel",
    "is_remembered",
    "is_traced",
    "neighbours",
    "output_size",
    "position",
    "reach",
    "scale_text",
    "size_of",
    "within",
    "within_origin",
]
