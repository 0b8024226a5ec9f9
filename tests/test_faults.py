"""Full disks, file systems that refuse, processes that are killed, files that are broken."""

import builtins
import errno
import io
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ccsr import image
from ccsr.atomic import replacing
from ccsr.image.formats import FORMATS
from ccsr.jobs import writing
from ccsr.jobs.checks import Job
from ccsr.jobs.pipeline import run
from ccsr.jobs.plan import Plan
from ccsr.jobs.reports import Report
from ccsr.jobs.target import Target
from ccsr.jobs.writing import Outcome
from ccsr.model import checkpoint
from networks import tiny
from small_disk import files_of_at_most

SCRIPTS = Path(__file__).parent
TWICE = Target(scale=(2.0, 2.0))


def double(source, *, scale, size, progress):
    height, width = TWICE.size(source.size)
    return image.Picture.of(source.to_pil().resize((width, height)))


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    """Three small pictures; the second output exists already."""
    made = []
    for name in "abc":
        Image.frombytes("RGB", (9, 8), random.Random(name).randbytes(216)).save(
            tmp_path / f"{name}.png"
        )
        made.append(Job(tmp_path / f"{name}.png", tmp_path / "out" / f"{name}.png"))
    (tmp_path / "out").mkdir()
    made[1].output.write_text("old")
    return made


def outcomes_of(jobs: list[Job]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    run(jobs, TWICE, double, outcomes.append)
    return outcomes


def check_whole(jobs: list[Job], outcomes: list[Outcome], expected: dict[str, bytes]) -> None:
    """Outputs are whole or as before, nothing else is left, and every failure names its file."""
    assert [outcome.job for outcome in outcomes] == jobs
    for (_, output), outcome in zip(jobs, outcomes, strict=True):
        if outcome.error:
            assert outcome.error.startswith(f"cannot write {output}: ")
            old = b"old" if output.name == "b.png" else None
            assert (output.read_bytes() if output.exists() else None) == old
        else:
            assert output.read_bytes() == expected[output.name]
    files = {path.name for path in jobs[0].output.parent.iterdir()}
    assert files <= {job.output.name for job in jobs}


def restore(jobs: list[Job]) -> None:
    for job in jobs:
        job.output.unlink(missing_ok=True)
    jobs[1].output.write_text("old")


@pytest.fixture
def expected(jobs: list[Job]) -> dict[str, bytes]:
    assert not any(outcome.error for outcome in outcomes_of(jobs))
    contents = {job.output.name: job.output.read_bytes() for job in jobs}
    restore(jobs)
    return contents


def test_a_disk_that_is_full_after_any_number_of_bytes(
    jobs: list[Job], expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel refuses what goes beyond a limit, as it does on a full disk."""
    inputs = [job.source.read_bytes() for job in jobs]
    largest = max(map(len, expected.values()))
    failed = set()
    for limit in [*range(0, largest, 29), largest - 1, largest]:
        restore(jobs)
        with files_of_at_most(limit):
            outcomes = outcomes_of(jobs)
        check_whole(jobs, outcomes, expected)
        failed.add(sum(bool(outcome.error) for outcome in outcomes))
    assert {0, 3} <= failed
    assert [job.source.read_bytes() for job in jobs] == inputs


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("suffix", [s for known in FORMATS.values() for s in known.suffixes])
def test_no_format_leaves_a_part_of_a_file(tmp_path: Path, suffix: str, frames: int) -> None:
    rng = np.random.default_rng(0)
    levels = tuple(rng.integers(256, size=(90, 100, 3), dtype=np.uint8) for _ in range(frames))
    durations = (90.0,) * frames if frames > 1 else ()
    picture = image.Picture(levels, durations=durations)
    path = tmp_path / f"a{suffix}"
    try:
        image.write(picture, path)
    except ValueError:
        pytest.skip("holds one frame only")
    size = path.stat().st_size
    path.write_bytes(b"before")
    for limit in (0, 1, size // 3, size // 2, size - 4097, size - 1):
        with (
            files_of_at_most(max(0, limit)),
            pytest.raises(OSError, match=r"cannot write .*File too large"),
        ):
            image.write(picture, path)
        assert path.read_bytes() == b"before"
        assert [path] == list(tmp_path.iterdir())
    with files_of_at_most(size):
        image.write(picture, path)
    assert path.stat().st_size == size


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs a file system of its own")
def test_a_file_system_that_is_really_full() -> None:
    script = [sys.executable, str(SCRIPTS / "full_disk.py")]
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no file systems of one's own here")
    done = run_command([*alone, *script])
    if done.returncode == 77:
        pytest.skip("no file system can be mounted here")
    assert done.returncode == 0, done.stderr
    assert "kinds of files on a full disk" in done.stdout


def test_a_report_has_whole_lines_only(tmp_path: Path) -> None:
    """Whatever the disk takes; and goes on once there is room again."""
    path = tmp_path / "r.jsonl"
    Report(path, Plan()).add(Path("a.png"), "left out")
    line = path.stat().st_size
    for room in range(line, 3 * line + 1, 7):
        report = Report(path, Plan())
        with files_of_at_most(room):
            for _ in range(3):
                report.add(Path("a.png"), "left out")
        whole = room // line
        assert path.stat().st_size == whole * line
        assert bool(report.error) == (whole < 3)
        report.add(Path("b.png"), "left out")
        sources = [json.loads(line)["source"] for line in path.read_text().splitlines()]
        assert sources == ["a.png"] * whole + ["b.png"]


def test_a_disk_that_turns_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be removed either, and what is told is what went wrong first."""

    def refuses(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    def write() -> None:
        with replacing(tmp_path / "a.png") as temporary:
            temporary.write_bytes(b"a part")
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "unlink", refuses)
    with pytest.raises(OSError, match=r"cannot write .*a\.png: Input/output error$"):
        write()


def refuse(patch: pytest.MonkeyPatch, folder: Path, aim: int, number: int) -> Callable[[], int]:
    """Let one call fail that concerns `folder`, the one with the number `aim`.

    Returns:
        Gives the number of calls so far, plus one.
    """
    calls = itertools.count(1)

    def refusing(original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments, **options):
            place = arguments[0]
            if isinstance(place, int):
                place = Path(f"/proc/self/fd/{place}").readlink()
            if str(place).startswith(str(folder)) and next(calls) == aim:
                raise OSError(number, os.strerror(number))
            return original(*arguments, **options)

        return call

    for module, name in (
        (os, "fsync"), (os, "replace"), (os, "mkdir"), (os, "open"), (builtins, "open"),
        (io, "open"),
    ):  # fmt: skip
        patch.setattr(module, name, refusing(getattr(module, name)))
    return lambda: next(calls)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what a descriptor is")
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_file_system_that_refuses_any_one_call(
    jobs: list[Job], expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(writing, "WRITERS", 1)  # so that the calls have one order
    failures = 0
    for aim in itertools.count(1):
        restore(jobs)
        with monkeypatch.context() as patch:
            calls = refuse(patch, jobs[0].output.parent, aim, number)
            outcomes = outcomes_of(jobs)
        check_whole(jobs, outcomes, expected)
        failed = sum(bool(outcome.error) for outcome in outcomes)
        assert failed <= 1  # to make a folder that is there may fail unnoticed
        failures += failed
        if calls() <= aim:
            break
    assert failures >= 9  # to open, to flush and to rename each of three


def run_script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_command([sys.executable, str(SCRIPTS / name), *arguments])


def run_command(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(SCRIPTS.parent), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
def test_runs_that_are_killed_or_interrupted() -> None:
    """The short form of `make fuzz`, as the next one."""
    done = run_script("kill.py", "--trials", "6", "--seed", "1")
    assert done.returncode == 0, done.stderr
    assert "6 runs stopped" in done.stdout


@pytest.mark.long
def test_damaged_files_of_every_format() -> None:
    done = run_script("fuzz.py", "--files", "300", "--seed", "1")
    assert done.returncode == 0, done.stderr
    assert "'enlarged'" in done.stdout
    assert "'refused'" in done.stdout


def test_damaged_checkpoints_are_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    checkpoint.save(path, tiny(None), {"licence": "MIT"})
    whole = path.read_bytes()
    header = int.from_bytes(whole[:8], "little") + 8
    rng = random.Random(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(header if rng.random() < 0.9 else len(damaged))
            length = rng.choice((1, 1, 2, 8, 40))
            damaged[at : at + length] = rng.choice(
                (rng.randbytes(length), b"", b"9" * length, b'"', b"{", bytes(damaged[at:][:40]))
            )
        path.write_bytes(damaged)
        try:
            checkpoint.load(path)
        except (ValueError, OSError) as error:
            assert str(path) in str(error)  # noqa: PT017
            refused += 1
    assert refused > 300


def test_loading_a_checkpoint_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither as a pickle nor by a name in its header."""

    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save(Hostile(), tmp_path / "new.safetensors")
    torch.save(Hostile(), tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    for name in ("new.safetensors", "old.ckpt"):
        with pytest.raises(ValueError, match=r"looks like a pickle .* never opened"):
            checkpoint.load(tmp_path / name)
    assert not (tmp_path / "ran").exists()
