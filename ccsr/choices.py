"""The words that a person may choose from, each list once.

What they choose lies elsewhere, and takes its words from here; so do the parsers, which must know
them before anything is imported that is slow.
"""

from typing import Literal

FileFormat = Literal["same", "png", "jpg", "webp", "tiff", "avif"]
Policy = Literal["keep", "no-gps", "strip"]
Precision = Literal["auto", "fp32", "bf16"]
Engine = Literal["auto", "torch", "onnx"]
Exists = Literal["error", "skip", "overwrite"]
Shell = Literal["bash", "zsh", "tcsh"]
Table = Literal["text", "markdown", "latex"]
Encoder = Literal["light", "small"]  # that heads are compared on
