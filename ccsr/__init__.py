"""ccsr: one small network that enlarges images by any factor, with continuous convolutions.

Example:
    >>> from ccsr import Upscaler
    >>> big = Upscaler.load("light")(image, scale=2.37)
"""

from typing import TYPE_CHECKING

__all__ = ["CCLayer", "ProjectedGrid", "Upscaler", "__version__", "image", "resize", "sizes"]
__version__ = "0.1.0"

# The module that each public name comes from; `image` and `sizes` are modules themselves. They are
# imported when they are first used, because `import ccsr` and the command line's help must not wait
# for torch.
_HOMES = {
    "CCLayer": "ccsr.model",
    "ProjectedGrid": "ccsr.grid",
    "Upscaler": "ccsr.upscaling.upscaler",
    "image": "ccsr.image",
    "resize": "ccsr.resample",
    "sizes": "ccsr.sizes",
}

if TYPE_CHECKING:
    from ccsr import image, sizes
    from ccsr.grid import ProjectedGrid
    from ccsr.model import CCLayer
    from ccsr.resample import resize
    from ccsr.upscaling.upscaler import Upscaler
else:
    # Type checkers do not see this function: they would believe that every name exists.
    def __getattr__(name: str) -> object:
        """Import a public name from the module that defines it."""
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module 'ccsr' has no attribute {name!r}")
        try:
            module = import_module(_HOMES[name])
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            from ccsr.distribution import remedy

            needed = f"ccsr.{name} needs torch, which is not installed: run {remedy()}"
            raise ModuleNotFoundError(needed, name="torch") from error
        return module if _HOMES[name] == f"ccsr.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    """List the public names too that are not imported yet."""
    return sorted({*globals(), *__all__})
