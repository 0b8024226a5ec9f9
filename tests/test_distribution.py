"""What is said of packages that are missing, by which distribution is installed."""

from importlib import metadata

import pytest

from ccsr.distribution import remedy


@pytest.mark.parametrize(
    ("installed", "extra", "expected"),
    [
        ({"ccsr"}, "web", "pip install 'ccsr[web]'"),
        ({"ccsr", "ccsr-onnx"}, "", "pip install torch safetensors"),
        (set(), "heif", "pip install 'ccsr[heif]'"),  # a checkout
        ({"ccsr-onnx"}, "heif", "pip install 'ccsr-onnx[heif]'"),
        ({"ccsr-onnx"}, "web", "pip uninstall ccsr-onnx, then pip install 'ccsr[web]'"),
        ({"ccsr-onnx"}, "", "pip uninstall ccsr-onnx, then pip install ccsr"),
    ],
)
def test_no_second_distribution_is_named(
    installed: set[str], extra: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(metadata, "version", version)
    assert remedy(extra) == expected
