"""This package writes networks as ONNX files. It needs onnx: `pip install 'ccsr[export]'`."""

from ccsr.export.network import save, to_onnx

__all__ = ["save", "to_onnx"]
