"""Write the pages of the package's docstrings into a folder: `make docs`."""

import argparse
import pkgutil
import warnings
from pathlib import Path

import pdoc

import ccsr


def roots() -> list[str]:
    """List the modules that pdoc must be told of: those that it does not find by itself.

    In a package with `__all__` pdoc sees no other modules. `ccsr.__main__` has no page, since its
    import would run the command.
    """
    told: list[str] = []
    seen = {"ccsr.__main__"}
    names = [module.name for module in pkgutil.walk_packages(ccsr.__path__, "ccsr.")]
    for name in ["ccsr", *names]:
        if name not in seen:
            told.append(name)
            seen.update(pdoc.extract.walk_specs([name]))
    return told


def write(folder: Path) -> None:
    """Write one HTML page per module.

    Args:
        folder: where the pages go; the one to open first is `index.html`.

    Raises:
        Warning: a name, an annotation or an import cannot be resolved.
    """
    for package in (ccsr, ccsr.image):  # pdoc does not see what is imported when it is first used
        for name in package.__all__:
            setattr(package, name, getattr(package, name))
    pdoc.render.configure(docformat="google", footer_text=f"ccsr {ccsr.__version__}")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module=r"(ccsr|pdoc)\b")
        # what classes of ours inherit from Pillow has annotations that only its authors can resolve
        warnings.filterwarnings("ignore", message=r"(?s).*(for PIL\.|core\.ImagingCore)")
        # torch is imported for type checkers alone where an engine without it must do; the
        # constructors that Python makes for records do not tell pdoc where to look
        warnings.filterwarnings("ignore", message=r"(?s).*Import of (Tensor|torch) failed")
        pdoc.pdoc(*roots(), output_directory=folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the pages of the package's docstrings.")
    parser.add_argument("folder", type=Path, help="where they go")
    write(parser.parse_args().folder)
