"""What `ccsr evaluate` compares: fixed kernels, and networks: alone, averaged, before Lanczos."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ccsr import image
from ccsr.evaluation.cases import Case
from ccsr.evaluation.wanted import LIIF, parts, wanted
from ccsr.grid import ProjectedGrid, Size, output_size, size_of
from ccsr.image.coding import Coding
from ccsr.model import checkpoint
from ccsr.model.checkpoint import digest, resolve
from ccsr.model.registry import packages
from ccsr.peers.liif import published
from ccsr.protocols import EvaluationProtocol
from ccsr.resample import reduce_uint8, resize
from ccsr.upscaling.upscaler import Upscaler

Upscale = Callable[[Tensor, Size], Tensor]
BICUBIC, LANCZOS = "bicubic", "lanczos"


@dataclass(frozen=True)
class Method:
    """One contender.

    Attributes:
        name: as given on the command line; of a file only its stem where that is clear.
        upscale: (uint8 LR image (C, h, w), size (H, W)) -> float image (C, H, W), not rounded
            beyond what the method itself does.
        checkpoint: file of the network, None for fixed kernels.
        sha256: of that file.
        kind: the common name of several runs that it is one of; None if it stands alone.
        identity: all that decides its output beside the image; None if that is not known.
        suited: (uint8 LR image (C, h, w), how its file was compressed) -> its own `upscale`; None
            where that is the same for all images.
    """

    name: str
    upscale: Upscale
    checkpoint: Path | None = None
    sha256: str | None = None
    kind: str | None = None
    identity: Mapping[str, object] | None = None
    suited: Callable[[Tensor, Coding | None], Upscale] | None = None

    def output(self, case: Case) -> Tensor:
        """Enlarge the case's low-resolution image to the size of its truth."""
        upscale = self.suited(case.lr, case.coding) if self.suited else self.upscale
        return upscale(case.lr, case.size)

    def content(self, case: Case) -> Mapping[str, object] | None:
        """What decides the output beside the case, for a cache; None if that is not known."""
        return self.identity


def build(
    names: Sequence[str],
    protocol: EvaluationProtocol,
    device: str = "auto",
    precision: str = "auto",
    trust: Collection[str] = (),
    warn: Callable[[str], None] = lambda sentence: None,
) -> list[Method]:
    """The methods called `names`, in that order, each network loaded once.

    Args:
        names: `bicubic` (a = -0.5), `lanczos` (three lobes, antialiased where it reduces), a
            checkpoint's name or file, the folder of a run, or `liif:FILE` with the file that LIIF's
            authors published, that averaged over flips and turns (`NAME+flips`), or
            `NAME@4+lanczos`: the network at a factor of 4, clamped but not rounded to 8 bit, then
            Lanczos to the exact size. `LABEL=...` names one in tables; what is given several times
            with one label, and the jobs of a sweep's folder, are runs of one kind.
        protocol: decides whether `bicubic` is MATLAB's in 8 bit or one in floating point.
        device: for the networks, as in `Upscaler.load`.
        precision: for the networks, as in `Upscaler.load`.
        trust: the packages, but ours, whose classes the networks' files may name.
        warn: called with what the user should know of, such as a job that has no model.

    Raises:
        ValueError: for an unknown name or ensemble, a name given twice, or one network as two runs.
        OSError: for a checkpoint that cannot be read.
    """
    networks: dict[tuple[Path, str], Upscaler] = {}
    methods, runs = [], dict[tuple[object, ...], str]()
    for text, name, kind in wanted(names, warn):
        if text in (BICUBIC, LANCZOS):
            methods.append(_fixed(text, protocol, name))
            continue
        model, ensemble, factor = parts(text)
        foreign = model.startswith(LIIF) and not Path(model).exists()
        path = Path(model.removeprefix(LIIF)).expanduser() if foreign else resolve(model)
        if (path, ensemble) not in networks:
            network = published(path) if foreign else checkpoint.load(path, trust)[0]
            networks[path, ensemble] = Upscaler(
                network, device=device, precision=precision, ensemble=ensemble
            )
        if factor == 0:
            raise ValueError(f"expected a factor above 0 in NAME@FACTOR+lanczos, got {text!r}")
        upscaler, sha256 = networks[path, ensemble], digest(path)
        same = runs.setdefault((kind, _weights(upscaler), ensemble, factor), text)
        if kind and same != text:
            raise ValueError(
                f"{same} and {text} hold the same network, which is one run of {kind!r}: leave "
                "one out"
            )
        identity = _identity(upscaler, sha256, ensemble, factor)
        run = _network(upscaler, factor)
        suited = partial(_suited, upscaler, factor) if upscaler.model.conditioned else None
        methods.append(Method(name, run, path, sha256, kind, identity, suited))
    return methods


def _weights(upscaler: Upscaler) -> str:
    """A digest of a network's weights; two files of it may differ in what else they say."""
    found = hashlib.sha256(json.dumps(upscaler.model.architecture, sort_keys=True).encode())
    for name, value in sorted(upscaler.model.state_dict().items()):
        found.update(name.encode() + b"\0" + value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def under(methods: Sequence[Method], protocol: EvaluationProtocol) -> list[Method]:
    """The same methods, as another protocol wants them: it decides what `bicubic` is."""
    return [
        _fixed(str(m.identity["kernel"]), protocol, m.name)
        if m.identity and "kernel" in m.identity
        else m
        for m in methods
    ]


def _identity(
    upscaler: Upscaler, sha256: str, ensemble: str, factor: float | None
) -> Mapping[str, object] | None:
    """See `Method.identity`; the code of other packages is nothing that a digest here knows."""
    if packages(upscaler.model.architecture):
        return None
    device = upscaler.device
    processor = torch.cuda.get_device_name(device) if device and device.type == "cuda" else device
    return {
        "weights": sha256,
        "ensemble": ensemble,
        "factor": factor,
        "precision": str(upscaler.dtype),
        "device": str(processor),
    }


def _fixed(kernel: str, protocol: EvaluationProtocol, name: str) -> Method:
    def bicubic_8bit(lr: Tensor, size: Size) -> Tensor:
        return image.to_float(reduce_uint8(lr, _grid(lr, size)))

    def bicubic(lr: Tensor, size: Size) -> Tensor:
        return resize(image.to_float(lr), _grid(lr, size), "cubic")

    def lanczos(lr: Tensor, size: Size) -> Tensor:
        return resize(image.to_float(lr), _grid(lr, size), "lanczos")

    eight_bit = bicubic_8bit if protocol.rounded else bicubic
    return Method(
        name,
        lanczos if kernel == LANCZOS else eight_bit,
        identity={"kernel": kernel, "rounded": protocol.rounded},
    )


def _suited(upscaler: Upscaler, factor: float | None, lr: Tensor, coding: Coding | None) -> Upscale:
    """What a conditioned network does with an image, whose file and pixels tell of its quality."""
    levels = lr.permute(1, 2, 0).numpy()
    return _network(upscaler.suited(levels, coding=coding)[0], factor)


def _network(upscaler: Upscaler, factor: float | None) -> Upscale:
    def direct(lr: Tensor, size: Size) -> Tensor:
        return upscaler.tensor(image.to_float(lr), grid=_grid(lr, size))

    if factor is None:
        return direct

    def then_lanczos(lr: Tensor, size: Size) -> Tensor:
        enlarged = direct(lr, output_size(size_of(lr), factor))
        return resize(enlarged, _grid(enlarged, size), "lanczos")

    return then_lanczos


def _grid(x: Tensor, size: Size) -> ProjectedGrid:
    return ProjectedGrid.project(size_of(x), size)
