"""What `ccsr evaluate` compares: fixed kernels, and networks: alone, averaged, before Lanczos."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ccsr import image
from ccsr.grid import ProjectedGrid, Size, output_size, size_of
from ccsr.model import checkpoint
from ccsr.model.checkpoint import SUFFIX, digest, resolve
from ccsr.peers.liif import published
from ccsr.protocols import EvaluationProtocol
from ccsr.resample import reduce_uint8, resize
from ccsr.upscaling.upscaler import Upscaler

BICUBIC, LANCZOS = "bicubic", "lanczos"
LIIF = "liif:"  # before the file of its authors
_NETWORK = re.compile(  # NAME, NAME+flips, NAME@4+lanczos, NAME+flips@4+lanczos
    r"(?P<name>.*?)(\+(?P<ensemble>[^\W\d][\w:,]*))?(@(?P<factor>\d+(\.\d+)?)\+lanczos)?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Method:
    """One contender.

    Attributes:
        name: as given on the command line; of a file only its stem where that is clear.
        upscale: (uint8 LR image (C, h, w), size (H, W)) -> float image (C, H, W), not rounded
            beyond what the method itself does.
        checkpoint: file of the network, None for fixed kernels.
        sha256: of that file.
    """

    name: str
    upscale: Callable[[Tensor, Size], Tensor]
    checkpoint: Path | None = None
    sha256: str | None = None


def build(
    names: Sequence[str],
    protocol: EvaluationProtocol,
    device: str = "auto",
    precision: str = "auto",
    trust: Collection[str] = (),
) -> list[Method]:
    """The methods called `names`, in that order, each network loaded once.

    Args:
        names: `bicubic` (a = -0.5), `lanczos` (three lobes, antialiased where it reduces), a
            checkpoint's name or file, or `liif:FILE` with the file that LIIF's authors published,
            that averaged over flips and turns (`NAME+flips`), or
            `NAME@4+lanczos`: the network at a factor of 4, clamped but not rounded to 8 bit, then
            Lanczos to the exact size.
        protocol: decides whether `bicubic` is MATLAB's in 8 bit or one in floating point.
        device: for the networks, as in `Upscaler.load`.
        precision: for the networks, as in `Upscaler.load`.
        trust: the packages, but ours, whose classes the networks' files may name.

    Raises:
        ValueError: for an unknown name or ensemble, or a name given twice.
        OSError: for a checkpoint that cannot be read.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"models must differ, got {', '.join(twice)} twice: leave one out")
    networks: dict[tuple[Path, str], Upscaler] = {}
    methods = []
    for name, short in zip(names, _short(names), strict=True):
        if name in (BICUBIC, LANCZOS):
            methods.append(Method(name, _fixed(name, protocol)))
            continue
        match = _NETWORK.fullmatch(name)
        assert match  # any text is a NAME
        model, ensemble = match["name"], match["ensemble"] or ""
        foreign = model.startswith(LIIF) and not Path(model).exists()
        path = Path(model.removeprefix(LIIF)).expanduser() if foreign else resolve(model)
        if (path, ensemble) not in networks:
            network = published(path) if foreign else checkpoint.load(path, trust)[0]
            networks[path, ensemble] = Upscaler(
                network, device=device, precision=precision, ensemble=ensemble
            )
        factor = float(match["factor"]) if match["factor"] else None
        if factor == 0:
            raise ValueError(f"expected a factor above 0 in NAME@FACTOR+lanczos, got {name!r}")
        run = _network(networks[path, ensemble], factor)
        methods.append(Method(short, run, path, digest(path)))
    return methods


def _short(names: Sequence[str]) -> list[str]:
    """Stems of files, but whole names where stems would be the same."""
    short = [Path(name).name.replace(SUFFIX, "") for name in names]
    return [a if short.count(a) == 1 else b for a, b in zip(short, names, strict=True)]


def _fixed(name: str, protocol: EvaluationProtocol) -> Callable[[Tensor, Size], Tensor]:
    def bicubic_8bit(lr: Tensor, size: Size) -> Tensor:
        return image.to_float(reduce_uint8(lr, _grid(lr, size)))

    def bicubic(lr: Tensor, size: Size) -> Tensor:
        return resize(image.to_float(lr), _grid(lr, size), "cubic")

    def lanczos(lr: Tensor, size: Size) -> Tensor:
        return resize(image.to_float(lr), _grid(lr, size), "lanczos")

    if name == LANCZOS:
        return lanczos
    return bicubic_8bit if protocol.rounded else bicubic


def _network(upscaler: Upscaler, factor: float | None) -> Callable[[Tensor, Size], Tensor]:
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
