"""`ccsr evaluate` from end to end, and the published numbers of bicubic."""

import json

import pytest
import torch
from PIL import Image

from ccsr import image
from ccsr.cli import main as cli
from ccsr.cli.evaluate import main
from ccsr.evaluation import plots
from ccsr.evaluation.measure import Comparison, crops, measure
from ccsr.evaluation.methods import Method, build
from ccsr.evaluation.results import means
from ccsr.evaluation.table import table
from ccsr.evaluation.testsets import find
from ccsr.image import to_float
from ccsr.model import checkpoint
from ccsr.protocols import PROTOCOLS
from networks import tiny

BENCHMARK = PROTOCOLS["benchmark-y"]


def photo(seed, channels=3, size=(61, 74)):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(channels, *size, generator=generator)[None]
    return torch.nn.functional.avg_pool2d(noise, 5, 1, 2)[0]


@pytest.fixture
def folder(tmp_path):
    """Three small pictures, one of them grey."""
    root = tmp_path / "Small"
    root.mkdir()
    for name, channels in (("a", 3), ("b", 1), ("c", 3)):
        image.write(image.to_image(photo(ord(name), channels)), root / f"{name}.png")
    return root


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "tiny.safetensors"
    checkpoint.save(path, tiny(None), {})
    return str(path)


def arguments(folder, *more):
    return ["--data", str(folder), "--device", "cpu", "--quiet", *more]


def test_everything_is_written(folder, network, tmp_path, capsys):
    out = tmp_path / "new" / "results"
    models = ["lanczos", network, f"{network}@4+lanczos"]
    argv = arguments(folder, "--scales", "1.5,2,2x1.5", "--model", *models, "--out", str(out))
    assert main(argv) == 0
    assert sorted(p.name for p in out.iterdir()) == [
        "cache",
        "crops.png",
        "curve.png",
        "results.csv",
        "results.json",
    ]
    printed = capsys.readouterr().out
    assert printed.startswith("Protocol benchmark-y. LR: MATLAB imresize bicubic")
    assert "Small: 3 images" in printed
    assert "2 wide x 1.5 high" in printed
    results = json.loads((out / "results.json").read_text())
    assert results["command"].startswith("ccsr evaluate --data ")
    assert [p["definition"] for p in results["protocols"]] == [BENCHMARK.definition]
    assert [m["name"] for m in results["models"]] == [
        "bicubic",
        "lanczos",
        "tiny",
        "tiny@4+lanczos",
    ]
    assert results["models"][2]["sha256"] == checkpoint.digest(network)
    assert len(results["images"]) == 3 * 3 * 4
    assert len(results["means"]) == 3 * 4
    sizes = {
        (r["lr_width"], r["lr_height"], r["hr_width"], r["hr_height"]) for r in results["images"]
    }
    # 74x61 pixels: 1.5 keeps multiples of 3, for 2x1.5 only down the height
    assert sizes == {(48, 40, 72, 60), (37, 30, 74, 60), (37, 40, 74, 60)}


def test_a_new_network_equals_bicubic(folder, network):
    """Its residual starts at zero: any shift, crop or colour error would show."""
    testset = find(folder)
    scales = [(2.0, 2.0), (1.5, 4.0), (1.3, 1.3)]
    comparison = Comparison(
        build(["bicubic", network], BENCHMARK, "cpu", "fp32"), scales, BENCHMARK
    )
    findings = measure(comparison, [(testset, key) for key in testset.names()])
    assert len(findings.records) == 3 * 3 * 2
    for bicubic, ours in zip(findings.records[::2], findings.records[1::2], strict=True):
        assert ours.scores.psnr == pytest.approx(bicubic.scores.psnr, abs=0.05)


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_protocols(folder, capsys, protocol):
    assert main(arguments(folder, "--protocol", protocol, "--model", "lanczos")) == 0
    assert f"Protocol {protocol}. " in capsys.readouterr().out


def test_any_scale_under_a_protocol_that_rounds_sizes(folder, capsys):
    argv = arguments(folder, "--model", "lanczos", "--scales", "2.37,3.14159")
    assert main([*argv, "--protocol", "liif-y"]) == 0
    with pytest.raises(ValueError, match=r"got 2\.37: use 2\.35"):
        main(argv)


def test_nothing_is_written_without_out(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(arguments(folder, "--model", "bicubic", "--limit", "1")) == 0
    assert "Small: 1 image\n" in capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_what_cannot_be_written_is_printed_all_the_same(folder, tmp_path, capsys, more):
    (tmp_path / "out" / "results.csv").mkdir(parents=True)
    argv = arguments(folder, "--model", "bicubic", "--limit", "1", *more)
    assert cli.main(["evaluate", *argv, "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert "PSNR in dB" in printed.out or json.loads(printed.out)["means"]
    assert "results.csv: Is a directory" in printed.err


def test_a_name_commands_no_terminal(folder, capsys):
    (folder / "a\x1b[2J.png").write_bytes(b"no picture")
    assert main(arguments(folder, "--model", "bicubic")) == 1
    assert "Small a\\x1b[2J.png: left out" in capsys.readouterr().err


def test_broken_images_count_nowhere(folder, network, tmp_path, capsys):
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:200])
    image.write(image.to_image(photo(0, size=(61, 5))), folder / "d.png")  # too small for x6
    out = tmp_path / "results"
    argv = arguments(folder, "--scales", "6,2", "--model", network, "--out", str(out))
    assert main(argv) == 1
    captured = capsys.readouterr()
    assert "ccsr: Small b.png: left out: cannot read" in captured.err
    assert "ccsr: Small d.png: left out: 5 pixels are too few for the scale 6" in captured.err
    assert "Small: 2 images" in captured.out
    assert "2 images left out of every mean" in captured.out
    results = json.loads((out / "results.json").read_text())
    assert {r["image"] for r in results["images"]} == {"a.png", "c.png"}
    assert [one["image"] for one in results["left_out"]] == ["b.png", "d.png"]
    assert all(row["images"] == 2 for row in results["means"])


def test_a_method_that_fails_leaves_the_image_out_for_all(folder):
    def fail_on_grey(lr, size):
        if len(lr) == 1:
            raise RuntimeError("out of memory")
        return torch.zeros(len(lr), *size)

    testset = find(folder)
    methods = [*build(["bicubic"], BENCHMARK), Method("fails", fail_on_grey)]
    comparison = Comparison(methods, [(2.0, 2.0)], BENCHMARK)
    seen = []
    findings = measure(
        comparison, [(testset, key) for key in testset.names()], progress=seen.append
    )
    assert seen == [1, 2, 3]
    assert [one.reason for one in findings.left_out] == ["out of memory"]
    assert [r.image for r in findings.records] == ["a.png", "a.png", "c.png", "c.png"]


@pytest.mark.parametrize("protocol", ["benchmark-y", "liif-y"])
def test_values_that_are_not_numbers_are_no_perfect_result(folder, protocol):
    protocol = PROTOCOLS[protocol]
    broken = Method("broken", lambda lr, size: torch.full((len(lr), *size), torch.nan))
    comparison = Comparison([broken], [(2.0, 2.0)], protocol)
    found = measure(comparison, [(find(folder), "a.png")])
    assert [one.reason for one in found.left_out] == ["broken gives values that are not numbers"]


@pytest.mark.parametrize("style", ["text", "markdown", "latex"])
def test_an_image_that_is_restored_exactly_is_named_beside_every_table(tmp_path, capsys, style):
    image.write(image.to_image(torch.zeros(1, 40, 40)), tmp_path / "flat.png")
    argv = arguments(tmp_path, "--model", "bicubic", "--scales", "2", "--table", style)
    assert main(argv) == 0
    printed = capsys.readouterr()
    told = printed.out if style == "text" else printed.err
    assert "flat.png at 2: exact by bicubic, so its PSNR, and the mean, is infinite." in told


def test_no_usable_image_is_an_error(tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"not a picture")
    assert cli.main(["evaluate", *arguments(tmp_path, "--model", "bicubic")]) == 1
    assert "ccsr: error: no image could be evaluated" in capsys.readouterr().err


def test_opaque_alpha_is_dropped_and_transparency_refused(tmp_path, capsys):
    picture = image.to_image(photo(0))
    picture.putalpha(255)
    image.write(picture, tmp_path / "a.png")
    picture.putpixel((0, 0), (0, 0, 0, 128))
    image.write(picture, tmp_path / "b.png")
    assert main(arguments(tmp_path, "--model", "bicubic")) == 1
    captured = capsys.readouterr()
    assert "1 image\n" in captured.out
    assert "b.png is partly transparent" in captured.err


def test_given_low_resolution_images_are_paired_by_name(folder, tmp_path, capsys):
    lr = tmp_path / "lr" / "x2"
    lr.mkdir(parents=True)
    for path in folder.iterdir():
        hr = image.to_uint8(image.to_tensor(image.read(path)))[:, :60, :74]
        reduced = to_float(BENCHMARK.reduce(hr, (30, 37), (2.0, 2.0)))
        image.write(image.to_image(reduced), lr / f"{path.stem}x2.png")
    argv = arguments(folder, "--scales", "2", "--model", "lanczos")
    assert main(argv) == 0
    made = capsys.readouterr().out
    assert main([*argv, "--lr", str(lr.parent)]) == 0
    given = capsys.readouterr().out
    assert f"are those in {lr.parent}." in " ".join(given.split())
    assert given.partition("\n\n")[2] == made.partition("\n\n")[2]
    (lr / "ax2.png").unlink()
    image.write(image.to_image(photo(0, 3, (30, 37))), lr / "bx2.png")  # its partner is grey
    image.write(image.to_image(photo(0, 3, (20, 37))), lr / "cx2.png")
    with pytest.raises(ValueError, match="every one was left out"):
        main([*argv, "--lr", str(lr.parent)])
    complaints = capsys.readouterr().err
    assert "a.png: left out: no low-resolution image of a.png for the scale 2" in complaints
    assert "has 3 channels, its high-resolution image 1" in complaints
    assert "the low-resolution image has 37x20 pixels, expected 37x30" in complaints


def test_missing_folders_are_errors(folder, tmp_path, capsys):
    with pytest.raises(NotADirectoryError, match="--lr: expected a folder"):
        main(arguments(folder, "--lr", str(tmp_path / "missing")))
    assert cli.main(["evaluate", "--data", str(tmp_path / "missing")]) == 1
    assert "ccsr: error: expected a folder of images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--scales", "0.5"], "expected factors of 1 to 100"),
        (["--degrade", "jpeg:40", "--degrade", "noise:3"], "as in jpeg:40+noise:3"),
        (["--degrade", "jpeg:40.5"], "expected jpeg: with a whole number from 1 to 100"),
        (["--scales", "1"], "at 1 an image is its own enlargement"),
        (["--scales", "2,x"], "WIDTHxHEIGHT such as 2x1.5, got 'x'"),
        (["--scales", "2x3x4"], "got '2x3x4'"),
        (["--limit", "0"], "whole number of at least 1"),
        (["--protocol", "nosuch"], "protocol must be one of benchmark-y, "),
    ],
)
def test_usage_errors(folder, capsys, more, message):
    with pytest.raises(SystemExit) as exit_:
        main(arguments(folder, *more))
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_without_matplotlib_the_numbers_are_still_written(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plots, "available", lambda: False)
    assert main(arguments(folder, "--model", "lanczos", "--out", str(tmp_path / "out"))) == 0
    written = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert written == ["cache", "results.csv", "results.json"]
    assert "pip install 'ccsr[evaluate]'" in capsys.readouterr().err


def test_crops_are_of_the_first_network(folder, network):
    testset = find(folder)
    methods = build(["lanczos", "bicubic", network], BENCHMARK, "cpu", "fp32")
    comparison = Comparison(methods, [(2.0, 2.0), (4.0, 4.0)], BENCHMARK)
    records = measure(comparison, [(testset, "a.png")]).records
    (found,) = crops(comparison, records, (4.0, 4.0), {testset.name: testset})
    ours, bicubic = (
        r.scores.psnr
        for model in ("tiny", "bicubic")
        for r in records
        if r.model == model and r.scale == (4, 4)
    )
    assert found.gain == pytest.approx(ours - bicubic)
    captions = [caption.partition("\n")[0] for caption, _ in found.panels]
    assert captions == ["LR", "lanczos", "bicubic", "tiny", "HR"]
    assert len({picture.shape for _, picture in found.panels}) == 1


def test_lpips_is_in_the_table_where_it_was_asked_for(folder):
    testset = find(folder)
    comparison = Comparison(
        build(["bicubic"], BENCHMARK),
        [(2.0, 2.0)],
        BENCHMARK,
        lpips=lambda sr, hr: float((sr - hr).abs().mean()),
    )
    text = table(means(measure(comparison, [(testset, "a.png")]).records), bold=False)
    assert "LPIPS (smaller is better)" in text


def test_progress_in_a_terminal(folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["--data", str(folder), "--model", "bicubic", "--scales", "2"]) == 0
    assert "3 of 3 images, 0:00:00 left" in capsys.readouterr().err


def test_quiet_prints_no_progress(folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(arguments(folder, "--model", "bicubic", "--scales", "2")) == 0
    assert capsys.readouterr().err == ""


def test_a_picture_that_is_turned_is_measured_upright(tmp_path):
    picture = image.to_image(photo(0))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    picture.save(tmp_path / "a.png", exif=exif)
    findings = measure(
        Comparison(build(["bicubic"], BENCHMARK), [(2.0, 2.0)], BENCHMARK),
        [(find(tmp_path), "a.png")],
    )
    assert findings.records[0].hr_size == (74, 60)
