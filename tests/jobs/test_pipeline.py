import gc
import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from ccsr import device, image
from ccsr.device import NoRoomError
from ccsr.jobs import ahead, writing
from ccsr.jobs.checks import Job
from ccsr.jobs.pipeline import preview, run
from ccsr.jobs.target import Target
from ccsr.jobs.writing import Outcome

TWICE = Target(scale=(2.0, 2.0))
PATIENCE = 60  # seconds, far more than anything here takes


class Doubling:
    """Stands for the network, which has its own tests."""

    def __init__(self, act: Callable[[int], None] = lambda number: None) -> None:
        self.calls = 0
        self.act = act

    def __call__(self, source, *, scale=None, size=None, progress):
        self.calls += 1
        progress(0.5)
        self.act(self.calls)
        progress(1.0)
        height, width = size or TWICE.size(source.size)
        return image.Picture.of(source.to_pil().resize((width, height)))


def pictures(folder: Path, count: int) -> list[Job]:
    folder.mkdir(exist_ok=True)
    jobs = []
    for number in range(count):
        source = folder / f"{number}.png"
        Image.new("L", (number % 7 + 1, 3), number % 256).save(source)
        jobs.append(Job(source, folder / "out" / f"{number}_2x.png"))
    return jobs


def done(jobs: list[Job], upscaler: Doubling, **options) -> list[Outcome]:
    outcomes: list[Outcome] = []
    run(jobs, TWICE, upscaler, outcomes.append, **options)
    return outcomes


def test_all_pictures_in_order(tmp_path: Path) -> None:
    jobs = pictures(tmp_path, 20)
    shares: list[tuple[str, float]] = []
    outcomes = done(
        jobs, Doubling(), progress=lambda path, share: shares.append((path.name, share))
    )
    assert [outcome.job for outcome in outcomes] == jobs
    for number, outcome in enumerate(outcomes):
        assert outcome.size == (6, 2 * (number % 7 + 1))
        assert outcome.seconds > 0
        assert not outcome.error
        written = image.read(outcome.job.output)
        assert (written.size, written.frames[0][0, 0]) == (outcome.size, number)
        assert outcome.summary == f"{written.size[1]}x{written.size[0]}"
    assert shares[:4] == [("0.png", 0), ("0.png", 0.5), ("0.png", 1.0), ("1.png", 0)]


def test_no_jobs() -> None:
    assert done([], Doubling()) == []


def test_other_targets(tmp_path: Path) -> None:
    jobs = pictures(tmp_path, 2)
    run(jobs, Target(width=9), Doubling(), lambda outcome: None)
    assert [image.read(job.output).size for job in jobs] == [(27, 9), (14, 9)]


def test_each_failure_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = pictures(tmp_path, 9)
    jobs[0].source.write_bytes(jobs[0].source.read_bytes()[:40])
    jobs[1].source.write_bytes(b"")
    jobs[2].source.unlink()  # vanished since it was planned
    jobs[3].source.unlink()
    os.mkfifo(jobs[3].source)
    (tmp_path / "file").touch()
    jobs[6] = Job(jobs[6].source, tmp_path / "file" / "a.png")
    jobs[7] = Job(jobs[7].source, tmp_path / "out" / "a.xyz")

    def fail(number: int) -> None:
        raise (TypeError("a bug"), MemoryError())[number - 1]

    outcomes = done(jobs, Doubling(lambda number: fail(number) if number < 3 else None))
    assert [outcome.job for outcome in outcomes] == jobs
    paths = [job.source for job in jobs]
    expected = [
        f"cannot read {paths[0]}: ",
        f"cannot read {paths[1]}: the file is empty",
        f"cannot read {paths[2]}: No such file or directory",
        f"cannot read {paths[3]}: it is no file but a pipe, a device or the like",
        f"cannot enlarge {paths[4]}: TypeError a bug",
        f"cannot enlarge {paths[5]}: the memory does not suffice",
        f"cannot write {tmp_path / 'file' / 'a.png'}: ",
        f"cannot write {tmp_path / 'out' / 'a.xyz'}: no known format",
    ]
    for outcome, start in zip(outcomes[:8], expected, strict=True):
        assert outcome.error.startswith(start)
        assert outcome.size is None
        assert "Traceback" in outcome.trace
    assert outcomes[8].size == (6, 4)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["8_2x.png"]


def test_reading_and_writing_overlap_with_enlarging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is read while the first is enlarged, which is written during the second."""
    read, written = threading.Event(), threading.Event()
    original_read, original_write = image.read, image.write

    def reading(path: Path) -> image.Picture:
        picture = original_read(path)
        if path.name == "1.png":
            read.set()
        return picture

    def writing(picture: image.Picture, path: Path, files: image.Output) -> tuple[str, ...]:
        dropped = original_write(picture, path, files)
        written.set()
        return dropped

    monkeypatch.setattr(image, "read", reading)
    monkeypatch.setattr(image, "write", writing)
    awaited = {1: read, 2: written}
    seen: list[bool] = []
    upscaler = Doubling(lambda number: seen.append(awaited[number].wait(PATIENCE)))
    done(pictures(tmp_path, 2), upscaler)
    assert seen == [True, True]


@pytest.mark.parametrize("pixels", [10**6, 0])
def test_what_is_held_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: int
) -> None:
    """However many files, and however slow the disk; also where half of them fail."""
    monkeypatch.setattr(writing, "WAITING_PIXELS", pixels)
    alive: set[int] = set()
    most = 0
    original = image.read

    def follow(picture: image.Picture) -> None:
        nonlocal most
        alive.add(id(picture))
        weakref.finalize(picture, alive.remove, id(picture))
        most = max(most, len(alive))

    def reading(path: Path) -> image.Picture:
        picture = original(path)
        follow(picture)
        return picture

    def failing(number: int) -> None:
        if number % 2:
            raise RuntimeError("a failure whose frames hold the picture")

    class Followed(Doubling):
        def __call__(self, source, **options):
            result = super().__call__(source, **options)
            follow(result)
            return result

    monkeypatch.setattr(image, "read", reading)
    outcomes = done(pictures(tmp_path, 60), Followed(failing))
    assert sum(not outcome.error for outcome in outcomes) == 30
    in_hand = ahead.AHEAD + 3  # and the source and result of this one, and of the one before
    assert most <= in_hand + (writing.WAITING if pixels else 1)
    gc.collect()
    assert not alive


@pytest.fixture
def usual_interrupt() -> Iterator[None]:
    """Ctrl-C as in a terminal: in the background it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_what_lacks_room_waits_for_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_written, write = threading.Event(), image.write

    def slowly(picture: image.Picture, path: Path, files: image.Output) -> tuple[str, ...]:
        assert refused.wait(PATIENCE) or path.name != "0_2x.png"
        dropped = write(picture, path, files)
        first_written.set()
        return dropped

    refused = threading.Event()

    def act(number: int) -> None:
        if number > 1 and not first_written.is_set():
            refused.set()
            raise NoRoomError

    monkeypatch.setattr(image, "write", slowly)
    upscaler = Doubling(act)
    assert not any(outcome.error for outcome in done(pictures(tmp_path, 2), upscaler))
    assert upscaler.calls == 3


def test_what_has_no_room_at_all_fails(tmp_path: Path) -> None:
    def act(number: int) -> None:
        raise NoRoomError("a result needs more")

    (outcome,) = done(pictures(tmp_path, 1), Doubling(act))
    assert outcome.error.endswith("a result needs more")


@pytest.mark.usefixtures("usual_interrupt")
def test_ctrl_c_finishes_what_is_begun_and_stops(tmp_path: Path) -> None:
    jobs = pictures(tmp_path, 9)
    outcomes: list[Outcome] = []
    upscaler = Doubling(lambda number: signal.raise_signal(signal.SIGINT) if number == 3 else None)
    with pytest.raises(KeyboardInterrupt):
        run(jobs, TWICE, upscaler, outcomes.append)
    assert [outcome.job for outcome in outcomes] == jobs[:2]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"0_2x.png", "1_2x.png"}
    assert upscaler.calls == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("usual_interrupt")
def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    def twice(number: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("still running")

    with pytest.raises(KeyboardInterrupt):
        done(pictures(tmp_path, 2), Doubling(twice))


def test_it_runs_in_any_thread(tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    jobs = pictures(tmp_path, 3)
    thread = threading.Thread(target=run, args=(jobs, TWICE, Doubling(), outcomes.append))
    thread.start()
    thread.join(PATIENCE)
    assert [outcome.job for outcome in outcomes] == jobs


def test_how_the_outputs_are_written(tmp_path: Path) -> None:
    (job, *_) = pictures(tmp_path, 1)
    Image.new("RGBA", (4, 4)).save(job.source)
    job = Job(job.source, tmp_path / "a.jpg")
    outcomes: list[Outcome] = []
    run([job], TWICE, Doubling(), outcomes.append)
    run([job], TWICE, Doubling(), outcomes.append, image.Output(background=(255, 255, 255)))
    assert "or put a colour behind it by --background" in outcomes[0].error
    assert image.read(job.output).frames[0].min() > 250


def test_a_bomb_is_refused_by_the_reading_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # 11 to 20 pixels are but a warning
    jobs = pictures(tmp_path, 7)
    outcomes: list[Outcome] = []
    run(jobs, Target(width=1), Doubling(), outcomes.append)
    errors = [outcome.error for outcome in outcomes]
    assert [bool(error) for error in errors] == [False] * 3 + [True] * 4
    assert all("which may be a decompression bomb" in error for error in errors[3:])


def test_abandoned_files_are_swept(tmp_path: Path) -> None:
    jobs = pictures(tmp_path, 1)
    (tmp_path / "out").mkdir()
    old, new = (tmp_path / "out" / f".ccsr-{name}.part" for name in ("old", "new"))
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    done(jobs, Doubling())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"0_2x.png", new.name}


def test_a_preview_is_what_a_run_does(tmp_path: Path) -> None:
    jobs = pictures(tmp_path, 2)
    jobs[1].source.write_bytes(b"")
    assert preview(jobs[0], TWICE) == (6, 2)
    with pytest.raises(OSError, match=r"cannot read .*the file is empty"):
        preview(jobs[1], TWICE)
    Image.new("L", (3, 1)).save(tmp_path / "turned.tif", exif={0x0112: 6})
    turned = Job(tmp_path / "turned.tif", tmp_path / "out.png")
    outcomes = []
    run([turned], TWICE, Doubling(), outcomes.append)
    assert preview(turned, TWICE) == outcomes[0].size == (6, 2)
    wide = Job(jobs[0].source, tmp_path / "a.jpg")
    with pytest.raises(ValueError, match="JPEG holds at most 65500 pixels a side"):
        preview(wide, Target(width=70_000))
    frames = [Image.new("RGB", (3, 1), colour) for colour in ("red", "lime")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="JPEG does not hold the 2 frames"):
        preview(Job(tmp_path / "moving.gif", tmp_path / "a.jpg"), TWICE)
    frames[0].save(tmp_path / "pages.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="PNG does not hold the 2 pages"):
        preview(Job(tmp_path / "pages.tif", tmp_path / "a.png"), TWICE)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_results_that_do_not_fit_are_refused_by_the_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Nothing is decoded; but a TIFF is written in strips."""
    (job,) = pictures(tmp_path, 1)
    job = Job(job.source, job.output.with_suffix(suffix))
    header = image.probe(job.source)
    room = header.demand.held + header.demand.most + 10
    monkeypatch.setattr(device, "free_memory", lambda device: room)
    large = Target(scale=(1000, 1000))
    if suffix == ".tif":
        assert preview(job, large) == large.size(header.size)
        return
    monkeypatch.setattr(image, "read", None)
    with pytest.raises(RuntimeError, match=r"a result of \d+000x\d+000 pixels needs .*\.tif"):
        preview(job, large)
    outcomes: list[Outcome] = []
    run([job], large, Doubling(), outcomes.append)
    assert "pixels needs" in outcomes[0].error
    assert str(job.source) in outcomes[0].error
    monkeypatch.setattr(device, "free_memory", lambda device: room - 11)
    with pytest.raises(RuntimeError, match=r"cannot read .*: decoding \d+x\d+ pixels needs"):
        preview(job, TWICE)
