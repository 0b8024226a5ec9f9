"""Trained networks lie in safetensors files with JSON metadata.

Loading one executes nothing but the packages that the caller trusts.
"""

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from ccsr.atomic import replacing
from ccsr.bundled import resource_dir
from ccsr.model import Network, build, hub
from ccsr.model.registry import check_trusted, packages
from ccsr.suggest import near

JSON: TypeAlias = str | int | float | bool | Sequence["JSON"] | Mapping[str, "JSON"] | None

SUFFIX = ".safetensors"
CONFIG = "config.yaml"  # in the folder of a run of `ccsr train`, its settings
FINAL = f"model{SUFFIX}"  # in the folder of a run of `ccsr train`, when it has come to its end
FORMAT = 1
LARGEST_FILE = 4 << 30  # bytes
LARGEST_METADATA = 1 << 20  # characters
LARGEST_NUMBER = 4096  # in an architecture: channels, blocks
_FLOATS = ("F16", "BF16", "F32")


class Header(NamedTuple):
    """The description that a checkpoint holds of itself.

    Attributes:
        architecture: arguments of `ccsr.model.build`.
        summary: training, licence, data sources: as given to `save`.
        shapes: of each tensor.
    """

    architecture: dict[str, Any]
    summary: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(math.prod(shape) for shape in self.shapes.values())


def save(
    path: str | Path,
    model: Network,
    summary: Mapping[str, JSON],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write `model` to `path`, whole or not at all.

    Args:
        path: should end in `.safetensors`.
        model: on any device.
        summary: training, licence, data sources; anything that JSON can hold.
        dtype: of the stored weights, float32 or float16; `load` gives float32 in either case.

    Raises:
        ValueError: for another dtype, weights that are not finite in it, or a buffer of complex
            numbers, or of whole ones that float32 does not hold.
        OSError: if the file system refuses.
    """
    if dtype not in (torch.float32, torch.float16):
        raise ValueError(f"expected dtype float32 or float16, got {dtype}")
    weights = {name: _stored(name, value, dtype) for name, value in model.state_dict().items()}
    _check_finite(weights, f"cannot save {path}")
    metadata = {
        "ccsr": str(FORMAT),
        "architecture": json.dumps(model.architecture),
        "summary": json.dumps(dict(summary), ensure_ascii=False),
    }
    path = Path(path)
    with replacing(path) as temporary:
        # safetensors' own writer makes files that only their owner may read
        temporary.write_bytes(_ordered(serialize(weights, metadata)))


def _ordered(data: bytes) -> bytes:
    """The same file with its facts in order, so that equal networks are equal bytes."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[end:]


def load(path: str | Path, trust: Collection[str] = ()) -> tuple[Network, dict[str, Any]]:
    """Rebuild the network in `path`: float32, on the CPU, in evaluation mode; and its summary.

    Args:
        path: of the file.
        trust: the packages, but ours, whose classes the file may name. Of any other nothing is
            imported.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not a sound checkpoint of ccsr, or names a package that is not trusted.
    """
    path = Path(path)
    header = read_header(path)
    try:
        check_trusted(header.architecture, trust)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    described = {**header.architecture, "trust": trust}
    # the first learns the shapes without taking their memory, which other packages may not know
    devices = ["cpu"] if packages(header.architecture) else ["meta", "cpu"]
    for device in devices:
        model = _built(path, described, device)
        shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        _check_shapes(path, shapes, header.shapes)
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name).float() for name in header.shapes}
    _check_finite(weights, str(path))
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:  # buffers that cannot be written to
        raise ValueError(f"{path}: its weights cannot be restored: {error}") from error
    return model.eval(), header.summary


def _stored(name: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn weights, or a buffer, to what is written; what shares memory is written apart."""
    value = value.detach().cpu()
    if value.is_floating_point():
        return value.to(dtype, copy=True).contiguous()
    if not value.is_complex():
        stored = value.to(torch.float32)
        if stored.to(value.dtype).equal(value):
            return stored.contiguous()
    raise ValueError(
        f"cannot save the buffer {name!r} of type {value.dtype}: expected real numbers that "
        "float32 holds; make it in the constructor with persistent=False"
    )


def _built(path: Path, described: Mapping[str, Any], device: str) -> Network:
    try:
        with _untouched(), torch.device(device):
            return build(**described).float()  # whatever the caller's default is
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{path}: its architecture cannot be built: {error}") from error


def _untouched() -> AbstractContextManager[None]:
    """Give weights their first values without moving the caller's random numbers on."""
    return torch.random.fork_rng(devices=[])


def read_header(path: str | Path) -> Header:
    """Read what the checkpoint in `path` says of itself, without its weights.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not a checkpoint of ccsr.
    """
    path = Path(path)
    _check_kind(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            kinds = {name: part.get_dtype() for name, part in slices.items()}
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged, truncated or not a safetensors file ({error}): get it again"
        ) from error
    _check_version(path, metadata)
    for name, kind in kinds.items():
        if kind not in _FLOATS:
            raise ValueError(f"{path}: expected floats in {name!r}, got {kind}: get it again")
    return Header(_json(path, metadata, "architecture"), _json(path, metadata, "summary"), shapes)


def shipped() -> dict[str, Path]:
    """List the models that come with ccsr, by name."""
    try:
        folder = resource_dir("checkpoints")
    except FileNotFoundError:
        return {}
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def resolve(name_or_path: str | Path) -> Path:
    """Find the file of a shipped model's name, of a path, of a run's folder, or of a `hub` address.

    Raises:
        ValueError: if it is none of them; names what is near.
        FileNotFoundError: if it looks like a path and there is no such file, or none in the folder.
        OSError: if a file that lies elsewhere cannot be had.
        RuntimeError: if the package that fetches it is not installed.
    """
    models = shipped()
    name, path = str(name_or_path), Path(name_or_path)
    if not name:
        raise ValueError("the model is empty, which would be this folder: give a name or a file")
    if name.startswith(hub.PREFIX):
        return hub.fetch(name, LARGEST_FILE)
    if name in models:
        return models[name]
    if path.is_dir():
        return _kept(path)
    if path.exists():
        return path
    if path.suffix or path.name != name:
        raise FileNotFoundError(f"no model file at {path}: check the path, or see `ccsr models`")
    raise ValueError(f"no model called {name!r}: {near(name, models)}; or give a {SUFFIX} file")


def called(name_or_path: str | Path) -> str:
    """Give what tables call a model: its name, that of its file without suffix, or its folder's."""
    path = Path(name_or_path)
    return (path.name or path.resolve().name).removesuffix(SUFFIX)


def _kept(folder: Path) -> Path:
    """The model file in the folder of a run."""
    path = folder / FINAL
    if path.is_file():
        return path
    others = sorted(each.name for each in folder.glob(f"*{SUFFIX}"))
    hint = f"give {folder / others[0]}" if others else f"give a {SUFFIX} file"
    raise FileNotFoundError(
        f"the folder {folder} holds no {FINAL}, which `ccsr train` writes at its end: {hint}"
    )


def digest(path: str | Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_kind(path: Path) -> None:
    """Refuse what is not a safetensors file, above all pickles, before anything parses it."""
    if path.is_dir():
        raise IsADirectoryError(f"expected a {SUFFIX} file, got the folder {path}")
    if not path.exists():
        raise FileNotFoundError(f"no model file at {path}: check the path, or see `ccsr models`")
    if not path.is_file():  # opening a pipe waits for ever
        raise OSError(f"{path} is no regular file: expected a {SUFFIX} file")
    with path.open("rb") as stream:
        start = stream.read(9)
    if start[8:] != b"{":  # where a safetensors file's header begins
        if start[:1] == b"\x80" or start[:2] == b"PK":
            raise ValueError(
                f"{path} looks like a pickle (.pt, .pth, .ckpt), which can run code and is never "
                f"opened: give the {SUFFIX} file that `ccsr train` writes at its end"
            )
        raise ValueError(f"{path} is not a safetensors file: expected a model file of ccsr")
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path} is larger than any model of ccsr ({LARGEST_FILE >> 30} GiB)")


def _check_version(path: Path, metadata: Mapping[str, str]) -> None:
    version = metadata.get("ccsr")
    if version is None:
        raise ValueError(f"{path} is a safetensors file, but not of ccsr: it lacks its metadata")
    if version != str(FORMAT):
        raise ValueError(
            f"{path} has the format {version[:20]!r}, this ccsr reads {FORMAT}: upgrade ccsr"
        )


def _json(path: Path, metadata: Mapping[str, str], key: str) -> dict[str, Any]:
    text = metadata.get(key, "")
    try:
        if len(text) > LARGEST_METADATA:
            raise ValueError(f"more than {LARGEST_METADATA} characters")
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot read its {key}: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected a mapping as {key}, got {type(value).__name__}")
    if key == "architecture":
        _check_numbers(path, value)
    return value


def _check_numbers(path: Path, value: object) -> None:
    """Refuse numbers by which a file could make us fill the memory or compute for hours."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_numbers(path, item)
    elif isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:  # NaN too
        raise ValueError(
            f"{path}: expected names and numbers up to {LARGEST_NUMBER} in its architecture, "
            f"got {str(value)[:40]}"
        )


def _check_shapes(
    path: Path, expected: Mapping[str, tuple[int, ...]], got: Mapping[str, tuple[int, ...]]
) -> None:
    for name in expected.keys() | got.keys():
        if expected.get(name) != got.get(name):
            raise ValueError(
                f"{path}: its weights do not fit its architecture: expected "
                f"{expected.get(name, 'no tensor')} for {name!r}, got {got.get(name, 'none')}"
            )


def _check_finite(weights: Mapping[str, Tensor], subject: str) -> None:
    for name, value in weights.items():
        if not bool(value.isfinite().all()):
            raise ValueError(f"{subject}: the weights {name!r} are not finite: train again")
