"""What lies in a store is planned, read and written as what lies in a folder."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path, PurePath

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFile
from fsspec.registry import _registry

from ccsr.image.folders import natural
from ccsr.jobs.checks import Job, check
from ccsr.jobs.naming import Naming
from ccsr.jobs.pipeline import run
from ccsr.jobs.places import Url, place
from ccsr.jobs.plan import Plan, make_plan
from ccsr.jobs.shards import Shard
from ccsr.jobs.stores import store_of
from ccsr.jobs.writing import Outcome
from stores import TWICE, Bucket, Far, double, fill, installed, upload


def told(work: Callable[[], Plan], root: str) -> object:
    """What a plan says, whichever store it is for."""
    try:
        plan = work()
    except ValueError as error:
        return str(error).replace(root, "ROOT")
    pairs = [[(str(j.source), str(j.output)) for j in jobs] for jobs in (plan.jobs, plan.skipped)]
    said = (pairs, list(map(str, plan.made)), plan.notes, plan.others, plan.unlisted)
    return json.loads(json.dumps(said, default=str).replace(root, "ROOT"))


@pytest.mark.parametrize("kind", ["objects", pytest.param("folders", marks=pytest.mark.long)])
def test_a_store_is_planned_as_a_folder_is(
    tmp_path: Path, bucket: type[Bucket], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path)
    monkeypatch.setattr(Far, "top", str(tmp_path / "far"))
    upload(tmp_path)
    shutil.copytree(tmp_path, tmp_path / "far" / "host")
    root = {"objects": "gs://bucket", "folders": "sftp://host"}[kind]
    outputs = (None, "out/", "in/out/", "in/", "new", "a.png")
    inputs = (
        ["in"], ["in/p10.png"], ["in", "one"], ["in/p10.png", "in/b10"], ["in/folder.png/"],
    )  # fmt: skip
    namings = (None, Naming("{stem}_{width}"))
    flags = product((False, True), ("error", "skip"), (None, Shard(2, 3)))
    seen = set()
    with installed("sftp", Far):
        for given, out, naming, (recursive, exists, shard) in product(
            inputs, outputs, namings, flags
        ):

            def plan(top: str, given=given, out=out, naming=naming, r=recursive, e=exists, s=shard):
                where = [place(f"{top}/{name}") for name in given]
                output = None if out is None else f"{top}/{out}"
                return make_plan(where, output, TWICE, e, recursive=r, naming=naming, shard=s)

            here = told(lambda plan=plan: plan(str(tmp_path)), str(tmp_path))
            there = told(lambda plan=plan: plan(root), root)
            assert there == here, (given, out, naming, recursive, exists, shard)
            seen.add(str(here))
    assert len(seen) > 60  # the plans do differ


def test_outputs_have_the_same_bytes(tmp_path: Path, bucket: type[Bucket]) -> None:
    fill(tmp_path)
    upload(tmp_path)
    plans = [
        make_plan([place(f"{top}/in")], f"{top}/new/", TWICE, recursive=True)
        for top in (str(tmp_path), "gs://bucket")
    ]
    for plan in plans:
        outcomes: list[Outcome] = []
        run(plan.jobs, TWICE, double, outcomes.append)
        assert [outcome.error for outcome in outcomes] == [""] * len(plan.jobs)
    here = {
        path.relative_to(tmp_path).as_posix(): path.read_bytes()
        for path in (tmp_path / "new").rglob("*.png")
        if path.is_file()
    }
    there = {key.removeprefix("/bucket/"): file.getvalue() for key, file in Bucket.store.items()}
    assert {name: there.get(name) for name in here} == here
    assert len(here) == len(plans[0].jobs) == 9
    assert not [name for name in there if ".ccsr-" in name]


def test_folders_far_away_are_made_and_files_appear_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path)
    monkeypatch.setattr(Far, "top", str(tmp_path / "far"))
    seen: list[list[str]] = []
    original = Far.put_file

    def put(self: Far, *args, **options):
        original(self, *args, **options)
        seen.append([path.name for path in (tmp_path / "far" / "host").rglob("*.png")])

    monkeypatch.setattr(Far, "put_file", put)
    with installed("sftp", Far):
        plan = make_plan([tmp_path / "in/p10.png"], "sftp://host/new/deep/", TWICE)
        run(plan.jobs, TWICE, double, lambda outcome: None)
    assert seen == [[]]  # under its name only when all of it is there
    made = [path.name for path in (tmp_path / "far").rglob("*") if path.is_file()]
    assert made == ["p10_2x.png"]


def test_a_million_keys_are_asked_for_by_one_listing(bucket: type[Bucket]) -> None:
    for number in range(500):
        fsspec.filesystem("gs").pipe_file(f"gs://bucket/in/{number % 50}/{number}.png", b"")
    for output, count in (("gs://bucket/out/", 2), (None, 1)):
        Bucket.asked.clear()
        plan = make_plan([place("gs://bucket/in")], output, TWICE, "skip", recursive=True)
        assert len(plan.jobs) == 500
        assert Bucket.asked["list"] == count
        assert Bucket.asked.total() <= count + 4  # is it a folder, is there a bucket


def test_names_that_are_no_paths_are_not_followed(tmp_path: Path, bucket: type[Bucket]) -> None:
    for key in ("/bucket/in/../../../x.png", "/bucket/in//y.png", "/bucket/in/ok.png"):
        Bucket.store[key] = MemoryFile(None, key, b"")
    plan = make_plan([place("gs://bucket/in")], f"{tmp_path}/", TWICE, recursive=True)
    assert [job.output for job in plan.jobs] == [tmp_path / "ok_2x.png"]
    assert list(map(str, plan.unlisted)) == [
        "gs://bucket/in/../../../x.png", "gs://bucket/in//y.png",
    ]  # fmt: skip
    assert all("its name has parts that no path has" in text for text in plan.unlisted.values())


def test_what_cannot_be_planned() -> None:
    cases = {
        "foo://b/a.png": (ValueError, r"no kind of store is called foo: "),
        "s4://b/a.png": (ValueError, r"no kind of store is called s4: did you mean 's3'"),
        "zip://a.png::s3://b/c.zip": (ValueError, r"expected one URL, got several in each other"),
        "simplecache::s3://b/c": (ValueError, r"expected one URL, got several"),
        "sftp://me:word@host/a.png": (
            ValueError,
            r"no password in the URL of host/a\.png, since .* give it by FSSPEC_SFTP_PASSWORD",
        ),
        "s3://me:word@bucket/a.png": (ValueError, r"no password .* by the store's own files"),
    }
    for text, (kind, sentence) in cases.items():
        with pytest.raises(kind, match=sentence):
            make_plan([place(text)], None, TWICE)
    with pytest.raises(ValueError, match=r"into https://h/a: the web is only read, say by -o"):
        make_plan([place("https://h/a/b.png")], None, TWICE)
    with pytest.raises(ValueError, match=r"its name has 1034 bytes, at most 1024 are possible"):
        check([Job(Url("memory://b/in.png"), Url(f"memory://b/{'n' * 1030}.png"))])


def test_a_file_whose_name_has_colons_is_no_url() -> None:
    assert place("std::vector.png") == Path("std::vector.png")


def test_an_output_that_is_an_input_is_refused(bucket: type[Bucket]) -> None:
    inputs = [place(f"gs://bucket/in/{name}") for name in ("b.png", "b_2x.png")]
    for url in inputs:
        fsspec.filesystem("gs").pipe_file(str(url), b"")
    sentence = r"gs://bucket/in/b_2x\.png is an input and would be overwritten: choose another"
    with pytest.raises(ValueError, match=sentence):
        make_plan(inputs, "gs://bucket/in/", TWICE, "overwrite")
    (only, *_) = inputs
    with pytest.raises(ValueError, match=r"in/b\.png is an input and would be overwritten"):
        make_plan([only], "gs:///bucket/in/b.png", TWICE, "overwrite")  # spelled in another way


@pytest.mark.parametrize("output", ["sftp://host/in//a.png", "sftp://host/in/x/../a.png"])
def test_an_output_that_is_an_input_by_another_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.setattr(Far, "top", str(tmp_path))
    with (
        installed("sftp", Far),
        pytest.raises(ValueError, match=r"a\.png is an input and would be overwritten"),
    ):
        make_plan([place("sftp://host/in/a.png")], output, TWICE, "overwrite")


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fsspec", None)
        with pytest.raises(RuntimeError, match=r"package fsspec.*pip install 'ccsr\[remote\]'"):
            store_of(Url("s3://none/a.png"))
    with monkeypatch.context() as patch:
        for name in ("gcsfs", "s3fs"):
            patch.setitem(sys.modules, name, None)
            scheme = {"gcsfs": "gs", "s3fs": "s3"}[name]
            patch.delitem(_registry, scheme, raising=False)
            with pytest.raises(RuntimeError, match=rf"the package {name}.*pip install {name}"):
                store_of(Url(f"{scheme}://nowhere/a.png"))
        patch.setitem(sys.modules, "smbclient", None)  # of a package that is called otherwise
        with pytest.raises(RuntimeError, match=r"not installed \(smbclient\): SMB.*smbprotocol"):
            store_of(Url("smb://nowhere/a.png"))


def test_urls() -> None:
    assert place("file:///a/b.png") == Path("/a/b.png")
    assert place("s3:/a") == Path("s3:/a")
    assert place("file://localhost/a/b.png") == Path("/a/b.png")
    assert place("s3a://b/in/") == Url("s3://b/in")
    assert place("s3:///b/a//c") == Url("s3://b/a//c")
    assert place("abfss://c@account/a") == place("az://c@account/a") == Url("abfs://c@account/a")
    assert place("github://owner:name@main/a.png").name == "a.png"
    url = place("s3://bucket/in/b.c.png")
    assert (url.name, url.stem, url.suffix, url.scheme) == ("b.c.png", "b.c", ".png", "s3")
    assert url.parent == Url("s3://bucket/in")
    assert url.parent.parent == url.root == url.root.parent == Url("s3://bucket")
    assert url.relative_to("s3://bucket") == PurePath("in/b.c.png")
    assert url.parent / PurePath("x").parent == url.parent
    with pytest.raises(ValueError, match=r"s3://bucket/in/b\.c\.png is not below s3://buck"):
        url.relative_to("s3://buck")


def test_natural_order_is_that_of_numbers_and_texts() -> None:
    names = ["a", "a1", "a01b", "a1b", "a2", "a10", "a10b2", "ab", "a b", "10", "9", "b", "٣", "A3"]

    def parts(name: str) -> list[tuple[int, int, str]]:
        found = re.findall(r"\d+|\D+", name.casefold())
        return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in found]

    assert sorted(names, key=natural) == sorted(names, key=parts)
