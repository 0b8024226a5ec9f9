import json
import os
from pathlib import Path

import pytest

from ccsr.cli import enlarging
from ccsr.jobs.checks import Job
from ccsr.jobs.plan import Plan
from ccsr.jobs.reports import Report
from ccsr.jobs.shards import Shard
from ccsr.jobs.summary import summed_up


def jobs(*names: str) -> list[Job]:
    return [Job(Path(f"in/{name}.png"), Path(f"out/{name}_2x.png")) for name in names]


def report(path: Path, plan: Plan, *told: tuple[int, str]) -> Path:
    """A report of a run that told of some of its jobs and then was killed."""
    written = Report(path, plan)
    for number, status in told:
        source, output = plan.jobs[number]
        more: dict[str, str | float] = {}
        if status == "done":
            more = {"width": 2000, "height": 500, "seconds": 2.0}
        if status == "failed":
            more = {"error": f"cannot read {source}: no"}
        written.add(source, status, output, **more)
    assert written.error == ""
    return path


def test_reports_of_shards_are_joined(tmp_path: Path) -> None:
    first = Plan(jobs("a", "b", "c"), shard=Shard(1, 3))
    second = Plan(jobs("d", "e"), shard=Shard(2, 3))
    one = report(tmp_path / "1.jsonl", first, (0, "done"), (1, "failed"))
    two = report(tmp_path / "2.jsonl", second, (0, "done"), (1, "remaining"))
    found = summed_up([one, two])
    assert (found.pictures, found.done, found.missing) == (5, 2, 2)
    assert found.failed == ["cannot read in/b.png: no"]
    assert found.absent == ["3/3"]
    assert found.notes == [
        f"{two}: stopped with 1 to do, from in/e.png on",
        f"{one}: 1 of 3 pictures are not told of: the run was killed, or still goes on",
    ]
    assert (found.pixels, found.seconds) == (2_000_000, 4.0)
    assert summed_up([one, two, one]) == found  # globs overlap
    (tmp_path / "link").symlink_to(tmp_path)
    assert summed_up([one, two, tmp_path / "link" / two.name]) == found
    assert 2.0 <= found.span < 3.0
    assert not found.complete


def test_a_whole_run_makes_up_for_shards_without_report(tmp_path: Path) -> None:
    """If it tells of all that they tell of; so does a run of another number of shards."""
    every = jobs("a", "b", "c", "d")
    third = report(
        tmp_path / "s.jsonl", Plan(every[:2], shard=Shard(1, 3)), (0, "done"), (1, "done")
    )
    assert summed_up([third]).absent == ["2/3", "3/3"]
    all_done = [(number, "done") for number in range(4)]
    whole = report(tmp_path / "w.jsonl", Plan(every), *all_done)
    assert summed_up([third, whole]).complete
    cut = report(tmp_path / "c.jsonl", Plan(every), *all_done[:2])
    assert summed_up([third, cut]).absent == ["2/3", "3/3"]
    other = report(tmp_path / "o.jsonl", Plan(jobs("x")), (0, "done"))
    assert summed_up([third, other]).absent == ["2/3", "3/3"]
    halves = [
        report(tmp_path / f"{n}.jsonl", Plan(part, shard=Shard(n, 2)), (0, "done"), (1, "done"))
        for n, part in ((1, every[::2]), (2, every[1::2]))
    ]
    assert summed_up([third, *halves]).complete
    assert summed_up([third, halves[0]]).absent == ["2/2", "2/3", "3/3"]


def test_a_picture_counts_once_however_its_folder_is_spelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = Plan(jobs("a", "b"))
    again = Plan([Job(job.source, tmp_path / "in" / ".." / job.output) for job in plan.jobs])
    one = report(tmp_path / "1.jsonl", plan, (0, "done"), (1, "failed"))
    two = report(tmp_path / "2.jsonl", again, (0, "skipped"), (1, "done"))
    found = summed_up([one, two])
    assert (found.pictures, found.done, found.failed) == (2, 2, [])
    assert found.complete


def test_a_later_run_makes_good_what_was_missing(tmp_path: Path) -> None:
    plan = Plan(jobs("a", "b", "c"))
    one = report(tmp_path / "1.jsonl", plan, (0, "done"), (1, "failed"))
    two = report(tmp_path / "2.jsonl", plan, (0, "skipped"), (1, "done"), (2, "done"))
    for order in ([one, two], [two, one]):
        found = summed_up(order)
        assert (found.pictures, found.done, found.failed, found.missing) == (3, 3, [], 0)
        assert found.complete
    other = report(tmp_path / "3.jsonl", Plan(jobs("x")), (0, "done"))
    assert summed_up([one, other, two]).pictures == 4


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0\0", b"pictures\n", b"[" * 100_000])
def test_another_file_is_not_taken_for_one_that_was_cut(tmp_path: Path, content: bytes) -> None:
    whole = report(tmp_path / "1.jsonl", Plan(jobs("a")), (0, "done"))
    other = tmp_path / "photo.png"
    other.write_bytes(content)
    with pytest.raises(ValueError, match=r"photo\.png is no report of ccsr upscale: line 1 does"):
        summed_up([whole, other])


def test_a_line_that_was_cut_is_told(tmp_path: Path) -> None:
    one = report(tmp_path / "1.jsonl", Plan(jobs("a", "b")), (0, "done"), (1, "done"))
    one.write_bytes(one.read_bytes()[:-20])
    found = summed_up([one])
    assert (found.pictures, found.done, found.missing) == (2, 1, 1)
    assert found.notes[0] == f"{one}: 1 line is cut off"


def test_reports_before_they_told_how_many_pictures(tmp_path: Path) -> None:
    line = {"source": "a", "output": "b", "status": "done", "width": 5, "height": 4, "seconds": 1}
    (tmp_path / "old.jsonl").write_text(json.dumps(line) + "\n")
    found = summed_up([tmp_path / "old.jsonl"])
    assert (found.pictures, found.done, found.complete, found.pixels) == (1, 1, True, 20)


def test_the_report_of_a_run_that_was_killed_at_its_begin_is_not_complete(tmp_path: Path) -> None:
    empty = report(tmp_path / "e.jsonl", Plan(jobs("a")))
    (tmp_path / "cut.jsonl").write_text('{"source": "a')
    whole = report(tmp_path / "w.jsonl", Plan(jobs("a")), (0, "done"))
    for silent in (empty, tmp_path / "cut.jsonl"):
        for paths in ([silent], [silent, whole]):
            found = summed_up(paths)
            assert found.silent == [str(silent)]
            assert f"{silent}: tells of no picture: the run was killed at its begin" in str(found)
            assert not found.complete
    assert summed_up([whole]).complete


def test_a_shard_may_have_no_pictures(tmp_path: Path) -> None:
    one = report(tmp_path / "1.jsonl", Plan(jobs("a"), shard=Shard(1, 2)), (0, "done"))
    two = report(tmp_path / "2.jsonl", Plan(shard=Shard(2, 2)))
    assert [json.loads(text)["status"] for text in two.read_text().splitlines()] == ["empty"]
    found = summed_up([one, two])
    assert (found.pictures, found.done, found.absent, found.notes) == (1, 1, [], [])
    assert found.complete
    left_out = Plan(made=[Path("in/a_2x.png")], shard=Shard(2, 2))
    enlarging.carry_out(left_out, lambda *_: None, Report(two, left_out))
    assert summed_up([one, two]).complete


def test_what_could_not_be_named_or_listed_is_made_good_by_a_later_run(tmp_path: Path) -> None:
    first = Plan(jobs("a"), unlisted={Path("in/b.png"): "no size", Path("in/sub"): "denied"})
    one = report(tmp_path / "1.jsonl", first, (0, "done"))
    alone = report(tmp_path / "0.jsonl", Plan(unlisted={Path("in/sub"): "denied"}))
    for path, sources in ((one, ["in/b.png", "in/sub"]), (alone, ["in/sub"])):
        with path.open("a") as stream:
            for source in sources:
                line = {"source": source, "output": None, "status": "failed", "error": source}
                stream.write(json.dumps({**line, "of": 3 if path == one else 1}) + "\n")
    second = Plan(jobs("a", "b", "sub/c", "subway"))
    two = report(tmp_path / "2.jsonl", second, (0, "skipped"), (1, "done"), (3, "done"))
    found = summed_up([one, alone, two])
    assert (found.failed, found.done, found.complete) == (["in/sub"], 3, False)
    more = report(tmp_path / "3.jsonl", second, (0, "skipped"), (1, "skipped"), (2, "done"))
    for order in ([one, alone, two, more], [more, two, alone, one]):
        found = summed_up(order)
        assert (found.pictures, found.done, found.failed, found.missing) == (4, 4, [], 0)


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "7",
        '{"status": "done"}',
        '{"source": "a", "output": null, "status": "odd"}',
        '{"source": "a", "output": "b", "status": "skipped", "shard": "of 3"}',
    ],
)
def test_other_files_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"a\.jsonl is no report of ccsr upscale: line 1 does not"):
        summed_up([tmp_path / "a.jsonl"])
    with pytest.raises(OSError, match=r"cannot read the report .*none\.jsonl: No such file"):
        summed_up([tmp_path / "none.jsonl"])


def test_a_full_disk_cuts_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(jobs("a", "b"))
    written = Report(tmp_path / "r.jsonl", plan)
    written.add(*plan.jobs[:1][0][:1], "skipped", plan.jobs[0].output)
    before = (tmp_path / "r.jsonl").read_bytes()
    opened = Path.open

    class Full:
        def __init__(self, file) -> None:
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *exception) -> None:
            self.file.close()

        def __getattr__(self, name: str):
            return getattr(self.file, name)

        def write(self, text: bytes) -> int:
            return self.file.write(text[:9])

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda self, *args, **more: Full(opened(self, *args, **more)))
        written.add(plan.jobs[1].source, "skipped", plan.jobs[1].output)
    assert written.error == f"cannot write the report {tmp_path / 'r.jsonl'}: {os.strerror(28)}"
    assert (tmp_path / "r.jsonl").read_bytes() == before
