"""What pip gets from this checkout: the requirements, the command, the files in the wheel."""

import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from PIL import Image

import ccsr
from documents import DOCUMENTS, ROOT, links, read

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TRAINING_ONLY = ["pytorch_lightning", "hydra", "omegaconf", "torchvision", "wandb", "matplotlib"]


def requirements(lines):
    return {r.name: r for r in map(Requirement, lines)}


UPSCALING = requirements(PROJECT["dependencies"])
TRAINING = requirements(PROJECT["optional-dependencies"]["train"])
WEB = requirements(PROJECT["optional-dependencies"]["web"])


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what git holds, with files beside it that must not travel."""
    copy = tmp_path_factory.mktemp("checkout")
    folders = ".ci benchmarks ccsr checkpoints conf contrib data deploy docs examples tests"
    for name in folders.split():
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (
        "pyproject.toml",
        "Makefile",
        "LICENSE",
        ".gitignore",
        "CITATION.cff",
        "hatch_build.py",
    ):
        shutil.copy(ROOT / name, copy)
    for path in ROOT.glob("*.md"):
        shutil.copy(path, copy)
    for stray in (
        "checkpoints/last.ckpt",
        "conf/notes.txt",
        "runs/log.csv",
        "ccsr/__pycache__/a.pyc",
    ):
        (copy / stray).parent.mkdir(exist_ok=True)
        (copy / stray).touch()
    return copy


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(checkout)).build(directory=str(out), versions=["standard"])
    return Path(path)


def below(root, pattern):
    return {path.relative_to(root).as_posix() for path in root.glob(pattern) if path.is_file()}


@pytest.mark.parametrize(
    ("requirement", "floor", "refused"),
    [
        (UPSCALING["torch"], "2.10", ["2.9.1"]),
        (UPSCALING["pillow"], "12.3", ["12.2.0"]),
        (TRAINING["pytorch-lightning"], "2.6.6", ["2.6.2", "2.6.3", "2.6.5"]),
        (TRAINING["hydra-core"], "1.3.8", ["1.3.7", "1.4.0"]),
        (WEB["starlette"], "1.0.1", ["0.52.1", "1.0.0"]),
    ],
    ids=lambda value: value.name if isinstance(value, Requirement) else None,
)
def test_versions_with_known_holes_are_refused(requirement, floor, refused):
    assert floor in requirement.specifier
    assert not [version for version in refused if version in requirement.specifier]


def test_upscaling_needs_five_packages():
    assert set(UPSCALING) == {"torch", "pillow", "safetensors", "numpy", "tifffile"}


def test_upscaling_works_without_the_training_packages():
    block = f"import sys; sys.modules.update(dict.fromkeys({TRAINING_ONLY}))"
    code = f"{block}; import ccsr.cli.main, ccsr.upscaling.upscaler; ccsr.Upscaler.load"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_console_script():
    assert PROJECT["scripts"] == {"ccsr": "ccsr.cli.main:main"}
    assert callable(pkgutil.resolve_name(PROJECT["scripts"]["ccsr"]))


def test_wheel_holds_the_package_and_its_data(checkout, wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"ccsr-{ccsr.__version__}.dist-info"
    expected = (
        {f"ccsr/{name}" for name in below(checkout / "ccsr", "**/*") if "__pycache__" not in name}
        | {f"ccsr/conf/{name}" for name in below(checkout / "conf", "**/*.yaml")}
        | {f"ccsr/checkpoints/{name}" for name in below(checkout / "checkpoints", "*.safetensors")}
        | {f"ccsr/checkpoints/{name}" for name in below(checkout / "checkpoints", "*.onnx")}
        | {f"ccsr/checkpoints/{name}" for name in below(checkout / "checkpoints", "*.md")}
        | {f"ccsr/samples/{name}" for name in below(checkout / "data" / "samples", "*")}
        | {f"ccsr/open/{name}" for name in below(checkout / "data" / "open", "*")}
        | {f"ccsr/benchmarks/{name}" for name in below(checkout / "data" / "benchmarks", "*")}
    )
    inside = {name for name in names if not name.startswith(info)}
    assert inside == expected
    assert f"{info}/licenses/LICENSE" in names


@pytest.mark.long
def test_the_manual_page_lies_where_man_finds_it(checkout, tmp_path):
    page = checkout / "build" / "ccsr.1"
    page.parent.mkdir()
    try:
        page.write_text(".TH CCSR 1\n")
        (source,) = SdistBuilder(str(checkout)).build(
            directory=str(tmp_path), versions=["standard"]
        )
        with tarfile.open(source) as archive:  # as `python -m build` does, from one the other
            archive.extractall(tmp_path, filter="data")
        unpacked = tmp_path / Path(source).name.removesuffix(".tar.gz")
        (path,) = WheelBuilder(str(unpacked)).build(directory=str(tmp_path), versions=["standard"])
    finally:
        shutil.rmtree(page.parent)
    with zipfile.ZipFile(path) as archive:
        inside = archive.read(f"ccsr-{ccsr.__version__}.data/data/share/man/man1/ccsr.1")
    assert inside == b".TH CCSR 1\n"


def test_the_small_wheel_has_no_torch_and_the_same_package(checkout, tmp_path):
    builder = WheelBuilder(str(checkout / "deploy" / "onnx"))
    (path,) = builder.build(directory=str(tmp_path), versions=["standard"])
    small = tomllib.loads((checkout / "deploy" / "onnx" / "pyproject.toml").read_text())["project"]
    needed = requirements(small["dependencies"])
    assert set(needed) == {"onnxruntime", "pillow", "numpy", "tifffile"}
    for name in set(needed) & set(UPSCALING):
        assert needed[name].specifier == UPSCALING[name].specifier
    extra = requirements(PROJECT["optional-dependencies"]["onnx"])
    assert needed["onnxruntime"].specifier == extra["onnxruntime"].specifier
    assert small["scripts"] == PROJECT["scripts"]
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        assert f"\nVersion: {ccsr.__version__}\n" in archive.read(metadata).decode()
    inside = {name for name in names if ".dist-info/" not in name}
    package = {name for name in below(checkout / "ccsr", "**/*") if "__pycache__" not in name}
    files = {f"checkpoints/{name}" for name in below(checkout / "checkpoints", "*.onnx")}
    assert inside == {f"ccsr/{name}" for name in package | files | {"LICENSE"}}


KINDS = ("conf", "checkpoints", "samples", "open", "benchmarks")


def test_installed_package_finds_its_data(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "from ccsr.bundled import resource_dir as find;"
        f"print(*(find(name) for name in {KINDS}), sep='\\n')"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    expected = [tmp_path / "ccsr" / name for name in KINDS]
    assert found.stdout.split() == [str(folder) for folder in expected]


@pytest.mark.long
def test_sdist_can_build_test_and_train(checkout, tmp_path):
    (path,) = SdistBuilder(str(checkout)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    kept = {"pyproject.toml", "Makefile", "README.md", "LICENSE", "data/README.md"}
    kept |= {"ccsr/__init__.py", "tests/test_packaging.py", "data/samples/chelsea.png"}
    kept |= {f"conf/{name}" for name in below(checkout / "conf", "**/*.yaml")}
    kept |= {".ci/run", ".ci/try", ".ci/release", "hatch_build.py"}  # which the Makefile calls
    kept |= {f"contrib/{name}" for name in below(checkout / "contrib", "**/*.py")}
    linked = {link.path for document in DOCUMENTS for link in links(document)}
    kept |= {path for path in linked if (checkout / path).is_file()}
    assert kept <= names
    tables = {name for name in names if name.endswith(".csv")}
    lists = {"data/open/tiles.csv", "data/open/validation.csv", "data/benchmarks/images.csv"}
    assert tables == lists
    assert not [name for name in names if name.endswith((".ckpt", ".pyc", "axe.min.js"))]


def test_samples_are_pictures_with_a_source_and_a_licence():
    samples = sorted((ROOT / "data" / "samples").iterdir())
    table = dict(
        re.findall(
            r"^\| `(.+?)` \|.*\| (CC0|public domain) \|", read("data/README.md"), re.MULTILINE
        )
    )
    assert len(samples) >= 6
    assert [path.name for path in samples] == sorted(table)
    for path in samples:
        assert path.stat().st_size <= 600_000
        with Image.open(path) as image:
            image.load()
            assert image.mode in ("L", "RGB")
