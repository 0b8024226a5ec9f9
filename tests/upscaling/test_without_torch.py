"""What ccsr does, and says, where torch is not installed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ccsr import Upscaler, image
from ccsr.image import Picture
from details import photo

ONLY_ONNX = """
import sys
sys.modules.update(dict.fromkeys(("torch", "safetensors", "torchvision"))) # as where they are not
from ccsr.cli.main import main
code = main(sys.argv[1:])
assert sys.modules["torch"] is None
raise SystemExit(code)
"""


def without_torch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ONLY_ONNX, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_it_is_taken_where_torch_is_not_installed(tmp_path: Path) -> None:
    """PNG, a TIFF in strips, an animation: all that a picture meets on its way does without."""
    values = photo(4)
    image.write(Picture((values,)), tmp_path / "a.png")
    image.write(Picture((values, values[::-1]), durations=(50.0, 70.0)), tmp_path / "b.gif")
    image.write(Picture((np.tile(photo(3), (76, 76, 1)),)), tmp_path / "c.png")
    upscale = ("upscale", "--scale", "2", "--exists", "overwrite", "-o")
    pictures = [str(tmp_path / name) for name in ("a.png", "b.gif")]
    done = without_torch(*upscale, f"{tmp_path}/out/", *pictures)
    assert done.returncode == 0, done.stderr
    result = image.read(tmp_path / "out" / "a_2x.png").frames[0]
    assert np.array_equal(result, Upscaler.load(engine="onnx").levels(values, scale=2))
    assert image.read(tmp_path / "out" / "b_2x.png").durations == (50.0, 70.0)
    options = ("--scale", "1", "--memory", "34MB", "--model", "light")
    done = without_torch(*upscale, f"{tmp_path}/c.tif", str(tmp_path / "c.png"), *options)
    assert done.returncode == 0, done.stderr
    assert "in strips" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--scale", "2", "--engine", "torch"), "needs the package torch, which is not installed"),
        (("--scale", "2", "--model", "base"), "the engine onnx has no model 'base', only light, p"),
    ],
)
def test_what_needs_torch_says_so(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    image.write(Picture((photo(3),)), tmp_path / "a.png")
    done = without_torch("upscale", str(tmp_path / "a.png"), *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "pip install torch" in done.stderr


@pytest.mark.parametrize("command", ["models", "evaluate --data x", "train --cfg job"])
def test_commands_that_need_torch_say_so(command: str) -> None:
    done = without_torch(*command.split())
    assert done.returncode == 1
    assert f"ccsr {command.split()[0]} needs torch, which is not installed: run pip" in done.stderr


def test_nothing_imports_torch_where_it_is_installed(tmp_path: Path) -> None:
    image.write(Picture((photo(3),)), tmp_path / "a.png")
    code = (
        "import sys; from ccsr.cli.main import main; assert not main(sys.argv[1:]);"
        "assert not {'torch', 'safetensors'} & set(sys.modules)"
    )
    arguments = ["upscale", str(tmp_path / "a.png"), "--scale", "2", "--engine", "onnx"]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
