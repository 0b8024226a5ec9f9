"""What goes wrong with a store is waited for, or said; reports lie in stores too."""

import errno
import json
import random
import re
import tempfile
import threading
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from ccsr.cli.enlarging import enlarge
from ccsr.jobs import patience, reports
from ccsr.jobs.checks import Job
from ccsr.jobs.pipeline import run
from ccsr.jobs.places import Url, place
from ccsr.jobs.plan import Plan, make_plan
from ccsr.jobs.reports import Report
from ccsr.jobs.summary import summed_up
from ccsr.jobs.writing import Outcome
from stores import TWICE, Bucket, double, fill, upload, web


def test_what_a_store_refuses_is_said(
    bucket: type[Bucket], pauses: list[float], tmp_path: Path
) -> None:
    fill(tmp_path)
    upload(tmp_path)
    given = place("gs://bucket/in")

    def planning() -> Plan:
        return make_plan([given], "gs://bucket/out/", TWICE, "overwrite", recursive=True)

    missing = FileNotFoundError("The specified bucket does not exist")
    cases = [
        (lambda verb, key: PermissionError("Access Denied"), "access denied, look at the cred"),
        (lambda verb, key: missing if verb == "list" else None, "no such bucket"),
        (lambda verb, key: OSError(errno.EINVAL, "odd"), r"\[Errno 22\] odd"),
    ]
    for fail, sentence in cases:
        Bucket.fail = staticmethod(fail)
        Bucket.exists = lambda self, path: False
        try:
            with pytest.raises(OSError, match=f"cannot .* gs://bucket/.*: .*{sentence}"):
                planning()
        finally:
            del Bucket.exists
    assert not pauses
    Bucket.fail = staticmethod(lambda verb, key: PermissionError("no") if verb == "write" else None)
    with pytest.raises(OSError, match=r"cannot write into gs://bucket/out.*: access denied"):
        run(planning().jobs, TWICE, double, lambda outcome: pytest.fail("it began"))


def test_a_busy_store_is_waited_for(
    bucket: type[Bucket], pauses: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: 1.0)
    fill(tmp_path)
    upload(tmp_path)
    plan = make_plan([place("gs://bucket/one")], "gs://bucket/new/", TWICE)
    left = {"read": 2, "write": 5}

    def busy(verb: str, key: str) -> Exception | None:
        left[verb] = left.get(verb, 0) - 1
        return OSError(errno.EBUSY, "Please reduce your request rate.") if left[verb] >= 0 else None

    Bucket.fail = staticmethod(busy)
    outcomes: list[Outcome] = []
    run(plan.jobs, TWICE, double, outcomes.append)
    assert outcomes[0].error == ""
    assert sorted(pauses) == sorted([1, 2, 4, 8, 16, 1, 2])  # the trial to write, then the reading
    pauses.clear()
    left["read"] = 100
    run(plan.jobs, TWICE, double, outcomes.append)
    assert outcomes[1].error == (
        "cannot read gs://bucket/one/p10.png: the store is busy, or does not answer, after 31 s of "
        "pauses ([Errno 16] Please reduce your request rate.)"
    )
    assert pauses == list(patience.PAUSES)


@pytest.mark.parametrize("answered", [True, False])
def test_a_server_that_begins_anew_is_waited_for(
    pauses: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    """It is if it answered before; else its address may be wrong, which is said at once."""
    monkeypatch.setattr(patience, "_answered", threading.Event())
    Image.new("L", (3, 2), 7).save(tmp_path / "a.png")
    outcomes: list[Outcome] = []
    with web(lambda path: (200, (tmp_path / "a.png").read_bytes())) as address:
        (job,) = make_plan([place(f"{address}/a.png")], f"{tmp_path}/out/", TWICE).jobs
        run([job] if answered else [], TWICE, double, outcomes.append)
    run([job], TWICE, double, outcomes.append)
    waited = r"does not answer, after \d+ s of pauses \(.*" if answered else "a.png: .*"
    assert re.search(rf"{waited}127\.0\.0\.1", outcomes[-1].error)
    assert len(pauses) == (len(patience.PAUSES) if answered else 0)


def test_addresses_in_the_web_are_inputs(tmp_path: Path, pauses: list[float]) -> None:
    Image.new("L", (3, 2), 7).save(tmp_path / "a.png")
    body = (tmp_path / "a.png").read_bytes()
    asked: list[str] = []

    def answers(path: str) -> tuple[int, bytes]:
        asked.append(path)
        if path.startswith("/busy") and asked.count(path) < 5:
            return 503, b""
        return {"/secret.png": 403, "/gone.png": 404}.get(path, 200), body

    with web(answers) as address:
        names = ("a%20b.png?size=2", "busy.png", "secret.png", "gone.png")
        plan = make_plan([place(f"{address}/{n}") for n in names], f"{tmp_path}/out/", TWICE)
        assert [job.output.name for job in plan.jobs] == [
            "a b_2x.png", "busy_2x.png", "secret_2x.png", "gone_2x.png",
        ]  # fmt: skip
        outcomes: list[Outcome] = []
        run(plan.jobs, TWICE, double, outcomes.append)
    good, busy, secret, gone = (outcome.error for outcome in outcomes)
    assert good == busy == ""
    assert pauses
    assert "access denied" in secret
    assert gone == f"cannot read {address}/gone.png: there is no such file or folder"


def test_reports_lie_in_stores_too(
    bucket: type[Bucket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path)
    upload(tmp_path)
    Bucket.store.pop("/bucket/in/P2.jpg")
    fsspec.filesystem("gs").pipe_file("gs://bucket/in/P2.jpg", b"junk")
    plan = make_plan([place("gs://bucket/in")], "gs://bucket/out/", TWICE, "skip", recursive=True)
    where = place("gs://bucket/run.jsonl")
    monkeypatch.setattr(reports, "EVERY", 0)
    monkeypatch.setattr(reports, "SHARE", 1e9)
    sizes: list[int] = []
    original = Report.add

    def add(self: Report, *args, **options) -> None:
        original(self, *args, **options)
        sizes.append(len(Bucket.store["/bucket/run.jsonl"].getvalue()))

    monkeypatch.setattr(Report, "add", add)
    assert enlarge(plan, TWICE, double, Report(where, plan), quiet=True) == 1
    assert sizes == sorted(set(sizes))  # it grows while the run goes on
    found = summed_up([where])
    assert found.pictures == plan.total
    assert found.failed == [
        "cannot read gs://bucket/in/P2.jpg: not an image of a known kind, or damaged"
    ]
    with pytest.raises(ValueError, match=r"the report gs://bucket/in/x\.jsonl is an input"):
        Report(place("gs://bucket/in/x.jsonl"), Plan([Job(Url("gs://bucket/in/x.jsonl"), Path())]))
    with pytest.raises(OSError, match=r"cannot read the report gs://bucket/none\.jsonl: there is"):
        summed_up([place("gs://bucket/none.jsonl")])


def test_a_report_that_its_store_does_not_take_is_left_here(
    bucket: type[Bucket], pauses: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "EVERY", 0)
    monkeypatch.setattr(reports, "SHARE", 1e9)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    report = Report(place("gs://bucket/run.jsonl"), Plan())
    denied = OSError(errno.EACCES, "no more")
    Bucket.fail = staticmethod(lambda verb, key: denied if verb == "write" else None)
    report.add(Path("a.png"), "done", Path("b.png"), width=1, height=2)
    assert not report.error  # there will be further attempts
    report.close()
    found = re.fullmatch(
        r"cannot write gs://bucket/run\.jsonl: access denied.*; the report is left in (.*)",
        report.error,
    )
    assert found
    assert json.loads(Path(found[1]).read_text())["source"] == "a.png"
    with pytest.raises(OSError, match=r"cannot write gs://bucket/run\.jsonl: access denied"):
        Report(place("gs://bucket/run.jsonl"), Plan())
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["run.jsonl"]
