"""This package writes networks as ONNX files. It needs onnx: `pip install 'ccsr[export]'`."""

from ccsr.export.files import save
from ccsr.export.network import to_onnx

__all__ = ["save", "to_onnx"]
