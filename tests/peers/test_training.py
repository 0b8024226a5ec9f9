"""The heads of other papers as models: trained, kept, measured, used."""

import json

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image

from ccsr import Upscaler
from ccsr.analysis.kernels import layers_of
from ccsr.bundled import resource_dir
from ccsr.cli.main import main
from ccsr.grid import ProjectedGrid
from ccsr.model import checkpoint
from ccsr.model.network import parts_of
from ccsr.peers.head import Head
from ccsr.training.train import train
from runs import TINY

HEADS = {"liif": "hidden=8", "lte": "hidden=8", "metasr": "hidden=8", "thera": "waves=4"}
SMALL = ("model.encoder.channels=6", "model.encoder.blocks=1")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for i in range(2):
        coarse = Image.fromarray(generator.integers(0, 256, (7, 8, 3), np.uint8))
        coarse.resize((52, 48), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("liif", "bicubic"),
        *(pytest.param(n, "bicubic", marks=pytest.mark.long) for n in HEADS if n != "liif"),
        pytest.param("liif", "none", marks=pytest.mark.long),
    ],
)
def test_a_head_is_trained_kept_measured_and_used(name, base, photos, tmp_path, capsys):
    settings = [
        *(each for each in TINY if not each.startswith("model=")),
        *SMALL,
        f"model={name}",
        f"model.stack.{HEADS[name]}",
        f"model.base={base}",
        f"data.root={photos}",
        f"data.val.root={photos}",
        "trainer.max_steps=4",
    ]
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        results = train(compose("train", overrides=settings), tmp_path / "run")
    assert np.isfinite(results["gain"])
    file = tmp_path / "run" / "model.safetensors"
    model = parts_of(checkpoint.load(file)[0])
    assert isinstance(model.stack, Head)
    assert model.base == base
    assert model.architecture.get("base", "bicubic") == base
    x = torch.rand(1, 3, 40, 41)
    whole, tiled = (
        Upscaler.load(file, device="cpu", precision="fp32", tile=tile) for tile in ("off", 32)
    )
    result = whole.tensor(x, scale=2.37)
    torch.testing.assert_close(tiled.tensor(x, scale=2.37), result, rtol=0, atol=1e-5)

    out, used = tmp_path / "results", tmp_path / "used.png"
    common = ["--device", "cpu", "--quiet", "--model", str(file)]
    argv = ["evaluate", "--data", str(photos), "--scales", "2,3x1.5", "--out", str(out)]
    assert main([*argv, *common]) == 0
    means = json.loads((out / "results.json").read_text())["means"]
    assert sum(row["model"] == "model" for row in means) == 2
    assert (
        main(["upscale", str(photos / "0.png"), "--scale", "2.37", "-o", str(used), *common]) == 0
    )
    with Image.open(used) as picture:
        assert picture.size == (123, 114)
    capsys.readouterr()
    assert main(["export", "--scale", "2", "--model", str(file), "-o", str(tmp_path / "a.onnx")])
    refusal = f"cannot export the stack {type(model.stack).__name__}: expected one of CC layers"
    assert refusal in capsys.readouterr().err
    with pytest.raises(ValueError, match="has no CC layers to look at: take another model"):
        layers_of(str(file))


@pytest.mark.parametrize("name", HEADS)
def test_a_recording_on_a_gpu_could_hold_the_second_call(name, monkeypatch):
    """What lies in the processor's memory is made and sent by the first call only."""
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        settings = [f"model={name}", *SMALL, "data.root=."]
        config = compose("train", overrides=settings).model
    model = instantiate(config)
    x, grid = torch.rand(1, 3, 9, 8), ProjectedGrid.project((9, 8), (20, 17))
    with torch.inference_mode():
        model(x, grid)
    model(x, grid).sum().backward()  # what was remembered may be met by gradients

    def refuse(*arguments, **options):
        raise AssertionError("made on the processor again")

    for maker in ("tensor", "arange", "as_tensor", "from_numpy"):
        monkeypatch.setattr(torch, maker, refuse)
    monkeypatch.setattr(torch.Tensor, "new_tensor", refuse)
    model(x, grid)
