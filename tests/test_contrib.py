"""What other programs get from `contrib`, without these programs."""

import json
import sys
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import numpy as np
import onnxruntime
import pytest
import torch

from ccsr import Upscaler
from ccsr.model import checkpoint
from details import as_jpeg, clean
from documents import ROOT
from networks import conditioned, tiny


def loaded(path: str) -> ModuleType:
    """A file as ComfyUI loads it: by its path, under a name of its own."""
    spec = spec_from_file_location(f"loaded_{path.replace('/', '_')}", ROOT / "contrib" / path)
    assert spec is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def nodes() -> ModuleType:
    return loaded("comfyui/ccsr_nodes.py")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    checkpoint.save(path, tiny(), {"licence": "MIT"})
    return str(path)


def run(node: type, **inputs: object) -> torch.Tensor:
    """Call a node as ComfyUI does: by the name of its function, with all that it asks for."""
    asked = node.INPUT_TYPES()["required"]
    assert set(asked) == set(inputs)
    result = getattr(node(), node.FUNCTION)(**inputs)
    assert node.RETURN_TYPES == ("IMAGE",)
    assert len(result) == 1
    return result[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_comfyui_enlarges_by_a_factor_as_the_upscaler_does(nodes, model, channels) -> None:
    images = torch.rand(2, 9, 13, channels)
    result = run(nodes.NODE_CLASS_MAPPINGS["CCSREnlargeBy"], image=images, model=model, factor=2.37)
    upscaler = Upscaler.load(model, precision="fp32")
    expected = upscaler.tensor(images.movedim(-1, 1), scale=2.37).movedim(1, -1)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


def test_comfyui_enlarges_to_an_exact_size_and_keeps_alpha(nodes, model) -> None:
    images = torch.rand(1, 9, 13, 4) * 1.4 - 0.2  # ComfyUI's own nodes overshoot
    images[..., 3] = 1
    node = nodes.NODE_CLASS_MAPPINGS["CCSREnlargeTo"]
    result = run(node, image=images, model=model, width=40, height=31)
    assert result.shape == (1, 31, 40, 4)
    assert result[..., 3].eq(1).all()
    opaque = run(node, image=images[..., :3], model=model, width=40, height=31)
    torch.testing.assert_close(result[..., :3], opaque, rtol=0, atol=1e-5)
    assert 0 <= result.min() <= result.max() <= 1


def test_comfyui_takes_a_batch_without_pictures_and_one_with_gradients(nodes, model) -> None:
    node = nodes.NODE_CLASS_MAPPINGS["CCSREnlargeBy"]
    none = run(node, image=torch.zeros(0, 9, 13, 3), model=model, factor=2.5)
    assert none.shape == (0, 23, 33, 3)
    images = torch.rand(1, 9, 13, 3, requires_grad=True)
    assert not run(node, image=images, model=model, factor=2.5).requires_grad


def test_comfyui_tells_a_conditioned_network_what_pixels_tell(nodes, tmp_path) -> None:
    path = tmp_path / "told.safetensors"
    checkpoint.save(path, conditioned(), {"licence": "MIT"})
    levels = as_jpeg(clean(), 30)
    node = nodes.NODE_CLASS_MAPPINGS["CCSREnlargeBy"]
    images = torch.tensor(levels)[None] / 255
    (result,) = run(node, image=images, model=str(path), factor=2.0)
    upscaler = Upscaler.load(path, precision="fp32")
    assert np.abs(upscaler.levels(levels, scale=2) - result.numpy() * 255).max() <= 1
    untold = upscaler.at_quality(None).levels(levels, scale=2)
    assert np.abs(untold - result.numpy() * 255).max() > 2


def test_comfyui_is_offered_the_shipped_models_and_other_factors_than_whole(nodes) -> None:
    assert nodes.NODE_CLASS_MAPPINGS.keys() == nodes.NODE_DISPLAY_NAME_MAPPINGS.keys()
    asked = nodes.NODE_CLASS_MAPPINGS["CCSREnlargeBy"].INPUT_TYPES()["required"]
    assert asked["model"][0] == list(checkpoint.shipped())
    kind, limits = asked["factor"]
    assert (kind, limits["step"]) == ("FLOAT", 0.01)


def test_comfyui_can_stop_between_pictures(nodes, model, monkeypatch) -> None:
    def interrupt() -> None:
        raise InterruptedError("by the user")

    management = ModuleType("comfy.model_management")
    management.throw_exception_if_processing_interrupted = interrupt
    monkeypatch.setitem(sys.modules, "comfy", ModuleType("comfy"))
    monkeypatch.setitem(sys.modules, "comfy.model_management", management)
    with pytest.raises(InterruptedError, match="by the user"):
        nodes.enlarge(torch.rand(2, 4, 4, 3), model, scale=2)


def test_darktable_gets_one_folder_with_a_description_and_two_factors(model, tmp_path) -> None:
    package = loaded("darktable/package.py").package
    path = package(model, tmp_path)
    with pytest.raises(FileExistsError, match="exists already: remove it first"):
        package(model, tmp_path)
    assert path == tmp_path / "upscale-ccsr-tiny.dtmodel"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    names = ("config.json", "model_x2.onnx", "model_x4.onnx")
    assert list(files) == [f"{path.stem}/{name}" for name in names]
    described = json.loads(files[f"{path.stem}/config.json"])
    assert (described["id"], described["task"]) == (path.stem, "upscale")
    assert described["model_card"]["license"] == "MIT"
    upscaler = Upscaler.load(model, device="cpu", precision="fp32")
    for scale in (2, 4):
        (side,) = described["attributes"][f"model_x{scale}"]["input_sizes"]
        session = onnxruntime.InferenceSession(files[f"{path.stem}/model_x{scale}.onnx"])
        (given,), (result,) = session.get_inputs(), session.get_outputs()
        assert (given.name, given.shape) == ("input", [1, 3, side, side])
        assert (result.name, result.shape) == ("output", [1, 3, side * scale, side * scale])
        image = np.random.default_rng(0).random((1, 3, side, side), np.float32)
        (pixels,) = session.run(["output"], {"input": image})
        expected = upscaler.tensor(torch.from_numpy(image), scale=scale)
        torch.testing.assert_close(torch.from_numpy(pixels), expected, rtol=0, atol=1e-5)
