import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ccsr.image import Output
from ccsr.jobs.checks import Job
from ccsr.jobs.plan import Plan, make_plan
from ccsr.jobs.target import Target

TWICE = Target(scale=(2.0, 2.0))


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def sources(made: Plan, root: Path) -> list[str]:
    return [job.source.relative_to(root).as_posix() for job in made.jobs]


def test_outputs_lie_beside_the_input_or_in_the_folder(tmp_path: Path) -> None:
    photo = tmp_path / "my photo.old.jpg"
    touch(photo)
    name = "my photo.old_2x.png"
    assert make_plan([photo], None, TWICE).jobs == [Job(photo, tmp_path / name)]
    assert make_plan([photo], str(tmp_path), Target(width=9)).jobs == [
        Job(photo, tmp_path / "my photo.old_9w.png")
    ]
    assert make_plan([photo], f"{tmp_path}/new/", TWICE).jobs[0].output == tmp_path / "new" / name
    assert make_plan([photo], f"{tmp_path}/big.JPG", TWICE).jobs[0].output == tmp_path / "big.JPG"
    other = tmp_path / "b.png"
    touch(other)
    outputs = [job.output for job in make_plan([photo, other], f"{tmp_path}/new", TWICE).jobs]
    assert outputs == [tmp_path / "new" / name, tmp_path / "new" / "b_2x.png"]


def test_the_format_of_new_files(tmp_path: Path) -> None:
    touch(tmp_path / "a.JPEG", tmp_path / "b.heic")
    for choice, names in {
        "same": ["a_2x.jpeg", "b_2x.png"],
        "webp": ["a_2x.webp", "b_2x.webp"],
        "tiff": ["a_2x.tif", "b_2x.tif"],
    }.items():
        jobs = make_plan([tmp_path], None, TWICE, saving=Output(choice)).jobs
        assert [job.output.name for job in jobs] == names
    named = make_plan([tmp_path / "b.heic"], f"{tmp_path}/c.jpg", TWICE, saving=Output("webp"))
    assert named.jobs == [Job(tmp_path / "b.heic", tmp_path / "c.jpg")]


def test_wishes_that_no_format_knows_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="PNG has no quality to choose"):
        make_plan([tmp_path / "a.jpg"], None, TWICE, saving=Output(quality=80))


def test_a_folder_gives_its_images_in_natural_order(tmp_path: Path) -> None:
    touch(*(tmp_path / n for n in ("p10.png", "P2.jpg", "p1.webp", "a.txt", ".hidden.png")))
    (tmp_path / "folder.png").mkdir()
    assert sources(make_plan([tmp_path], None, TWICE), tmp_path) == ["p1.webp", "P2.jpg", "p10.png"]


def test_a_tree_is_kept(tmp_path: Path) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    names = ["z.png", "b2/a.png", "b10/a.png", "b2/c/d.jpg", ".cache/e.png", "b2/.f.png", "t/x.md"]
    touch(*(root / name for name in names))
    made = make_plan([root], str(out), TWICE, recursive=True)
    assert sources(made, root) == ["z.png", "b2/a.png", "b2/c/d.jpg", "b10/a.png"]
    assert [job.output.relative_to(out).as_posix() for job in made.jobs] == [
        "z_2x.png",
        "b2/a_2x.png",
        "b2/c/d_2x.png",
        "b10/a_2x.png",
    ]
    beside = make_plan([root], None, TWICE, recursive=True).jobs
    assert {job.output.parent for job in beside} == {job.source.parent for job in beside}
    assert sources(make_plan([root], str(out), TWICE), root) == ["z.png"]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "a.png", tmp_path / "elsewhere" / "b.png")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "away").symlink_to(tmp_path / "elsewhere")
    made = make_plan([tmp_path / "in"], f"{tmp_path}/out/", TWICE, recursive=True)
    assert sources(made, tmp_path) == ["in/a.png"]


@pytest.mark.parametrize("out", ["out", "deep/out", "OUT/"])
def test_an_output_folder_inside_the_input_is_never_read(tmp_path: Path, out: str) -> None:
    touch(tmp_path / "a.png", tmp_path / "deep" / "b.png")
    folder = str(tmp_path / out)
    first = make_plan([tmp_path], f"{folder}/", TWICE, recursive=True)
    touch(*(job.output for job in first.jobs))
    again = make_plan([tmp_path], folder, Target(width=9), recursive=True)
    assert sources(again, tmp_path) == sources(first, tmp_path) == ["a.png", "deep/b.png"]
    through_link = tmp_path / "link"
    through_link.symlink_to(folder)
    again = make_plan([tmp_path], str(through_link), Target(width=9), recursive=True)
    assert sources(again, tmp_path) == ["a.png", "deep/b.png"]


@pytest.mark.parametrize("recursive", [False, True])
def test_what_an_earlier_run_made_is_not_enlarged_again(tmp_path: Path, recursive: bool) -> None:
    names = ("a.png", "a_2x.png", "a_2.37x.jpg", "a_9w.png", "b.png", "c_2x.png")
    touch(*(tmp_path / name for name in names))
    for out in (None, str(tmp_path)):
        made = make_plan([tmp_path], out, TWICE, "overwrite", recursive=recursive)
        assert sources(made, tmp_path) == ["a.png", "b.png", "c_2x.png"]
        assert made.notes == [
            f"left out 3 of the pictures, which are enlargements of others: {tmp_path}/a_2.37x.jpg,"
            " ..."
        ]
        assert sources(make_plan([tmp_path], out, TWICE, "skip"), tmp_path) == ["b.png", "c_2x.png"]
    elsewhere = make_plan([tmp_path], f"{tmp_path}/out/", TWICE)
    assert sorted(sources(elsewhere, tmp_path)) == sorted(names)


def test_an_input_given_twice_is_done_once(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    assert len(make_plan([tmp_path / "a.png", tmp_path], None, TWICE).jobs) == 1


def test_collisions_are_found_first(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.jpg and .*a\.png would both be written to .*a_2x"):
        make_plan([tmp_path], None, TWICE)
    touch(tmp_path / "one" / "x.png", tmp_path / "two" / "X.png")
    with pytest.raises(ValueError, match="would both be written"):
        make_plan([tmp_path / "one", tmp_path / "two"], str(tmp_path / "out"), TWICE)


def test_an_input_is_never_an_output(tmp_path: Path) -> None:
    touch(tmp_path / "a.png", tmp_path / "a_2x.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    cases = [
        ([tmp_path / "a.png"], str(tmp_path / "a.png")),
        ([tmp_path / "a.png"], str(tmp_path / "link.png")),
        ([tmp_path / "a.png"], f"{tmp_path}/../{tmp_path.name}/a.png"),
        ([tmp_path / "a.png", tmp_path / "a_2x.png"], None),
    ]
    for inputs, output in cases:
        with pytest.raises(ValueError, match="is an input and would be overwritten"):
            make_plan(inputs, output, TWICE, "overwrite")


def test_outputs_that_exist(tmp_path: Path) -> None:
    touch(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "out" / "a_2x.png")
    inputs, out = [tmp_path / "a.png", tmp_path / "b.png"], str(tmp_path / "out")
    with pytest.raises(ValueError, match=r"a_2x\.png exists already \(1 of 2 outputs do\): use"):
        make_plan(inputs, out, TWICE)
    skipping = make_plan(inputs, out, TWICE, "skip")
    assert sources(skipping, tmp_path) == ["b.png"]
    assert [job.source.name for job in skipping.skipped] == ["a.png"]
    assert skipping.notes == ["skipping 1 pictures whose outputs exist"]
    overwriting = make_plan(inputs, out, TWICE, "overwrite")
    assert (len(overwriting.jobs), overwriting.skipped, overwriting.notes) == (2, [], [])
    touch(tmp_path / "out" / "b_2x.png")
    assert make_plan(inputs, out, TWICE, "skip").notes == ["nothing to do: all outputs exist"]


def test_outputs_that_make_no_sense(tmp_path: Path) -> None:
    photo, other = tmp_path / "a.png", tmp_path / "b.png"
    touch(photo, other)
    with pytest.raises(ValueError, match=r"suffix '\.xyz', use one of"):
        make_plan([photo], "out.xyz", TWICE)
    with pytest.raises(ValueError, match=r"cannot tell the format of '.*out': end it with"):
        make_plan([photo], str(tmp_path / "out"), TWICE)
    for inputs in ([photo, other], [tmp_path]):
        with pytest.raises(ValueError, match=r"several pictures need a folder as -o, got 'o\.png'"):
            make_plan(inputs, "o.png", TWICE)


def test_folders_without_images(tmp_path: Path) -> None:
    touch(tmp_path / "sub" / "a.txt")
    with pytest.raises(
        ValueError, match=r"no images in the folder .*: expected .*, or --recursive"
    ):
        make_plan([tmp_path], None, TWICE)
    with pytest.raises(ValueError, match=r"no images in the folder .*: expected .*\.webp$"):
        make_plan([tmp_path], None, TWICE, recursive=True)


def test_folders_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a.png", tmp_path / "locked" / "b.png", tmp_path / "open" / "c.png")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    made = make_plan([tmp_path], f"{tmp_path}/out/", TWICE, recursive=True)
    assert sources(made, tmp_path) == ["a.png", "open/c.png"]
    locked = tmp_path / "locked"
    message = f"cannot read the folder {locked}: Permission denied"
    assert made.unlisted == {locked: message}
    with pytest.raises(ValueError, match=message):
        make_plan([locked], f"{tmp_path}/out/", TWICE)


def test_names_with_every_character(tmp_path: Path) -> None:
    names = ["ü é 日本.png", "100% #1.png", "-dash.png", "a=b,c[1];{~}'!.png", "a\nb\x1b.png"]
    names += [os.fsdecode(b"latin-\xe9.png")]
    for name in names:
        Image.new("L", (1, 1)).save(tmp_path / name)
    jobs = make_plan([tmp_path], None, TWICE).jobs
    assert {job.output.name for job in jobs} == {name[:-4] + "_2x.png" for name in names}


PARTS = st.sampled_from(["a", "A", "b", "é", "e\u0301", "a_2x", "a_9w", "out"])
PICTURES = st.sets(
    st.tuples(st.lists(PARTS, max_size=2), PARTS, st.sampled_from([".png", ".jpg"])).map(
        lambda parts: "/".join([*parts[0], parts[1] + parts[2]])
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=80, deadline=None)
@given(PICTURES, st.sampled_from([None, "out", "a/out", "../elsewhere"]), st.booleans())
def test_plans_of_any_tree(names: set[str], out: str | None, again: bool) -> None:
    """Whatever lies in a tree: outputs are distinct, no input is one, and a second run is idle."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "in")
        touch(*(root / name for name in names))
        given_out = None if out is None else f"{root / out}/"
        try:
            first = make_plan([root], given_out, TWICE, "skip", recursive=True)
        except ValueError as error:
            assert "both be written" in str(error) or "no images" in str(error)  # noqa: PT017
            return
        outputs = [str(job.output.resolve()).casefold() for job in first.jobs]
        assert len(set(outputs)) == len(outputs)
        assert not {job.source.resolve() for job in first.jobs} & {
            job.output.resolve() for job in first.jobs
        }
        touch(*(job.output for job in first.jobs))
        second = make_plan(
            [root], given_out, TWICE, "skip" if again else "overwrite", recursive=True
        )
        if again:
            assert second.jobs == []
        known = {job.source for job in first.jobs + first.skipped}
        assert {job.source for job in second.jobs + second.skipped} == known
