"""Every method on every case, in rounds that take turns, so that all meet the same machine."""

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from PIL import Image

from benchmarks import cases, liif
from benchmarks.bound import StandIns, bound
from benchmarks.cases import BFLOAT16, CASES, FULL_HD, PART, SMALL, Case
from benchmarks.parts import Parts
from ccsr import Upscaler, image
from ccsr.device import has_native_bfloat16
from ccsr.grid import Size, choose_grid
from ccsr.model.network import parts_of

Seconds = dict[str, float]
Measure = Callable[[], Seconds]


def measure(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Medians over the rounds, in seconds: per case and method, file to file and by part."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        networks = _networks()
        parts = {name: Parts(upscaler) for name, upscaler in networks.items()}
        stand_ins: StandIns = {}
        measures: dict[tuple[str, str], Measure] = {}
        for case in CASES:
            source = _picture(folder, case.source)
            measures[case.name, "lanczos"] = _lanczos(source, case.target)
            for name in _methods(case, networks):
                products = _products(networks[name], case, stand_ins)
                measures[case.name, name] = _network(
                    networks[name], parts[name], products, source, case.target
                )
        peer, official = liif.load()
        part = (SMALL[0] // PART, SMALL[1] // PART), (FULL_HD[0] // PART, FULL_HD[1] // PART)
        measures["part", "liif"] = _liif(peer, _picture(folder, part[0]), part[1])
        taken: dict[tuple[str, str], list[Seconds]] = {key: [] for key in measures}
        for number in range(rounds + 1):
            for key, run in measures.items():
                seconds = run()
                if number:  # the first round warms up
                    taken[key].append(seconds)
            say(f"round {number} of {rounds} done")
    return {
        "rounds": rounds,
        "liif": {"official_weights": official, "area": PART**2} | _medians(taken["part", "liif"]),
        "cases": [
            {
                "name": case.name,
                "source": case.source,
                "target": case.target,
                "megapixels": case.megapixels,
            }
            | {
                method: _medians(taken[case.name, method])
                for method in ("lanczos", *_methods(case, networks))
            }
            for case in CASES
        ],
    }


def _networks() -> dict[str, Upscaler]:
    """In float32, and in bfloat16 where the processor has it."""
    names = ("light", "base")
    networks = {name: Upscaler.load(name, device="cpu", precision="fp32") for name in names}
    if has_native_bfloat16(torch.device("cpu")):
        for name in names:
            networks[name + BFLOAT16] = Upscaler.load(name, device="cpu", precision="bf16")
    return networks


def _methods(case: Case, networks: Iterable[str]) -> list[str]:
    return [name for name in networks if name.removesuffix(BFLOAT16) in case.models]


def _medians(taken: list[Seconds]) -> Seconds:
    return {part: median(seconds[part] for seconds in taken) for part in taken[0]}


def _picture(folder: Path, size: Size) -> Path:
    path = folder / f"{size[1]}x{size[0]}.png"
    cases.photo(size).save(path)
    return path


def _file_to_file(
    source: Path, enlarge: Callable[[image.Picture], image.Picture | Image.Image]
) -> Seconds:
    """Seconds to decode, enlarge and encode, and in all."""
    output = source.with_name("output.png")
    times = [time.perf_counter()]
    picture = image.read(source)
    times.append(time.perf_counter())
    result = enlarge(picture)
    times.append(time.perf_counter())
    image.write(result, output)
    times.append(time.perf_counter())
    names = ("decode", "enlarge", "encode")
    parts = {name: b - a for name, a, b in zip(names, times[:-1], times[1:], strict=True)}
    return parts | {"total": times[-1] - times[0]}


def _lanczos(source: Path, target: Size) -> Measure:
    def enlarge(picture: image.Picture) -> Image.Image:
        return picture.to_pil().resize(target[::-1], Image.Resampling.LANCZOS)

    return lambda: _file_to_file(source, enlarge)


def _products(upscaler: Upscaler, case: Case, stand_ins: StandIns) -> Callable[[], None]:
    x = torch.rand(1, 3, *case.source).contiguous(memory_format=torch.channels_last)
    grid = choose_grid(case.source, size=case.target)
    return bound(parts_of(upscaler.model), x, grid, upscaler.dtype, stand_ins)


def _network(
    upscaler: Upscaler, parts: Parts, products: Callable[[], None], source: Path, target: Size
) -> Measure:
    def run() -> Seconds:
        parts.reset()
        seconds = _file_to_file(source, lambda picture: upscaler(picture, size=target))
        seconds |= parts.seconds()
        started = time.perf_counter()
        products()
        return seconds | {"bound": time.perf_counter() - started}

    return run


def _liif(upscaler: Upscaler, source: Path, target: Size) -> Measure:
    return lambda: _file_to_file(source, lambda picture: upscaler(picture, size=target))
