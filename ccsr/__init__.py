"""ccsr: one small network that enlarges images by any factor, with continuous convolutions.

Example:
    >>> from ccsr import Upscaler
    >>> big = Upscaler.load("light")(image, scale=2.37)
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccsr.upscaling.upscaler import Upscaler

__all__ = ["Upscaler", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import `Upscaler` on first use: `import ccsr` alone must not load torch."""
    if name == "Upscaler":
        from ccsr.upscaling.upscaler import Upscaler

        return Upscaler
    raise AttributeError(f"module 'ccsr' has no attribute {name!r}")
