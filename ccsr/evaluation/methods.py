"""What `ccsr evaluate` compares: fixed kernels, and networks: alone, averaged, before Lanczos."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ccsr import image
from ccsr.evaluation import runs
from ccsr.evaluation.cases import Case
from ccsr.grid import ProjectedGrid, Size, output_size, size_of
from ccsr.model import checkpoint
from ccsr.model.checkpoint import SUFFIX, digest, resolve
from ccsr.model.registry import packages
from ccsr.peers.liif import published
from ccsr.protocols import EvaluationProtocol
from ccsr.resample import reduce_uint8, resize
from ccsr.upscaling.upscaler import Upscaler

BICUBIC, LANCZOS = "bicubic", "lanczos"
LIIF = "liif:"  # before the file of its authors
_NETWORK = re.compile(  # NAME, NAME+flips, NAME@4+lanczos, NAME+flips@4+lanczos
    r"(?P<name>.*?)(?P<ending>(\+(?P<ensemble>[^\W\d][\w:,]*))?(@(?P<factor>\d+(\.\d+)?)\+lanczos)?)",
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
        kind: the common name of several runs that it is one of; None if it stands alone.
        identity: all that decides its output beside the image; None if that is not known.
    """

    name: str
    upscale: Callable[[Tensor, Size], Tensor]
    checkpoint: Path | None = None
    sha256: str | None = None
    kind: str | None = None
    identity: Mapping[str, object] | None = None

    def output(self, case: Case) -> Tensor:
        """Enlarge the case's low-resolution image to the size of its truth."""
        return self.upscale(case.lr, case.size)

    def content(self, case: Case) -> Mapping[str, object] | None:
        """What decides the output beside the case, for a cache; None if that is not known."""
        return self.identity


class _Wanted(NamedTuple):
    """One model of those that were asked for.

    Attributes:
        text: the file or name, with `+flips` and the like.
        name: in tables; None to choose it.
        kind: see `Method.kind`; the label, where that is all there is.
    """

    text: str
    name: str | None = None
    kind: str | None = None


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
        ValueError: for an unknown name or ensemble, or a name given twice.
        OSError: for a checkpoint that cannot be read.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"models must differ, got {', '.join(twice)} twice: leave one out")
    wanted = _named([each for name in names for each in _wanted(name, warn)])
    networks: dict[tuple[Path, str], Upscaler] = {}
    methods = []
    for text, name, kind in wanted:
        name = name or text
        if text in (BICUBIC, LANCZOS):
            methods.append(_fixed(text, protocol, name))
            continue
        model, ensemble, factor = _parts(text)
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
        identity = _identity(upscaler, sha256, ensemble, factor)
        run = _network(upscaler, factor)
        methods.append(Method(name, run, path, sha256, kind, identity))
    return methods


def under(methods: Sequence[Method], protocol: EvaluationProtocol) -> list[Method]:
    """The same methods, as another protocol wants them: it decides what `bicubic` is."""
    return [
        _fixed(str(m.identity["kernel"]), protocol, m.name)
        if m.identity and "kernel" in m.identity
        else m
        for m in methods
    ]


def _wanted(text: str, warn: Callable[[str], None]) -> list[_Wanted]:
    """What a text asks for: one model, or the jobs of a sweep."""
    label, given = _labelled(text)
    model, ending = _split(given)
    if runs.is_sweep(Path(model)):
        name = (label or Path(model).resolve().name) + ("" if label else ending)
        return [
            _Wanted(f"{job.folder}{ending}", job.name, job.kind)
            for job in runs.jobs(Path(model), name, warn)
        ]
    return [_Wanted(given, kind=label)]


def _labelled(text: str) -> tuple[str | None, str]:
    """The label and the rest of `LABEL=FILE`; None and all of it where there is no label."""
    label, equals, rest = text.partition("=")
    if not equals or Path(text).exists() or re.search(r"[/\\]", label) or label.startswith(LIIF):
        return None, text
    if not label or not rest:
        raise ValueError(f"expected NAME=FILE, got {text!r}")
    return label, rest


def _named(wanted: Sequence[_Wanted]) -> list[_Wanted]:
    """The same with names, all different; several of one label are runs of one kind.

    Raises:
        ValueError: for two that would have one name, or one column of the table.
    """
    labels = [each.kind for each in wanted if each.name is None]
    found: list[_Wanted] = []
    for each, short in zip(wanted, _short([each.text for each in wanted]), strict=True):
        if each.name is not None:
            found.append(each)
        elif each.kind is not None and labels.count(each.kind) > 1:
            number = sum(one.kind == each.kind for one in found) + 1
            found.append(each._replace(name=f"{each.kind}/{number}"))
        else:
            found.append(_Wanted(each.text, each.kind or short))
    names = [each.name for each in found]
    columns = [each.kind or each.name for each in found]
    for each, name, column in zip(found, names, columns, strict=True):
        if names.count(name) > 1 or (each.kind is None and columns.count(column) > 1):
            raise ValueError(
                f"two models are called {column!r}: give one of them another name, NAME=FILE"
            )
    return found


def _split(text: str) -> tuple[str, str]:
    """The model, and `+flips@4+lanczos` after it."""
    match = _NETWORK.fullmatch(text)
    assert match  # any text is a NAME
    return (text, "") if Path(text).exists() else (match["name"], match["ending"])


def _parts(text: str) -> tuple[str, str, float | None]:
    """The model, its ensemble (or an empty text), and the factor before Lanczos (or None)."""
    model, ending = _split(text)
    match = _NETWORK.fullmatch(ending)
    assert match
    return model, match["ensemble"] or "", float(match["factor"]) if match["factor"] else None


def _identity(
    upscaler: Upscaler, sha256: str, ensemble: str, factor: float | None
) -> Mapping[str, object] | None:
    """See `Method.identity`; the code of other packages is nothing that a digest here knows."""
    if packages(upscaler.model.architecture):
        return None
    device = upscaler.device
    return {
        "weights": sha256,
        "ensemble": ensemble,
        "factor": factor,
        "precision": str(upscaler.dtype),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def _short(names: Sequence[str]) -> list[str]:
    """Stems of files, but whole names where stems would be the same."""
    short = [(Path(name).name or Path(name).resolve().name).replace(SUFFIX, "") for name in names]
    return [a if short.count(a) == 1 else b for a, b in zip(short, names, strict=True)]


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
