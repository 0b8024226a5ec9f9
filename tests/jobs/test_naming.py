import re
from pathlib import Path

import pytest
from PIL import Image

from ccsr import image, sizes
from ccsr.jobs.naming import Naming
from ccsr.jobs.plan import make_plan
from ccsr.jobs.target import Target

TWICE = Target(scale=(2.0, 2.0))


@pytest.mark.parametrize(
    ("template", "target", "name"),
    [
        ("{stem}_{label}", TWICE, "my photo_2x"),
        ("{stem}_{width}x{height}", TWICE, "my photo_60x40"),
        ("{width}w {stem}, {model}", Target(width=31), "31w my photo, light"),
        ("{stem}@{scale}", Target(scale=(1.5, 2.0)), "my photo@2x1.5"),
        ("{stem}@{scale}", Target(rule=sizes.longest(71)), "my photo@2.367"),
        ("{stem}@{scale}", Target(height=60, width=45), "my photo@1.5x3"),
        ("{stem}-{stem}{{}}", TWICE, "my photo-my photo{}"),
    ],
)
def test_names(template: str, target: Target, name: str) -> None:
    naming = Naming(template, "light")
    assert naming.name(Path("in/my photo.jpg"), target, (20, 30)) == name
    assert naming.origin(name) == "my photo"
    assert naming.origin("other") is None


@pytest.mark.parametrize(
    ("template", "results", "photos"),
    [
        ("{stem}_{model}", ["a_mine", "a_photo", "a_auto"], ["a_beach", "a_v2"]),
        ("{stem}{width}", ["a7"], ["a12", "a70"]),
        ("{height}{stem}", ["5a"], ["12a"]),
        ("{stem}_{width}x{height}", ["a_7x5"], ["a_5x7", "a_7x50"]),
    ],
)
def test_only_what_may_be_a_result_is_left_out(
    tmp_path: Path, template: str, results: list[str], photos: list[str]
) -> None:
    for stem in ("a", *results, *photos):
        Image.new("L", (7, 5)).save(tmp_path / f"{stem}.png")
    (tmp_path / "a3.png").write_bytes(b"")
    plan = make_plan([tmp_path], None, TWICE, "overwrite", naming=Naming(template, "mine"))
    assert sorted(each.stem for each in plan.made) == sorted(results)
    assert {job.source.stem for job in plan.jobs} == {"a", "a3", *photos} - {
        each.stem for each in plan.unlisted
    }


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("large", "expected a name with a field such as {stem} in it, got 'large'"),
        ("", "expected a name with a field"),
        ("{stem}/{width}", "expected a name, got '{stem}/{width}', a path: name the folder by -o"),
        (
            "{stem}_{size}",
            "no fields but {stem}, {label}, {scale}, {width}, {height}, {model}, got",
        ),
        ("{stem.parent}", "expected a name with no fields but"),
        ("{width:05}", "expected a name with no fields but"),
        ("{}", "expected a name with no fields but"),
        ("{stem", "cannot read the name '{stem'"),
        ("{stem}.webp", "expected a name without suffix, got '{stem}.webp': choose it by --format"),
    ],
)
def test_other_templates_are_refused(template: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Naming(template)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, size in {"a.png": (30, 20), "b.png": (10, 5)}.items():
        Image.new("L", size).save(tmp_path / name)
    return tmp_path


def test_names_with_sizes_are_planned_from_headers(folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"none")
    naming = Naming("{stem}_{width}x{height}")
    saving = image.Output("webp")
    made = make_plan([folder], f"{folder}/out/", TWICE, saving=saving, naming=naming)
    assert [job.output.name for job in made.jobs] == ["a_60x40.webp", "b_20x10.webp"]
    message = f"cannot read {folder / 'bad.png'}: not an image of a known kind, or damaged"
    assert made.unlisted == {folder / "bad.png": message}
    plain = make_plan([folder], f"{folder}/out/", TWICE, naming=Naming("{stem}"))
    assert len(plain.jobs) == 3  # no header is needed


def test_collisions_of_names_are_refused_before_any_work(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.png and .*b\.png would both be written to .*2\.png"):
        make_plan([folder], f"{folder}/out/", TWICE, naming=Naming("{scale}"))
    with pytest.raises(ValueError, match="is an input and would be overwritten"):
        make_plan([folder], None, TWICE, naming=Naming("{stem}"))
    with pytest.raises(ValueError, match=r"called 'o\.png' already: leave out --name"):
        make_plan([folder / "a.png"], "o.png", TWICE, naming=Naming("{stem}"))


def test_results_beside_their_inputs_are_known_again(folder: Path) -> None:
    naming = Naming("{stem} {model} {width}", "light")
    first = make_plan([folder], None, TWICE, naming=naming)
    for job in first.jobs:
        Image.new("L", (int(job.output.stem.split()[-1]), 9)).save(job.output)
    again = make_plan([folder], None, TWICE, "skip", naming=naming)
    assert again.jobs == []
    assert again.skipped == first.jobs
    assert len(again.made) == 2
