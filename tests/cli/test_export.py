import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from ccsr import Upscaler
from ccsr.cli.main import main
from ccsr.model import checkpoint
from networks import conditioned


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
    assert export(model, output, "--window", "--exists", "overwrite") == 0
    assert len(onnxruntime.InferenceSession(output).get_inputs()) == 6


def test_export_for_one_size(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a.onnx"
    assert export(model, output, "--scale", "2", "--input-size", "12x8") == 0
    assert capsys.readouterr().out.startswith(f"{output}: input input, output output, ")
    session = onnxruntime.InferenceSession(output)
    assert session.get_inputs()[0].shape == [1, 3, 8, 12]
    assert session.get_outputs()[0].shape == [1, 3, 16, 24]


@pytest.mark.long
def test_export_of_a_conditioned_network(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """For JPEGs of one quality, of an unknown one, or with the quality as an input."""
    told, output = str(tmp_path / "told.safetensors"), tmp_path / "a.onnx"
    checkpoint.save(told, conditioned(), {})
    x = torch.rand(1, 3, 7, 9)

    def written(*options: str) -> onnxruntime.InferenceSession:
        assert export(told, output, *options, "--exists", "overwrite") == 0
        return onnxruntime.InferenceSession(output)

    for quality in (None, 60):
        session = written("--scale", "2", *(["--quality", "60"] if quality else []))
        properties = session.get_modelmeta().custom_metadata_map
        assert properties.get("quality") == (quality and "60")
        (found,) = session.run(None, {"image": x.numpy()})
        expected = Upscaler(conditioned().at_quality(quality), device="cpu", precision="fp32")
        np.testing.assert_allclose(found, expected.tensor(x, scale=2), atol=1e-5)
    session = written("--window")
    assert session.get_inputs()[-1].name == "quality"
    assert session.get_modelmeta().custom_metadata_map["quality"] == "input"
    assert len(written("--window", "--quality", "60").get_inputs()) == 6
    capsys.readouterr()
    assert export(model, tmp_path / "b.onnx", "--scale", "2", "--quality", "60") == 1
    assert "quality 60: the network is not conditioned on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "one of the arguments --scale --dynamic-scale --window is required"),
        (["--scale", "2", "--dynamic-scale"], "not allowed with argument --scale"),
        (["--scale", "0"], "expected a positive factor"),
        (["--window", "--input-size", "8x8"], "a file for one size takes one factor too"),
        (["--scale", "2", "--quality", "0"], "expected a whole number from 1 to 100"),
        (["--scale", "2", "--input-size", "8"], "expected WIDTHxHEIGHT such as 1920x1080"),
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
        "from ccsr.cli.main import main\nsys.exit(main(['export', '--scale', '2', '-o', 'a.onnx']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    expected = (
        "ccsr export needs the package onnx, which is not installed: run pip install 'ccsr[export]'"
    )
    assert done.stderr.strip() == f"ccsr: error: {expected}"
