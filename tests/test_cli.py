import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml
from PIL import Image
from PIL.TiffTags import TAGS_V2

from ccsr import __version__, checkpoint, cli, image, stream
from ccsr.cli import main
from ccsr.model import build
from ccsr.resources import resource_dir
from ccsr.upscale import Upscaler


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    config = yaml.safe_load((resource_dir("conf") / "model" / "tiny.yaml").read_text())
    del config["_target_"]
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    checkpoint.save(path, build(**config), {"licence": "MIT"})
    return str(path)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    with Image.open(resource_dir("samples") / "chelsea.png") as picture:
        picture.convert("RGB").resize((20, 10)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def upscale(photo: Path, model: str, *options: str) -> int:
    return main(["upscale", str(photo), "--model", model, *options])


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_file_options(photo: Path, model: str) -> None:
    with Image.open(photo) as opened:
        opened.save(photo, dpi=(300, 300))
    options = ("--scale", "2", "--quiet", "--exists", "overwrite", "--format")
    assert upscale(photo, model, *options, "jpg", "--quality", "30") == 0
    small = photo.with_name("photo_2x.jpg").stat().st_size
    assert image.read(photo.with_name("photo_2x.jpg")).metadata.dpi == (300, 300)
    assert upscale(photo, model, *options, "same", "--metadata", "strip") == 0
    assert photo.with_name("photo_2x.jpg").stat().st_size > small
    assert image.read(photo.with_name("photo_2x.jpg")).metadata.dpi is None
    assert upscale(photo, model, *options, "webp", "--lossless") == 0
    assert b"VP8L" in photo.with_name("photo_2x.webp").read_bytes()


def test_a_background_for_transparency(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGBA", (8, 6)).save(tmp_path / "a.png")
    options = ("--scale", "2", "-o", str(tmp_path / "a.jpg"))
    assert upscale(tmp_path / "a.png", model, *options) == 1
    assert "put a colour behind it by --background" in capsys.readouterr().err
    assert upscale(tmp_path / "a.png", model, *options, "--background", "#ff0000") == 0
    assert np.abs(image.read(tmp_path / "a.jpg").frames[0] - np.float32([255, 0, 0])).max() < 4


def test_the_largest_input(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    assert upscale(photo, model, "--scale", "2", "--max-pixels", "199") == 1
    assert "photo.jpg: it has more than 0.000199 million pixels" in capsys.readouterr().err
    assert upscale(photo, model, "--scale", "2", "--max-pixels", "200") == 0


def test_what_became_of_the_file_is_said(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("CMYK", (8, 6)).save(tmp_path / "ink.jpg")
    frames = tuple(np.full((6, 8, 3), level, np.uint8) for level in (0, 99))
    image.write(image.Picture(frames, durations=(50, 50)), tmp_path / "a.gif")
    assert main(["upscale", str(tmp_path), "--scale", "2", "--model", model]) == 0
    said = capsys.readouterr().err
    assert "a_2x.png (16x12, 2 frames)" in said
    assert "ink_2x.png (16x12, CMYK converted to RGB)" in said


def test_the_choices_are_those_of_the_formats() -> None:
    for word in (*image.CHOICES, "keep", "no-gps", "strip"):
        option = "--format" if word in image.CHOICES else "--metadata"
        args = cli._upscale_parser().parse_args(["a.png", "--scale", "2", option, word])
        assert word in (args.format, args.metadata)


@pytest.mark.parametrize("argument", ["--help", "--version", "help"])
def test_help_and_version_import_no_torch(argument: str) -> None:
    code = (
        "import sys\nfrom ccsr.cli import main\n"
        f"assert main([{argument!r}]) == 0\n"
        "assert not {'torch', 'numpy', 'PIL', 'hydra'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    )
    assert "ccsr" in done.stdout


def test_usage_errors_import_no_torch() -> None:
    code = (
        "import sys\nfrom ccsr.cli import main\n"
        "try:\n    main(['upscale', 'a.png'])\n"
        "except SystemExit as error:\n    assert error.code == 2\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_python_m_ccsr() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ccsr", "--version"], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == f"ccsr {__version__}"


def test_no_command_and_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: ccsr COMMAND" in capsys.readouterr().err
    assert main(["upscael"]) == 2
    assert "unknown command 'upscael': did you mean 'upscale'?" in capsys.readouterr().err
    assert main(["xyz"]) == 2
    expected = "expected one of analyze, evaluate, export, models, train, upscale"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "name", "size"),
    [
        (["--scale", "2.37"], "photo_2.37x.png", (47, 24)),
        (["--scale", "2x1.5"], "photo_2x1.5x.png", (40, 15)),
        (["--scale", "0.5x2"], "photo_0.5x2x.png", (10, 20)),
        (["--size", "31x17"], "photo_31x17.png", (31, 17)),
        (["--width", "30"], "photo_30w.png", (30, 15)),
        (["--height", "30"], "photo_30h.png", (60, 30)),
        (["--width", "31", "--height", "17"], "photo_31x17.png", (31, 17)),
        (["--scale", "2", "--tile", "16", "--precision", "bf16"], "photo_2x.png", (40, 20)),
    ],
)
def test_sizes_and_names(
    photo: Path, model: str, options: list[str], name: str, size: tuple[int, int]
) -> None:
    before = photo.read_bytes()
    assert upscale(photo, model, *options, "--quiet") == 0
    assert size_of(photo.parent / name) == size
    assert photo.read_bytes() == before
    assert sorted(p.name for p in photo.parent.iterdir()) == sorted(["photo.jpg", name])


def test_the_result_is_that_of_python(photo: Path, model: str) -> None:
    assert upscale(photo, model, "--scale", "2x1.5", "--precision", "fp32") == 0
    expected = Upscaler.load(model, precision="fp32")(image.read(photo), scale=(1.5, 2.0))
    (written,) = image.read(photo.parent / "photo_2x1.5x.png").frames
    assert np.array_equal(written, expected.frames[0])


def test_an_ensemble_is_that_of_python(photo: Path, model: str) -> None:
    options = ("--scale", "2", "--precision", "fp32", "--ensemble", "scales:2,flips")
    assert upscale(photo, model, *options) == 0
    upscaler = Upscaler.load(model, precision="fp32", ensemble="flips,scales:2")
    expected = upscaler(image.read(photo), scale=2.0)
    assert image.read(photo.parent / "photo_2x.png").tobytes() == expected.tobytes()


def test_a_large_tiff_is_streamed(
    photo: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = photo.with_suffix(".tif")
    options = ["--scale", "2.37", "--precision", "fp32", "-o", str(output)]
    assert upscale(photo, model, *options) == 0
    (whole,) = image.read(output).frames
    monkeypatch.setattr(stream, "worthwhile", lambda *args: True)
    options += ["--exists", "overwrite", "--memory", "100MB"]
    assert upscale(photo, model, *options) == 0
    assert np.array_equal(image.read(output).frames[0], whole)
    with Image.open(output) as written:
        assert "TileWidth" in {TAGS_V2[key].name for key in written.tag_v2}
    assert "photo.tif (47x24) in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], r"give one of --scale, .* for example: ccsr upscale photo\.jpg --scale 2\.37"),
        (["--scale", "2", "--width", "9"], "give one of"),
        (["--scale", "-2"], "expected a positive factor such as 2.37.* got '-2'"),
        (["--scale", "nan"], "got 'nan'"),
        (["--scale", "1x2x3"], "got '1x2x3'"),
        (["--size", "100"], "expected WIDTHxHEIGHT such as 1920x1080, got '100'"),
        (["--size", "100x0"], "expected a whole number of at least 1, got '0'"),
        (["--width", "2.5"], "expected a whole number"),
        (["--scale", "2", "--tile", "x"], "expected a whole number"),
        (["--scale", "2", "--memory", "x"], "expected an amount such as 500MB or 2GB, got 'x'"),
        (["--scale", "2", "--exists", "maybe"], "invalid choice: 'maybe'"),
    ],
)
def test_usage_errors(
    photo: Path, model: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        upscale(photo, model, *options)
    assert caught.value.code == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "out.xyz"], "ccsr: error: cannot write out.xyz: no known format"),
        (["--model", "lihgt"], "ccsr: error: no model called 'lihgt'"),
        (["--model", "/none.safetensors"], "ccsr: error: no model file at /none.safetensors"),
        (["--device", "gpu"], "ccsr: error: device must be"),
        (["--tile", "3"], "ccsr: error: tile must be auto, off or at least 16, got 3"),
        (["--ensemble", "flip"], "ccsr: error: ensemble must be scales, scales:N, flips or both"),
    ],
)
def test_errors_are_one_line(
    photo: Path, model: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert upscale(photo, model, "--scale", "2", *options) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_debug_shows_the_traceback(photo: Path, model: str) -> None:
    with pytest.raises(ValueError, match="no known format"):
        upscale(photo, model, "--scale", "2", "-o", "out.xyz", "--debug")


def test_existing_outputs(photo: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = photo.parent / "big.png"
    out.write_text("precious")
    options = ["--scale", "2", "-o", str(out)]
    assert upscale(photo, model, *options) == 1
    assert "exists already" in capsys.readouterr().err
    assert upscale(photo, model, *options, "--exists", "skip") == 0
    assert "nothing to do" in capsys.readouterr().err
    assert out.read_text() == "precious"
    assert upscale(photo, model, *options, "--exists", "overwrite") == 0
    assert size_of(out) == (40, 20)


def test_transparency_into_jpeg_is_refused(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGBA", (4, 4)).save(tmp_path / "logo.png")
    out = tmp_path / "logo.jpg"
    assert upscale(tmp_path / "logo.png", model, "--scale", "2", "-o", str(out)) == 1
    assert "JPEG has no transparency and the picture has: use .png" in capsys.readouterr().err
    assert not out.exists()


def test_a_bad_file_is_named_and_the_others_are_done(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photo.parent
    (folder / "a.png").write_text("not an image")
    (folder / "b.png").symlink_to("nowhere")
    Image.new("L", (3, 3)).save(folder / "z.png")
    out = folder / "out"
    assert upscale(folder, model, "--scale", "2", "-o", str(out)) == 1
    lines = capsys.readouterr().err.splitlines()
    assert f"cannot read {folder / 'a.png'}: not an image" in lines[0]
    assert f"cannot read {folder / 'b.png'}: No such file" in lines[1]
    assert re.fullmatch(r"\[3/4\] .*photo\.jpg -> .*\(40x20\) in [\d.]+ s", lines[2])
    assert lines[4] == "ccsr: error: 2 of 4 pictures failed:"
    assert lines[5:] == [f"  {line.removeprefix('ccsr: error: ')}" for line in lines[:2]]
    assert sorted(p.name for p in out.iterdir()) == ["photo_2x.png", "z_2x.png"]


def test_a_picture_that_fails_in_the_network_is_named(
    photo: Path,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(self: Upscaler, *args: object, **options: object) -> None:
        raise RuntimeError("the network is broken")

    monkeypatch.setattr(Upscaler, "__call__", fail)
    assert upscale(photo, model, "--scale", "2", "--quiet") == 1
    assert f"cannot enlarge {photo}: the network is broken" in capsys.readouterr().err
    assert upscale(photo, model, "--scale", "2", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_quiet_is_silent(photo: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert upscale(photo, model, "--scale", "2", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_a_line_that_is_rewritten(
    photo: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    assert upscale(photo, model, "--scale", "4", "--tile", "40") == 0
    *updates, last = capsys.readouterr().err.split("\r\x1b[K")[1:]
    assert re.search(r"50 %, \d+ s left$", updates[1])
    assert all(len(update) < 60 for update in updates)
    assert last.endswith("s\n")


def test_an_interrupt_leaves_nothing_and_exits_130(
    photo: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    assert upscale(photo, model, "--scale", "2", "--quiet") == 130
    expected = (
        f"ccsr: interrupted: 0 of 1 pictures are finished, 1 remain, from {photo} on: "
        "the same command with --exists skip goes on"
    )
    assert expected in capsys.readouterr().err
    assert list(photo.parent.iterdir()) == [photo]


@pytest.fixture
def tree(photo: Path) -> Path:
    """Two pictures, one of them in a subfolder, and one that is broken."""
    folder = photo.parent
    (folder / "sub").mkdir()
    Image.new("L", (3, 4)).save(folder / "sub" / "z.png")
    (folder / "sub" / "bad.png").write_bytes(b"")
    return folder


def test_a_tree_with_a_report_and_then_again(
    tree: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tree / "report.jsonl"
    options = ["--scale", "2", "-o", f"{tree / 'out'}/", "--recursive", "--report", str(report)]
    assert upscale(tree, model, *options) == 1
    out = tree / "out"
    assert {p.relative_to(out).as_posix() for p in out.rglob("*.*")} == {
        "photo_2x.png",
        "sub/z_2x.png",
    }
    statuses = [json.loads(line)["status"] for line in report.read_text().splitlines()]
    assert statuses == ["done", "failed", "done"]
    capsys.readouterr()
    assert upscale(tree, model, *options, "--exists", "skip") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "skipping 2 pictures whose outputs exist"
    assert re.match(r"ccsr: error: cannot read .*bad\.png: the file is empty", lines[1])
    statuses = [json.loads(line)["status"] for line in report.read_text().splitlines()]
    assert statuses == ["skipped", "skipped", "failed"]
    (tree / "sub" / "bad.png").unlink()
    assert upscale(tree, model, *options, "--exists", "skip") == 0
    assert capsys.readouterr().err == "nothing to do: all outputs exist\n"


def test_a_dry_run(tree: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--scale", "2", "-o", f"{tree / 'out'}/", "--recursive", "--dry-run"]
    before = sorted(tree.rglob("*"))
    assert upscale(tree, "no such model", *options) == 1
    shown, errors = capsys.readouterr()
    assert shown == (
        f"{tree}/photo.jpg -> {tree}/out/photo_2x.png (40x20)\n"
        f"{tree}/sub/z.png -> {tree}/out/sub/z_2x.png (6x8)\n"
    )
    assert errors.startswith(f"ccsr: error: cannot read {tree}/sub/bad.png")
    assert sorted(tree.rglob("*")) == before
    (tree / "sub" / "bad.png").unlink()
    assert upscale(tree, "no such model", *options) == 0


def test_a_report_must_not_be_a_picture(
    tree: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tree / "photo.jpg"
    before = photo.read_bytes()
    assert upscale(tree, model, "--scale", "2", "--report", str(photo)) == 1
    assert "expected a report that ends in .jsonl" in capsys.readouterr().err
    assert photo.read_bytes() == before


def test_a_dry_run_has_no_report(
    tree: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        upscale(tree, model, "--scale", "2", "--dry-run", "--report", "r.jsonl")
    assert "--dry-run writes nothing: leave out --report" in capsys.readouterr().err


def test_errors_show_hostile_names_as_text(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a\x1b[2J"
    folder.mkdir()
    assert upscale(folder, model, "--scale", "2") == 1
    assert r"no images in the folder" in (error := capsys.readouterr().err)
    assert r"a\x1b[2J" in error
    assert "\x1b" not in error


@pytest.fixture
def shipped(model: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(model).parent
    monkeypatch.setattr(checkpoint, "resource_dir", lambda name: folder)
    return folder


def test_models(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert "tiny: " in text
    assert "licence: MIT" in text
    assert main(["models", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    loaded, _ = checkpoint.load(shipped / "tiny.safetensors")
    assert entry == {
        "name": "tiny",
        "parameters": sum(p.numel() for p in loaded.parameters()),
        "file": str(shipped / "tiny.safetensors"),
        "summary": {"licence": "MIT"},
    }


def test_no_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkpoint, "resource_dir", lambda name: tmp_path)
    assert main(["models"]) == 0
    assert "train one with `ccsr train`" in capsys.readouterr().out


def test_train_hands_the_overrides_to_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def run_module(name: str, run_name: str, alter_sys: bool) -> None:
        seen.append((name, run_name, alter_sys, sys.argv[1:]))

    monkeypatch.setattr(runpy, "run_module", run_module)
    before = list(sys.argv)
    assert main(["train", "model=tiny", "--cfg", "job"]) == 0
    assert seen == [("ccsr.train", "__main__", True, ["model=tiny", "--cfg", "job"])]
    assert sys.argv == before


@pytest.mark.parametrize("package", ["hydra", "pytorch_lightning", "omegaconf"])
def test_train_without_its_packages_names_the_extra(package: str) -> None:
    code = (
        f"import sys\nsys.modules[{package!r}] = None\n"
        "from ccsr.cli import main\nsys.exit(main(['train']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    expected = f"training needs the package {package}, which is not installed: run pip install"
    assert done.stderr.startswith(f"ccsr: error: {expected}")


def test_analyze_without_the_packages_of_training_names_the_extra(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['hydra'] = None\n"
        "from ccsr.cli import main\n"
        f"sys.exit(main(['analyze', 'gradual', '--data', '.', '--out', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "training needs the package hydra, which is not installed" in done.stderr


def export(model: str, output: Path, *options: str) -> int:
    return main(["export", "--model", model, "-o", str(output), *options])


def test_export(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "a.onnx"
    assert export(model, output, "--scale", "4x1.5") == 0
    assert capsys.readouterr().out.startswith(f"{output}: input image, output enlarged, ")
    told = onnxruntime.InferenceSession(output).get_modelmeta().custom_metadata_map
    assert (told["model"], told["scale"], told["licence"]) == ("tiny", "4x1.5", "MIT")
    before = output.read_bytes()
    assert export(model, output, "--dynamic-scale") == 1
    assert f"{output} exists already: use --exists overwrite" in capsys.readouterr().err
    assert output.read_bytes() == before
    assert export(model, output, "--dynamic-scale", "--exists", "overwrite") == 0
    assert len(onnxruntime.InferenceSession(output).get_inputs()) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "one of the arguments --scale --dynamic-scale is required"),
        (["--scale", "2", "--dynamic-scale"], "not allowed with argument --scale"),
        (["--scale", "0"], "expected a positive factor"),
    ],
)
def test_usage_errors_of_export(
    tmp_path: Path, model: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        export(model, tmp_path / "a.onnx", *options)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_export_without_its_package_names_the_extra(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['onnx'] = None\n"
        "from ccsr.cli import main\nsys.exit(main(['export', '--scale', '2', '-o', 'a.onnx']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    expected = (
        "export needs the package onnx, which is not installed: run pip install 'ccsr[export]'"
    )
    assert done.stderr.strip() == f"ccsr: error: {expected}"


def test_evaluate_gets_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    from ccsr import evaluate

    monkeypatch.setattr(evaluate, "main", lambda argv: len(argv))
    assert main(["evaluate", "--data", "x", "--scales", "2"]) == 4
