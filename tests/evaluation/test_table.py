"""The report: means, the table, JSON, CSV and pictures."""

import csv
import json
import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from PIL import Image

from ccsr.evaluation.plots import (
    Crops,
    detailed_window,
    draw_crops,
    draw_curve,
    extremes,
    nearest,
)
from ccsr.evaluation.results import Record, Scores, environment, means, write_csv, write_json
from ccsr.evaluation.table import BOLD, RESET, infinite, spell, table


def scores(psnr, lpips=None):
    return Scores(psnr, psnr / 50, psnr + 10, lpips, 0.5)


def records(lpips=None):
    values = {
        ("bicubic", (2, 2)): (30.0, 32.0),
        ("light", (2, 2)): (33.0, 34.5),
        ("bicubic", (1.5, 4)): (28.0, 27.0),
        ("light", (1.5, 4)): (27.0, 26.0),
    }
    return [
        Record(
            *("Set5", name, scale, model, (10, 12), (20, 24)),
            scores(values[model, scale][i], lpips),
            "benchmark-y",
        )
        for (i, name), scale, model in product(
            enumerate(("a.png", "b.png")), ((2, 2), (1.5, 4)), ("bicubic", "light")
        )
    ]


def test_means_are_of_the_values_per_image():
    first = means(records())[0]
    assert (first.testset, first.model, first.scale, first.images) == ("Set5", "bicubic", (2, 2), 2)
    assert first.scores == Scores(31.0, 0.62, 41.0, None, 0.5)


def test_an_image_that_makes_a_mean_infinite_is_named():
    exact = [r for r in records() if r.image == "a.png" and r.scale == (1.5, 4)]
    exact = [replace(r, scores=scores(math.inf)) for r in exact]
    assert infinite(records()) == []
    assert infinite([*records(), *exact]) == [
        "Set5 a.png at 4 wide x 1.5 high: exact by bicubic, light, so its "
        f"{name}, and the mean, is infinite"
        for name in ("PSNR", "consistency")
    ]


def test_table():
    lines = table(means(records()), bold=False).splitlines()
    assert lines[:6] == [
        "Set5: 2 images",
        "",
        "PSNR in dB and its difference to bicubic",
        "scale               bicubic           light",
        "2                     31.00    33.75*  +2.75",
        "4 wide x 1.5 high     27.50*   26.50   -1.00",
    ]
    assert "SSIM" in lines
    assert "Consistency in dB (the result reduced again, against the input)" in lines
    assert lines[-1] == "* best of its line"
    assert not any("LPIPS" in line for line in lines)


def test_table_in_a_terminal_has_the_same_columns_and_bold_instead_of_asterisks():
    plain, bold = (table(means(records()), bold=b) for b in (False, True))
    assert f"{BOLD}33.75  +2.75{RESET}" in bold
    assert "*" not in bold
    without = bold.replace(BOLD, "").replace(RESET, "")
    assert without.split() == plain.replace("*", "").split()[: len(without.split())]


def test_the_smallest_lpips_is_the_best():
    rows = [
        Record("Set5", "a", (2, 2), model, (1, 1), (2, 2), scores(30.0, distance), "liif-y")
        for model, distance in (("bicubic", 0.4), ("light", 0.3))
    ]
    text = table(means(rows), bold=False)
    assert "LPIPS (smaller is better)" in text
    assert "0.3000*" in text
    assert "0.4000*" not in text


def test_values_that_are_told_alike_are_equally_good():
    rows = [
        Record("Set5", "a", (2, 2), model, (1, 1), (2, 2), scores(psnr), "liif-y")
        for model, psnr in (("bicubic", 30.0), ("light", 33.001), ("base", 33.002))
    ]
    line = table(means(rows), bold=False).splitlines()[4]
    assert line.split() == ["2", "30.00", "33.00*", "+3.00", "33.00*", "+3.00"]


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        ((2, 2), "2"),
        ((2.5, 2.5), "2.5"),
        ((1.5, 4), "4 wide x 1.5 high"),
        ((2.00001, 2), "2 wide x 2.00001 high"),
    ],
)
def test_scales_in_words(scale, words):
    assert spell(scale) == words


def test_json_keeps_everything_and_infinities(tmp_path):
    write_json(tmp_path / "r.json", {"images": [r.row() for r in records()], "best": math.inf})
    read = json.loads((tmp_path / "r.json").read_text())
    assert read["best"] == "inf"
    assert read["images"][2] == {
        "protocol": "benchmark-y",
        "testset": "Set5",
        "image": "a.png",
        "scale_width": 4,
        "scale_height": 1.5,
        "model": "bicubic",
        "lr_width": 12,
        "lr_height": 10,
        "hr_width": 24,
        "hr_height": 20,
        "psnr": 28.0,
        "ssim": 0.56,
        "consistency": 38.0,
        "lpips": None,
        "seconds": 0.5,
    }


def test_csv_of_means(tmp_path):
    write_csv(tmp_path / "r.csv", means(records()))
    with (tmp_path / "r.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 4
    assert rows[3]["scale_width"] == "4"
    assert float(rows[3]["psnr"]) == 26.5
    assert rows[3]["lpips"] == rows[3]["psnr_deviation"] == ""
    assert rows[3]["protocol"] == "benchmark-y"


NAMES = ["a$^{b$", "$\\nosuch$", "line\nend", "\udcff", "_hidden", "%&#~"]


def test_names_of_any_kind_do_not_stop_what_is_written(tmp_path):
    named = [
        replace(r, testset=n, model=r.model.replace("light", n)) for r in records() for n in NAMES
    ]
    write_csv(tmp_path / "r.csv", means(named))
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as stream:
        found = {row["testset"] for row in csv.DictReader(stream)}
    assert found == {name.replace("\udcff", "\\udcff") for name in NAMES}
    bad = "".join(NAMES)
    draw_curve(tmp_path / "curve.png", [replace(r, testset=bad) for r in means(named)])
    crops = [Crops(bad, 1.0, ((bad, torch.rand(1, 4, 4)),))]
    draw_crops(tmp_path / "crops.png", crops, (2, 2))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "r.json"
    path.write_text("old")
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_environment_names_versions():
    found = environment()
    assert found["torch"] == torch.__version__
    assert found["processor"]
    json.dumps(found)


def test_the_detailed_window_finds_the_detail():
    hr = torch.zeros(3, 40, 50)
    hr[:, 20:30, 12:22] = torch.rand(10, 10, generator=torch.Generator().manual_seed(0))
    rows, columns = detailed_window(hr, 12)
    assert rows.stop - rows.start == columns.stop - columns.start == 12
    assert 18 <= rows.start <= 20
    assert 10 <= columns.start <= 12
    assert detailed_window(hr[:, :5, :7], 12) == (slice(0, 5), slice(0, 7))


def test_nearest_repeats_pixels():
    lr = torch.arange(6.0).view(1, 2, 3)
    whole = nearest(lr, (4, 9), (slice(0, 4), slice(0, 9)))
    assert torch.equal(whole, lr.repeat_interleave(2, 1).repeat_interleave(3, 2))
    window = (slice(1, 3), slice(2, 7))
    assert torch.equal(nearest(lr, (4, 9), window), whole[:, *window])


def test_curve(tmp_path):
    draw_curve(tmp_path / "curve.png", means(records()))
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.format == "PNG"


def test_crops_are_drawn_a_row_each(tmp_path):
    crops = [
        Crops(f"image {i}", float(i), (("LR", torch.rand(1, 4, 4)), ("HR", torch.rand(3, 8, 8))))
        for i in range(4)
    ]
    for count in (1, 4):
        draw_crops(tmp_path / f"{count}.png", crops[:count], (2, 2))
    with Image.open(tmp_path / "1.png") as one, Image.open(tmp_path / "4.png") as four:
        assert four.width == one.width
        assert four.height > 3 * one.height


def test_extremes_are_the_two_of_each_end():
    gains = dict(zip("abcdef", (3.0, 1.0, 4.0, 1.5, 5.0, 9.0), strict=True))
    assert extremes(gains) == [("f", 9.0), ("e", 5.0), ("d", 1.5), ("b", 1.0)]
    assert extremes({"a": 1.0, "b": 2.0}) == [("b", 2.0), ("a", 1.0)]
