"""An ONNX file: the graph of a network, and what the file says of itself."""

import json
from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx import helper

from ccsr import __version__
from ccsr.atomic import make_folder, replacing
from ccsr.export import windows
from ccsr.export.network import fixed_route, to_onnx
from ccsr.grid import Scale, Size, as_pair, as_size, scale_text
from ccsr.model import Network
from ccsr.model.checkpoint import JSON
from ccsr.model.network import parts_of

SUFFIX = ".onnx"


def save(
    path: str | Path,
    model: Network,
    scale: Scale | None,
    *,
    window: bool = False,
    size: Size | None = None,
    quality: float | None = None,
    name: str = "",
    summary: Mapping[str, JSON] | None = None,
) -> onnx.GraphProto:
    """Write what :func:`to_onnx` makes to `path`, whole or not at all, with metadata.

    Args:
        path: must end in `.onnx`.
        model: on any device.
        scale: baked in; None makes it an input.
        window: whether a window of the result is an input too, see :func:`to_onnx`.
        size: (h, w) of the only pictures that the file takes, see :func:`to_onnx`; None for any.
        quality: 1 to 100 as libjpeg counts, if all pictures were JPEGs of that; for a network that
            is conditioned on it.
        name: of the model.
        summary: of its checkpoint: licence, training, data sources.

    Returns:
        The graph, whose inputs and outputs have the names that a caller needs.

    Raises:
        ValueError: for another suffix, a quality that the network does not look at, or as
            :func:`to_onnx`.
        OSError: if the file system refuses.
    """
    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        raise ValueError(f"expected a file name that ends in {SUFFIX}, got {path}")
    if quality is not None and not model.conditioned:
        raise ValueError(
            f"quality {quality}: the network is not conditioned on the quality of JPEGs: leave "
            "it out, or take photo or photo-base"
        )
    size = None if size is None else as_size(size)
    summary, asks = summary or {}, window and model.conditioned and quality is None
    model = model if quality is None else model.at_quality(quality)
    exported = to_onnx(model, scale, window=window, size=size)
    told = {
        "ccsr": __version__,
        "model": name,
        "scale": "input" if scale is None else scale_text(as_pair(scale)),
        "licence": str(summary.get("licence", "unknown")),
        "summary": json.dumps(dict(summary), ensure_ascii=False),
        "layout": "NCHW, RGB",
        "range": "0 to 1",
    }
    if window:
        least, _ = fixed_route(parts_of(model))
        told |= {"window": "input", "least": f"{least:g}"}
        told["radius"] = str(windows.radius(parts_of(model), least))
    told |= {"cleans": "true"} if model.cleans else {}
    told |= {"quality": "input"} if asks else {}
    told |= {"quality": f"{quality:g}"} if quality is not None else {}
    told |= {"size": "{1}x{0}".format(*size)} if size else {}
    helper.set_model_props(exported, told)
    make_folder(path)
    with replacing(path) as temporary:
        temporary.write_bytes(exported.SerializeToString())
    return exported.graph
