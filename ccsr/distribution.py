"""Which of the two distributions of ccsr is installed, and what brings a missing package."""

from importlib import metadata

_SMALL = "ccsr-onnx"
_SMALL_EXTRAS = {"heif", "exr", "remote"}


def remedy(extra: str = "") -> str:
    """What to run for an extra, or without one for torch, as words behind "run".

    The small distribution has few extras, and the other one must take its place for the rest: both
    in one environment share their files.
    """
    if not _is_small():
        return f"pip install 'ccsr[{extra}]'" if extra else "pip install torch safetensors"
    if extra in _SMALL_EXTRAS:
        return f"pip install '{_SMALL}[{extra}]'"
    whole = f"'ccsr[{extra}]'" if extra else "ccsr"
    return f"pip uninstall {_SMALL}, then pip install {whole}"


def _is_small() -> bool:
    """Whether only the distribution without torch is installed."""
    found = []
    for name in ("ccsr", _SMALL):
        try:
            found.append(metadata.version(name))
        except metadata.PackageNotFoundError:
            found.append("")
    whole, small = found
    return bool(small) and not whole
