"""Picture files: one way in, one way out, and to tensors and back.

`read` gives a `Picture`: upright levels of 8 or 16 bit, all frames, and what the file says about
itself. `write` takes it (or a picture of Pillow) back; `check_output` and `check` refuse, before
any work, what `write` could not do.
"""

from typing import TYPE_CHECKING

from ccsr.image.folders import images_in
from ccsr.image.formats import (
    CHOICES,
    DEFAULT,
    READABLE,
    Output,
    check,
    check_output,
    named_as_image,
    suffix_for,
)
from ccsr.image.limits import limit_frames, limit_pixels
from ccsr.image.metadata import Metadata
from ccsr.image.modes import Levels
from ccsr.image.opening import steady_warnings
from ccsr.image.picture import Picture
from ccsr.image.reading import Header, probe, read
from ccsr.image.writing import write

if TYPE_CHECKING:
    from ccsr.image.tensors import (
        from_array,
        opaque,
        read_rgb,
        to_array,
        to_float,
        to_image,
        to_tensor,
        to_uint8,
    )
else:
    # Type checkers do not see this function: they would believe that every name exists.
    def __getattr__(name: str) -> object:
        """Import what makes tensors when it is first used: not before it, torch must be there."""
        if name not in __all__:
            raise AttributeError(f"module 'ccsr.image' has no attribute {name!r}")
        from ccsr.image import tensors

        return getattr(tensors, name)


__all__ = [
    "CHOICES",
    "DEFAULT",
    "READABLE",
    "Header",
    "Levels",
    "Metadata",
    "Output",
    "Picture",
    "check",
    "check_output",
    "from_array",
    "images_in",
    "limit_frames",
    "limit_pixels",
    "named_as_image",
    "opaque",
    "probe",
    "read",
    "read_rgb",
    "steady_warnings",
    "suffix_for",
    "to_array",
    "to_float",
    "to_image",
    "to_tensor",
    "to_uint8",
    "write",
]
