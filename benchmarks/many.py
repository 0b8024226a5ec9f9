"""Many pictures on several processors: what each part costs, and what a thousand would do."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import torch

from benchmarks import cases
from ccsr import Upscaler, image
from ccsr.jobs.places import place
from ccsr.jobs.plan import make_plan
from ccsr.jobs.summary import summed_up
from ccsr.jobs.target import Target

SIZE = (240, 360)  # of the pictures
COUNT = 96
SCALE = 2.0
NAMES = 20_000  # of which planning is timed
SMALL = (16, 16)  # of the pictures that hardly cost work, so that the rest shows
MANY = 600
PAPER = 1_000_000  # pictures on paper
WORKERS = (1, 10, 100, 1_000, 10_000)
PAGE = 1000  # names that one request lists
LISTS, WRITES = 5500, 3500  # requests a second that S3 promises for a prefix
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of one and two processes, of each part of the work on a picture, and around it."""
    found: dict[str, Any] = {"pictures": COUNT, "runs": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fill(folder / "in", SIZE, COUNT)
        for how, runs in _ways(folder):
            seconds = _together(runs)
            told = summed_up(sorted((folder / how).glob("*.jsonl")))
            run = {"how": how, "seconds": seconds, "pixels": told.pixels, "span": told.span}
            found["runs"].append(run)
            say(f"{how}: {told.pixels / told.span / 1e6:.2f} million pixels a second")
        found["parts"] = _parts(folder / "in" / "0.jpg", folder / "out.png")
        found["plan"] = _planning()
        say(f"planning: {1e6 * found['plan']:.0f} us a name")
        if find_spec("ray"):
            found["deal"] = _dealing(folder)
            say(f"dealing out: {1e6 * found['deal']:.0f} us a picture")
    return found


def _fill(folder: Path, size: tuple[int, int], count: int) -> None:
    folder.mkdir()
    cases.photo(size).save(folder / "0.jpg", quality=97)
    data = (folder / "0.jpg").read_bytes()
    for number in range(1, count):
        (folder / f"{number}.jpg").write_bytes(data)


def _ways(folder: Path) -> Iterable[tuple[str, list[list[str]]]]:
    """Commands that are run at the same time, by the name of their folder."""
    shards = {"1 process": ("1/1",), "2 processes": ("1/2", "2/2")}
    for how, parts in shards.items():
        yield how, [_words(folder, how, part) for part in parts]
    if find_spec("ray"):
        yield "ray", [[*_words(folder, "ray", "1/1"), "--on", "ray"]]


def _words(folder: Path, how: str, shard: str) -> list[str]:
    (folder / how).mkdir(exist_ok=True)
    report = folder / how / f"{shard.replace('/', '-')}.jsonl"
    words = ["upscale", str(folder / "in"), "-o", f"{folder / how}/", "--scale", f"{SCALE:g}"]
    words += ["--model", "light", "--precision", "fp32", "--quiet", "--shard", shard]
    return [*words, "--report", str(report)]


def _together(runs: Sequence[Sequence[str]]) -> float:
    started = time.perf_counter()
    env = os.environ | ONE_THREAD
    running = [subprocess.Popen([sys.executable, "-m", "ccsr", *run], env=env) for run in runs]
    if any(process.wait() for process in running):
        raise RuntimeError("a run failed, see above")
    return time.perf_counter() - started


def _parts(source: Path, output: Path) -> dict[str, float]:
    """Seconds of a processor for a picture, by part."""
    upscaler = Upscaler.load("light", device="cpu", precision="fp32")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    taken = {"read": 0.0, "enlarge": 0.0, "write": 0.0}
    rounds = 8
    for number in range(rounds + 1):
        started = time.process_time()
        picture = image.read(source)
        read = time.process_time()
        result = upscaler(picture, scale=SCALE)
        enlarged = time.process_time()
        image.write(result, output)
        if number:  # the first warms up
            taken["read"] += (read - started) / rounds
            taken["enlarge"] += (enlarged - read) / rounds
            taken["write"] += (time.process_time() - enlarged) / rounds
    torch.set_num_threads(threads)
    return taken


def _planning() -> float:
    """Seconds of a processor for a name, from listing to the list of what is to be done."""
    files = fsspec.filesystem("memory")
    for number in range(NAMES):
        files.pipe_file(f"/bucket/in/{number // 1000}/{number}.jpg", b"")
    started = time.process_time()
    given, output = place("memory://bucket/in"), "memory://bucket/out/"
    plan = make_plan([given], output, Target(scale=(SCALE, SCALE)), "skip", recursive=True)
    taken = (time.process_time() - started) / len(plan.jobs)
    files.rm("/bucket", recursive=True)
    return taken


def _dealing(folder: Path) -> float:
    """Seconds of a processor that the one who deals out takes for a picture."""
    from ccsr.jobs.cluster import Cluster
    from ccsr.jobs.connection import connected
    from ccsr.jobs.worker import Recipe

    _fill(folder / "many", SMALL, MANY)
    target = Target(scale=(SCALE, SCALE))
    plan = make_plan([folder / "many"], f"{folder / 'dealt'}/", target)
    settings = {"precision": "fp32", "device": "cpu"}
    recipe = Recipe.of("light", (), settings, target, image.DEFAULT, 10**6, 10)
    ends: list[float] = []
    with connected("ray") as ray:
        Cluster(ray, recipe, print).run(plan.jobs, lambda _: ends.append(time.process_time()))
    return (ends[-1] - ends[0]) / len(ends)


class Paper(NamedTuple):
    """What a run of `PAPER` pictures takes with a number of workers, in seconds.

    Attributes:
        workers: their number.
        work: of each of them, on its pictures.
        shards: the whole run by shards, each of which plans everything.
        listing: of that, what the store takes for the listings of all shards.
        cluster: the whole run on a cluster, which plans once.
        dealing: of that, what the one process takes that deals out.
        writes: results a second that the workers could write.
    """

    workers: int
    work: float
    shards: float
    listing: float
    cluster: float
    dealing: float
    writes: float


def paper(found: dict[str, Any], workers: int) -> Paper:
    """Extrapolate from what was measured."""
    work = PAPER * sum(found["parts"].values()) / workers
    planning = PAPER * found["plan"]
    listing = workers * 2 * PAPER / PAGE / LISTS
    dealing = PAPER * found.get("deal", 0.0)
    writing = PAPER / WRITES  # no run can be shorter
    shards = max(planning, listing) + max(work, writing)
    cluster = planning + max(work, writing, dealing)
    return Paper(workers, work, shards, listing, cluster, dealing, PAPER / max(work, dealing))


def section(found: dict[str, Any]) -> list[str]:
    """Lines of RESULTS.md."""
    height, width = SIZE
    each = found["parts"]
    told = ", ".join(f"{1e3 * seconds:.1f} ms to {part}" for part, seconds in each.items())
    lines = [
        f"{found['pictures']} pictures of {width}x{height}, JPEG to PNG, twice as large, by "
        "`light` in float32, one thread a process: seconds of the whole command, and pixels a "
        "second from the first begin of a picture to the last end, as `ccsr report` tells them.",
        "",
        "| | seconds | million pixels a second | times one process |",
        "|---|---:|---:|---:|",
    ]
    names = {"ray": "`--on ray`, a worker for each core"}
    alone = found["runs"][0]["span"]
    lines += [
        f"| {names.get(run['how'], run['how'])} | {run['seconds']:.1f} | "
        f"{run['pixels'] / run['span'] / 1e6:.2f} | {alone / run['span']:.2f} |"
        for run in found["runs"]
    ]
    lines += [
        "",
        f"Of a processor a picture takes {told}; planning {1e6 * found['plan']:.0f} us a name. "
        f"Dealing a picture out to workers of Ray takes {1e6 * found.get('deal', 0):.0f} us of the "
        "one process that does so.",
        "",
        f"On paper, {PAPER:,} such pictures in S3, in minutes, one core a worker. Assumed beside "
        f"what was measured: the store takes {LISTS:,} listings and {WRITES:,} objects a second, "
        "as S3 does for a prefix.",
        "",
        "| workers | each works | by shards | of that the store lists | by `--on ray` | of that "
        "one process deals out | results a second |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in (paper(found, workers) for workers in WORKERS):
        times = (row.work, row.shards, row.listing, row.cluster, row.dealing)
        cells = [f"{row.workers:,}", *(f"{seconds / 60:,.1f}" for seconds in times)]
        lines.append("| " + " | ".join(cells) + f" | {row.writes:,.0f} |")
    return lines
