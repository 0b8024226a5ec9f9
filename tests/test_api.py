"""The public names: each is documented with an example that works, and is there when asked for."""

import re
import runpy
import shutil
import subprocess
import sys

import pytest
import torch

import ccsr
from documents import ROOT, read

SECTIONS = dict(
    re.findall(r"^## `(\w+)`$\n(.*?)(?=^## |\Z)", read("docs/api.md"), re.MULTILINE | re.DOTALL)
)
BLOCKS = [
    pytest.param(block, id=name)
    for name, section in SECTIONS.items()
    for block in re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
]


def test_public_names_are_those_that_are_documented():
    assert sorted(SECTIONS) == ccsr.__all__
    assert {parameter.id for parameter in BLOCKS} == set(SECTIONS)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder with the bundled photos where a checkout has them, to work and write in."""
    shutil.copytree(ROOT / "data" / "samples", tmp_path / "data" / "samples")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize("block", BLOCKS)
def test_documented_example_works(block):
    exec(compile(block, "docs/api.md", "exec"), {"__name__": "example"})


def test_every_block_is_tried():
    assert len(re.findall("^```python", read("docs/api.md"), re.MULTILINE)) == len(BLOCKS)


@pytest.mark.parametrize("name", ccsr.__all__)
def test_public_names_are_there(name):
    found = getattr(ccsr, name)
    assert name in dir(ccsr)
    if name in ("image", "sizes"):
        assert found.__name__ == f"ccsr.{name}"
    elif name != "__version__":
        assert found.__name__ == name


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="module 'ccsr' has no attribute 'Upscalr'"):
        _ = ccsr.Upscalr
    assert not hasattr(ccsr, "import_module")


def test_nothing_heavy_is_imported_before_it_is_used():
    code = (
        "import sys, ccsr\n"
        "assert set(ccsr.__all__) <= set(dir(ccsr))\n"
        "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)\n"
        "from ccsr import image\n"
        "assert image is sys.modules['ccsr.image']\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    everything = {}
    exec("from ccsr import *", everything)
    assert everything["Upscaler"].__module__ == "ccsr.upscaling.upscaler"


@pytest.fixture
def _same_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.long
@pytest.mark.usefixtures("_same_threads")
def test_layer_in_another_network(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["cc_layer.py", "--steps", "30"])
    runpy.run_path(str(ROOT / "examples" / "cc_layer.py"), run_name="__main__")
    printed = capsys.readouterr().out
    losses = {
        name: (float(first), float(last))
        for name, first, last in re.findall(
            r"^(\w+): .* loss ([\d.]+) at first, ([\d.]+) at last$", printed, re.MULTILINE
        )
    }
    assert set(losses) == {"strided", "continuous"}
    for first, last in losses.values():
        assert last < 0.7 * first
    table = [line.split() for line in printed.partition("continuous\n")[2].splitlines()]
    (size, ratio, *_, as_trained), *others = table
    assert (size, ratio) == ("450x300", "2")
    assert float(as_trained) > 0
    assert len(others) >= 2
    for *_, noisy, strided, continuous in others:
        assert strided == "cannot"
        assert float(continuous) > float(noisy) - 1


def test_steps_below_one_are_refused(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["cc_layer.py", "--steps", "0"])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(ROOT / "examples" / "cc_layer.py"), run_name="__main__")
    assert "steps must be at least 1, got 0" in capsys.readouterr().err
