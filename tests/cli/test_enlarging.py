import errno
import json
import os
import signal
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from ccsr import device, image
from ccsr.choices import Exists
from ccsr.cli.enlarging import carry_out, enlarge, preview
from ccsr.jobs import pipeline
from ccsr.jobs.checks import Job
from ccsr.jobs.local import LOCAL
from ccsr.jobs.plan import Plan, make_plan
from ccsr.jobs.reports import Report
from ccsr.jobs.target import Target
from ccsr.jobs.writing import Outcome

TWICE = Target(scale=(2.0, 2.0))


def double(source, *, scale, size, progress):
    height, width = TWICE.size(source.size)
    return image.Picture.of(source.to_pil().resize((width, height)))


def planned(folder: Path, *names: str) -> Plan:
    for name in names:
        Image.new("L", (3, 2)).save(folder / name)
    return make_plan([folder], f"{folder}/out/", TWICE, "skip")


def lines(report: Path) -> list[dict[str, object]]:
    found = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    for line in found:
        assert datetime.fromisoformat(line.pop("at")).tzinfo
    return found


def test_every_picture_is_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = planned(tmp_path, "a.png", "b.png", "c.png")
    enlarge(Plan(made.jobs[:1]), TWICE, double, Report(None, made))
    made = planned(tmp_path)
    (tmp_path / "c.png").write_bytes(b"")
    made.unlisted[tmp_path / "x"] = "cannot read the folder x: no"
    made.made.append(tmp_path / "a_3x.png")
    report = tmp_path / "r.jsonl"
    report.write_text("old\n")
    capsys.readouterr()
    assert enlarge(made, TWICE, double, Report(report, made)) == 2
    failure = f"cannot read {tmp_path / 'c.png'}: the file is empty"
    skipped, left_out, unlisted, done, failed = lines(report)
    out = tmp_path / "out"
    assert skipped == {
        "source": str(tmp_path / "a.png"),
        "output": str(out / "a_2x.png"),
        "status": "skipped",
        "of": 4,
    }
    source = str(tmp_path / "a_3x.png")
    assert left_out == {"source": source, "output": None, "status": "left out", "of": 4}
    assert unlisted == {
        "source": str(tmp_path / "x"),
        "output": None,
        "status": "failed",
        "error": "cannot read the folder x: no",
        "of": 4,
    }
    assert done.pop("seconds") > 0
    assert done == {
        "source": str(tmp_path / "b.png"),
        "output": str(out / "b_2x.png"),
        "status": "done",
        "width": 6,
        "height": 4,
        "dropped": [],
        "of": 4,
    }
    assert failed == {
        "source": str(tmp_path / "c.png"),
        "output": str(out / "c_2x.png"),
        "status": "failed",
        "error": failure,
        "of": 4,
    }
    text = capsys.readouterr().err
    assert text.splitlines()[-3:] == [
        "ccsr: error: 2 of 3 pictures failed:",
        "  cannot read the folder x: no",
        f"  {failure}",
    ]
    assert "[2/3]" in text
    assert "Traceback" not in text


def test_a_single_failure_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = planned(tmp_path, "a.png")
    (tmp_path / "a.png").write_bytes(b"")
    assert enlarge(made, TWICE, double, Report(None, made), debug=True) == 1
    text = capsys.readouterr().err
    assert text.startswith("Traceback")
    assert text.count("ccsr: error: ") == 1


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    made = planned(tmp_path, "latin-\udce9.png", "日本 \x1b.png")
    report = tmp_path / "r.jsonl"
    assert enlarge(made, TWICE, double, Report(report, made)) == 0
    assert {Path(str(line["source"])) for line in lines(report)} == {j.source for j in made.jobs}


def test_an_interrupt_says_what_remains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = planned(tmp_path, "a.png", "b.png", "c.png")
    report = tmp_path / "r.jsonl"

    def interrupt(source, **options):
        if interrupt.again:
            raise KeyboardInterrupt
        interrupt.again = True
        return double(source, **options)

    interrupt.again = False
    message = (
        rf"1 of 3 pictures are finished, 2 remain, from {tmp_path / 'b.png'} on: the same command "
        "with --exists skip goes on"
    )
    with pytest.raises(KeyboardInterrupt, match=message):
        enlarge(made, TWICE, interrupt, Report(report, made))
    assert [line["status"] for line in lines(report)] == ["done", "remaining", "remaining"]
    rest = planned(tmp_path)
    assert [job.source.name for job in rest.jobs] == ["b.png", "c.png"]


@pytest.mark.parametrize("exists", ["skip", "overwrite"])
def test_an_interrupt_says_how_the_rest_is_done(tmp_path: Path, exists: Exists) -> None:
    """A worker may have written what is not told of yet; an output of an earlier run is another."""
    made = planned(tmp_path, "a.png", "b.png", "c.png")
    if exists == "overwrite":
        for job in made.jobs:
            job.output.parent.mkdir(exist_ok=True)
            job.output.touch()
        made = make_plan([tmp_path], f"{tmp_path}/out/", TWICE, exists)
    asked: list[Path] = []

    def work(tell, watch) -> None:
        made.jobs[0].output.parent.mkdir(exist_ok=True)
        made.jobs[0].output.touch()
        raise KeyboardInterrupt

    again = {"skip": "same command with --exists skip goes on", "overwrite": "all of them again"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LOCAL, "exists", asked.append)
        with pytest.raises(KeyboardInterrupt, match=again[exists]):
            carry_out(made, work, Report(None, made), quiet=True)
    assert not asked  # of a store with a million pictures that would take hours


@pytest.mark.parametrize("ignored", [False, True], ids=["", "in the background of a shell"])
def test_the_end_that_the_system_asks_for_is_an_interrupt(tmp_path: Path, ignored: bool) -> None:
    made = planned(tmp_path, "a.png", "b.png", "c.png")
    report = tmp_path / "r.jsonl"
    usual = signal.SIG_IGN if ignored else signal.default_int_handler
    before = signal.signal(signal.SIGINT, usual), signal.signal(signal.SIGTERM, signal.SIG_DFL)
    terms = iter((False, True))

    def terminated(source, *, progress, **options):
        if next(terms):
            signal.raise_signal(signal.SIGTERM)
            progress(0.5)
        return double(source, progress=progress, **options)

    try:
        with pytest.raises(KeyboardInterrupt, match="1 of 3 pictures are finished, 2 remain"):
            enlarge(made, TWICE, terminated, Report(report, made))
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    assert [line["status"] for line in lines(report)] == ["done", "remaining", "remaining"]


def test_reports_that_would_overwrite_something(tmp_path: Path) -> None:
    made = Plan([Job(tmp_path / "odd.jsonl", tmp_path / "a.png")])
    (tmp_path / "odd.jsonl").write_text("a picture")
    with pytest.raises(ValueError, match=r"expected a report that ends in \.jsonl, got .*b\.png"):
        Report(tmp_path / "b.png", made)
    with pytest.raises(ValueError, match=r"odd\.jsonl is an input and would be overwritten"):
        Report(tmp_path / "odd.jsonl", made)
    assert (tmp_path / "odd.jsonl").read_text() == "a picture"
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write .*r\.jsonl: (File exists|Not a directory)"):
        Report(tmp_path / "file" / "r.jsonl", made)
    Report(tmp_path / "made/for/it" / "r.jsonl", made)  # as the folder of an output is
    assert (tmp_path / "made/for/it" / "r.jsonl").read_text() == ""
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(OSError, match=r"the report .*pipe\.jsonl: it is no regular file"):
        Report(tmp_path / "pipe.jsonl", made)


def test_a_report_that_fails_on_the_way_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = planned(tmp_path, "a.png", "b.png")
    report = Report(tmp_path / "r.jsonl", made)
    original = Path.open

    def full(self: Path, *args, **options):
        if self.suffix == ".jsonl":
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, *args, **options)

    monkeypatch.setattr(Path, "open", full)
    assert enlarge(made, TWICE, double, report, quiet=True) == 1
    expected = f"ccsr: error: cannot write the report {tmp_path / 'r.jsonl'}: No space left"
    assert capsys.readouterr().err.startswith(expected)
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_preview_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = planned(tmp_path, "a.png", "b\n.png", "c.png")
    enlarge(Plan(made.jobs[:1]), TWICE, double, Report(None, made), quiet=True)
    made = planned(tmp_path)
    (tmp_path / "c.png").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    assert preview(made, TWICE, Report(None, made)) == 1
    assert sorted(tmp_path.rglob("*")) == before
    shown, errors = capsys.readouterr()
    assert shown == (
        f"{tmp_path}/b\\n.png -> {tmp_path}/out/b\\n_2x.png (6x4)\n"
        f"{tmp_path}/a.png -> {tmp_path}/out/a_2x.png exists, is skipped\n"
    )
    assert errors.startswith(f"ccsr: error: cannot read {tmp_path}/c.png: the file is empty")


def test_a_preview_names_what_does_not_fit_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (4000, 3000)).save(tmp_path / "a.png")
    made = planned(tmp_path, "b.png")
    report = Report(tmp_path / "report.jsonl", made)
    monkeypatch.setattr(device, "free_memory", lambda device: 100_000_000)
    assert preview(made, TWICE, report) == 1
    shown, errors = capsys.readouterr()
    assert shown == f"{tmp_path}/b.png -> {tmp_path}/out/b_2x.png (6x4)\n"
    told = f"cannot enlarge {tmp_path}/a.png: a result of 8000x6000 pixels needs"
    assert errors.startswith(f"ccsr: error: {told}")
    first, second = lines(tmp_path / "report.jsonl")
    assert str(first["error"]).startswith(told)
    assert second["status"] == "planned"


def test_outcomes_are_told_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed leaves a report of all that was done."""
    made = planned(tmp_path, "a.png")
    report = tmp_path / "r.jsonl"
    seen: list[int] = []

    def run(jobs, target, upscaler, tell, files, progress):
        tell(Outcome(jobs[0], (4, 6), 0.1))
        seen.append(len(lines(report)))

    monkeypatch.setattr(pipeline, "run", run)
    enlarge(made, TWICE, double, Report(report, made), quiet=True)
    assert seen == [1]
