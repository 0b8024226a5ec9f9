"""Networks as ONNX files. Needs the package onnx: `pip install 'ccsr[export]'`."""

from ccsr.export.network import save, to_onnx

__all__ = ["save", "to_onnx"]
