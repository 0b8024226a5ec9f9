"""Which of the two distributions of ccsr is installed, and what brings a missing package."""

from importlib import metadata

_SMALL = "ccsr-onnx"
_SMALL_EXTRAS = {"heif", "exr", "remote"}


def remedy(extra: str = "") -> str:
    """What to run for an extra, or without one for torch, as words behind "run".

    The small distribution has few extras, and the other one must take its place for the rest: both
    in one environment share their files.
    """
    if _has("ccsr") or not _has(_SMALL):  # a checkout has none of the two
        return f"pip install 'ccsr[{extra}]'" if extra else "pip install torch safetensors"
    if extra in _SMALL_EXTRAS:
        return f"pip install '{_SMALL}[{extra}]'"
    whole = f"'ccsr[{extra}]'" if extra else "ccsr"
    return f"pip uninstall {_SMALL}, then pip install {whole}"


def _has(name: str) -> bool:
    """Whether a distribution is installed."""
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
