from pathlib import Path

import pytest
from PIL import Image

from ccsr.batch import Job, Target, natural, plan
from ccsr.image import Output

TWICE = Target(scale=(2.0, 2.0))


@pytest.mark.parametrize(
    ("target", "label", "size"),
    [
        (Target(scale=(2.37, 2.37)), "2.37x", (24, 47)),
        (Target(scale=(1.5, 2.0)), "2x1.5x", (15, 40)),
        (Target(scale=(0.01, 0.01)), "0.01x", (1, 1)),
        (Target(height=1080, width=1920), "1920x1080", (1080, 1920)),
        (Target(width=25), "25w", (13, 25)),
        (Target(height=7), "7h", (7, 14)),
        (Target(width=1), "1w", (1, 1)),
    ],
)
def test_targets(target: Target, label: str, size: tuple[int, int]) -> None:
    assert target.label == label
    assert target.size((10, 20)) == size


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_outputs_lie_beside_the_input_or_in_the_folder(tmp_path: Path) -> None:
    photo = tmp_path / "my photo.old.jpg"
    touch(photo)
    name = "my photo.old_2x.png"
    assert plan([photo], None, TWICE) == [Job(photo, tmp_path / name)]
    assert plan([photo], str(tmp_path), Target(width=9)) == [
        Job(photo, tmp_path / "my photo.old_9w.png")
    ]
    assert plan([photo], f"{tmp_path}/new/", TWICE)[0].output == tmp_path / "new" / name
    assert plan([photo], f"{tmp_path}/big.JPG", TWICE)[0].output == tmp_path / "big.JPG"
    other = tmp_path / "b.png"
    assert [j.output.parent.name for j in plan([photo, other], f"{tmp_path}/new", TWICE)] == [
        "new",
        "new",
    ]


def test_the_format_of_new_files(tmp_path: Path) -> None:
    touch(tmp_path / "a.JPEG", tmp_path / "b.heic")
    for choice, names in {
        "same": ["a_2x.jpeg", "b_2x.png"],
        "webp": ["a_2x.webp", "b_2x.webp"],
        "tiff": ["a_2x.tif", "b_2x.tif"],
    }.items():
        jobs = plan([tmp_path], None, TWICE, files=Output(choice))
        assert [job.output.name for job in jobs] == names
    assert plan([tmp_path / "b.heic"], f"{tmp_path}/c.jpg", TWICE, files=Output("webp")) == [
        Job(tmp_path / "b.heic", tmp_path / "c.jpg")
    ]


def test_wishes_that_no_format_knows_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="PNG has no quality to choose"):
        plan([tmp_path / "a.jpg"], None, TWICE, files=Output(quality=80))


def test_a_folder_gives_its_images_in_natural_order(tmp_path: Path) -> None:
    touch(*(tmp_path / n for n in ("p10.png", "P2.jpg", "p1.webp", "a.txt", ".hidden.png")))
    (tmp_path / "folder.png").mkdir()
    names = [job.source.name for job in plan([tmp_path], None, TWICE)]
    assert names == ["p1.webp", "P2.jpg", "p10.png"]
    assert natural("a2b10") < natural("a10b2") < natural("b")


def test_what_an_earlier_run_made_is_not_enlarged_again(tmp_path: Path) -> None:
    touch(*(tmp_path / n for n in ("a.png", "a_2x.png", "b.png")))
    jobs = plan([tmp_path], None, TWICE, "overwrite")
    assert [job.source.name for job in jobs] == ["a.png", "b.png"]
    jobs = plan([tmp_path], None, TWICE, "skip")
    assert [job.source.name for job in jobs] == ["b.png"]


def test_an_input_given_twice_is_done_once(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    assert len(plan([tmp_path / "a.png", tmp_path], None, TWICE)) == 1


def test_collisions_are_found_first(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.jpg and .*a\.png would both be written to .*a_2x"):
        plan([tmp_path], None, TWICE)
    touch(tmp_path / "one" / "x.png", tmp_path / "two" / "X.png")
    with pytest.raises(ValueError, match="would both be written"):
        plan([tmp_path / "one", tmp_path / "two"], str(tmp_path / "out"), TWICE)


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
            plan(inputs, output, TWICE, "overwrite")


def test_outputs_that_exist(tmp_path: Path) -> None:
    touch(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "out" / "a_2x.png")
    inputs, out = [tmp_path / "a.png", tmp_path / "b.png"], str(tmp_path / "out")
    with pytest.raises(ValueError, match=r"a_2x\.png exists already \(1 of 2 outputs do\): use"):
        plan(inputs, out, TWICE)
    assert [j.source.name for j in plan(inputs, out, TWICE, "skip")] == ["b.png"]
    assert len(plan(inputs, out, TWICE, "overwrite")) == 2


def test_outputs_that_make_no_sense(tmp_path: Path) -> None:
    photo, other = tmp_path / "a.png", tmp_path / "b.png"
    touch(photo, other)
    with pytest.raises(ValueError, match=r"suffix '\.xyz', use one of"):
        plan([photo], "out.xyz", TWICE)
    with pytest.raises(ValueError, match=r"cannot tell the format of '.*out': end it with"):
        plan([photo], str(tmp_path / "out"), TWICE)
    for inputs in ([photo, other], [tmp_path]):
        with pytest.raises(ValueError, match=r"several pictures need a folder as -o, got 'o\.png'"):
            plan(inputs, "o.png", TWICE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no images in the folder .*empty: expected files"):
        plan([tmp_path / "empty"], None, TWICE)


def test_names_with_every_character(tmp_path: Path) -> None:
    names = ["ü é 日本.png", "100% #1.png", "-dash.png", "a=b,c[1];{~}'!.png"]
    for name in names:
        Image.new("L", (1, 1)).save(tmp_path / name)
    jobs = plan([tmp_path], None, TWICE)
    assert {job.output.name for job in jobs} == {name[:-4] + "_2x.png" for name in names}
