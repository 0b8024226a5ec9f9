"""Parts and networks of other packages, by their import path."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from PIL import Image

from ccsr import Upscaler
from ccsr.bundled import resource_dir
from ccsr.cli.main import main
from ccsr.export import to_onnx
from ccsr.grid import ProjectedGrid
from ccsr.model import Network, build, checkpoint
from ccsr.model.encoder import Encoder, Plain
from ccsr.model.network import CCSR, parts_of
from ccsr.model.registry import construct, packages
from ccsr.model.stack import Friendly
from ccsr.training.config import resumed
from ccsr.training.start import check_kept
from ccsr.training.train import _run, train
from foreign import FIELD, RDN, REST, found, saved
from networks import STACKS, tiny
from runs import TINY


@pytest.fixture(autouse=True)
def _packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with found(tmp_path, monkeypatch):
        yield


def assert_tiles_are_exact(path: Path, trust: str) -> None:
    """What shows a radius that is too small."""
    x = torch.rand(1, 3, 60, 61)
    whole, tiled = (
        Upscaler.load(path, trust=[trust], device="cpu", precision="fp32", tile=tile)
        for tile in ("off", 64)
    )
    result = whole.tensor(x, scale=2.37)
    torch.testing.assert_close(tiled.tensor(x, scale=2.37), result, rtol=0, atol=1e-5)
    assert (result - whole.tensor(x * 0.5, scale=2.37)).abs().max() > 0.1


def test_an_encoder_of_another_package(tmp_path: Path) -> None:
    path = saved(tmp_path, "rdn", encoder=RDN, **REST)
    model, summary = checkpoint.load(path, trust=["rdn"])
    assert type(parts_of(model).encoder).__name__ == "RDN"
    assert model.architecture["encoder"] == RDN
    assert summary == {"licence": "MIT"}
    x, grid = torch.rand(1, 3, 9, 8), ProjectedGrid.project((9, 8), (20, 17))
    assert torch.equal(model(x, grid), checkpoint.load(path, trust="rdn")[0](x, grid))
    assert_tiles_are_exact(path, "rdn")


def test_an_encoder_of_another_package_can_be_exported(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    path = saved(tmp_path, "rdn", encoder=RDN, **REST)
    upscaler = Upscaler.load(path, trust=["rdn"], device="cpu", precision="fp32")
    x = torch.rand(1, 3, 9, 8)
    session = onnxruntime.InferenceSession(to_onnx(upscaler.model, 2.5).SerializeToString())
    (result,) = session.run(None, {"image": x.numpy()})
    expected = upscaler.tensor(x, scale=2.5)
    torch.testing.assert_close(torch.from_numpy(result), expected, rtol=0, atol=1e-5)


class Doubled(Plain):
    def forward(self, x: torch.Tensor, grid: ProjectedGrid) -> torch.Tensor:
        return 2 * super().forward(x, grid)


class Halved(Friendly):
    def forward(self, *given: Any) -> torch.Tensor:
        return 0.5 * super().forward(*given)


def test_a_subclass_with_a_forward_of_its_own_is_used_by_it_or_refused() -> None:
    x, grid = torch.rand(1, 3, 9, 8), ProjectedGrid.project((9, 8), (20, 17))
    model = tiny()
    own = CCSR(Doubled(channels=8, blocks=1), model.stack, model.decoder)
    own.encoder.load_state_dict(model.encoder.state_dict())
    own = own.eval().requires_grad_(False)
    torch.testing.assert_close(own.enlarge(x, grid), own(x, grid))
    assert (own.enlarge(x, grid) - model.enlarge(x, grid)).abs().max() > 1e-3
    described = STACKS[2] | {"name": "halved"}
    halved = construct("stack", Halved, {"halved": Halved}, described, in_channels=8)
    with pytest.raises(ValueError, match="cannot export the stack Halved: expected one of CC"):
        to_onnx(CCSR(model.encoder, halved, model.decoder), 2)


class Annotated:
    """Its annotations are texts, as with `from __future__ import annotations`."""

    def __init__(self, flag: "bool" = True, count: "Unknown" = 1) -> None:  # type: ignore[name-defined] # noqa: F821
        self.flag = flag


class Texts(Plain):
    def __init__(self, flag: "bool" = True) -> None:
        super().__init__(4, 1)


def test_types_that_are_written_as_text_are_looked_at() -> None:
    registry = {"texts": Texts}
    with pytest.raises(ValueError, match="'texts' expects bool as 'flag', got 'yes'"):
        construct("encoder", Encoder, registry, {"name": "texts", "flag": "yes"})
    construct("encoder", Encoder, registry, {"name": "texts", "flag": False})
    unknown = {"name": "unknown", "count": 3}  # a type for checkers alone says nothing
    construct("encoder", object, {"unknown": Annotated}, unknown)


def test_a_constructor_may_compute_and_tie_and_take_any_argument(tmp_path: Path) -> None:
    """Weights that are tied, numbers out of tensors, options, and statistics of training."""
    encoder = {"name": "others:Ours", "blocks": 5, "depth": 7}
    path = saved(tmp_path, "others", encoder=encoder, **REST)
    model = parts_of(checkpoint.load(path, trust=["others"])[0])
    assert model.encoder.options == {"depth": 7}
    assert model.encoder.second.weight is model.encoder.first.weight
    assert model.encoder.norm.num_batches_tracked.dtype == torch.int64
    assert_tiles_are_exact(path, "others")
    with pytest.raises(ValueError, match="expects int as 'depth', got 'deep'"):
        build(encoder | {"depth": "deep"}, **REST, trust=["others"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("kind", ["whole", "bool"])
def test_buffers_of_other_types_are_kept(tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    model = build({"name": "others:Kept", "kind": kind}, **REST, trust=["others"])
    parts_of(model).encoder.kept[1:] = 0
    checkpoint.save(tmp_path / "kept.safetensors", model, {}, dtype)
    loaded = checkpoint.load(tmp_path / "kept.safetensors", trust=["others"])[0]
    assert torch.equal(parts_of(loaded).encoder.kept, parts_of(model).encoder.kept)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("complex", "cannot save the buffer 'encoder.kept' of type torch.complex64: expected real"),
        ("large", "cannot save the buffer 'encoder.kept' of type torch.int64: expected real"),
        ("view", "its weights cannot be restored"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_before_the_first_step(
    tmp_path: Path, kind: str, message: str
) -> None:
    model = build({"name": "others:Kept", "kind": kind}, **REST, trust=["others"])
    with pytest.raises(ValueError, match=f"nothing would be left of the training: {message}"):
        check_kept(model, tmp_path, {}, ["others"])
    assert not list(tmp_path.glob(".check*"))


def test_nothing_is_imported_without_trust(tmp_path: Path) -> None:
    path = saved(tmp_path, "rdn", encoder=RDN, **REST)
    del sys.modules["rdn"]
    for trust in ([], ["others"], ["rd"], "others"):
        with pytest.raises(ValueError, match=r"names classes of the package 'rdn'.*--trust rdn"):
            checkpoint.load(path, trust=trust)
        with pytest.raises(ValueError, match=r"names classes of the package 'rdn'.*trust=\['rdn'"):
            build(RDN, **REST, trust=trust)
    assert checkpoint.read_header(path).architecture["encoder"]["name"] == "rdn:RDN"
    assert "rdn" not in sys.modules


@pytest.mark.parametrize(
    "parts",
    [
        {"encoder": {"name": "plain", "channels": 4, "blocks": 1}}
        | {"stack": {"name": "others:Mine", "channels": 5, "field": FIELD}}
        | {"decoder": {"name": "others:Head", "factor": 0.5}},
        {"encoder": {"name": "plain", "channels": 4, "blocks": 1}}
        | {"stack": REST["stack"] | {"field": {"name": "others:Flat", "kernel_size": 3}}}
        | {"decoder": REST["decoder"]},
        {"network": {"name": "others:Whole", "channels": 5, "widths": [1, 2]}},
    ],
    ids=["stack and decoder", "field", "network"],
)
def test_every_part_can_come_from_elsewhere(tmp_path: Path, parts: dict[str, Any]) -> None:
    assert packages(parts) == {"others"}
    path = saved(tmp_path, "others", **parts)
    with pytest.raises(ValueError, match="names classes of the package 'others'"):
        checkpoint.load(path)
    assert checkpoint.load(path, ["others"])[0].architecture == parts
    assert_tiles_are_exact(path, "others")


def test_a_whole_network_keeps_bicubic_where_it_answers_with_anything(tmp_path: Path) -> None:
    path = saved(tmp_path, "others", network={"name": "others:Whole"})
    model = checkpoint.load(path, ["others"])[0]
    x, grid = torch.rand(1, 3, 6, 7), ProjectedGrid.project((6, 7), (12, 14))
    torch.testing.assert_close(model.enlarge(x, grid), model(x, grid))
    torch.nn.init.constant_(model.layer.bias, torch.inf)
    assert model.enlarge(x, grid).isfinite().all()
    with pytest.raises(ValueError, match="always works at full effort"):
        Upscaler(model, effort=0.5)
    with pytest.raises(ValueError, match="got others:Whole, which is a whole of its own"):
        to_onnx(model, 2)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"encoder": {"name": "rdn:No"}, **REST}, "encoder 'rdn:No': rdn has no 'No'"),
        ({"encoder": {"name": "nosuch.m:A"}, **REST}, "No module named 'nosuch': install the"),
        ({"encoder": {"name": "others:Mine"}, **REST}, "inherits from ccsr.model.encoder.Encoder"),
        ({"encoder": {"name": "rdn:RDN", "width": 1}, **REST}, "has no argument 'width'"),
        ({"encoder": {"name": "rdn:RDN", "blocks": "2"}, **REST}, "expects int as 'blocks'"),
        ({"network": {"name": "others:NoNetwork"}}, "inherits from ccsr.model.whole.Network"),
        ({"network": {"name": "others:Short"}}, "Short must have a whole number of at least 0 as"),
        ({"network": {"name": "whole"}}, "unknown network 'whole': there is none, or package.mod"),
        ({"network": {"name": "others:Whole"}, **REST}, "expected encoder, stack and decoder, or"),
        ({}, "got nothing"),
    ],
)
def test_what_is_no_part_is_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**parts, trust=["rdn", "others", "nosuch"])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"encoder": {"name": "others:Unpadded"}, **REST},
            r"Unpadded must give a tensor of the shape \(1, 4, 6, 7\), got \(1, 4, 4, 5\): pad",
        ),
        (
            {"encoder": RDN, **REST, "decoder": {"name": "others:Grey"}},
            r"Grey must give a tensor of the shape \(1, 3, 9, 11\), got \(1, 1, 9, 11\)",
        ),
        (
            {"network": {"name": "others:Fixed"}},
            r"Fixed must give a tensor of the shape \(1, 3, 9, 11\), got \(1, 3, 12, 14\)",
        ),
    ],
    ids=["encoder", "decoder", "network"],
)
def test_a_part_that_gives_another_shape_is_named(parts: dict[str, Any], message: str) -> None:
    """What is smaller would be repeated, or read beside its place."""
    model = build(**parts, trust=["rdn", "others"]).requires_grad_(False)
    x, grid = torch.rand(1, 3, 6, 7), ProjectedGrid.project((6, 7), (9, 11))
    with pytest.raises(ValueError, match=message):
        model.enlarge(x, grid)
    if "network" not in parts:
        with pytest.raises(ValueError, match=message):
            model(x, grid)


def test_names_of_earlier_versions_are_understood(tmp_path: Path) -> None:
    model = build({"name": "light", "channels": 4, "blocks": 1}, **REST)
    assert model.architecture["encoder"]["name"] == "plain"
    shipped = checkpoint.resolve("light")
    assert json.dumps(checkpoint.read_header(shipped).architecture).count('"light"') <= 1
    assert checkpoint.load(shipped)[0].architecture["encoder"]["name"] == "plain"


@pytest.mark.long
def test_a_foreign_encoder_from_training_to_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Train, resume, evaluate, upscale and export, by the commands."""
    photos = tmp_path / "photos"
    photos.mkdir()
    generator = torch.Generator().manual_seed(0)
    for number in range(2):
        pixels = (torch.rand(48, 52, 3, generator=generator) * 255).byte().numpy()
        Image.fromarray(pixels).save(photos / f"{number}.png")
    run = tmp_path / "run"
    arguments = [
        *(each for each in TINY if not each.startswith("model=")),
        "model=tiny",
        "model.encoder.name=rdn:RDN",
        "+model.encoder.growth=4",
        f"data.root={photos}",
        f"data.val.root={photos}",
        "module.loss=others:squares",
        f"hydra.run.dir={run}",
    ]
    monkeypatch.setattr(sys, "argv", ["ccsr train"])
    assert _run(arguments) == []
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"]["encoder"]["name"] == "rdn:RDN"
    for trust, missing in ((["trust=[others]"], "rdn"), (["trust=[rdn]"], "others")):
        with pytest.raises(ValueError, match=rf"config.yaml: it names .* '{missing}'.*trust=\["):
            resumed(run, ["trainer.max_steps=10", *trust])
    again = resumed(run, ["trainer.max_steps=10", "trust=[rdn,others]"])
    train(again, run, resume=True)

    model, photo = str(run / "model.safetensors"), str(photos / "0.png")
    large = tmp_path / "large.png"
    command = ["upscale", photo, "--scale", "1.5", "--model", model, "-o", str(large)]
    assert main(command) == 1
    assert "--trust rdn" in capsys.readouterr().err
    assert main([*command, "--trust", "rdn"]) == 0
    with Image.open(large) as picture:
        assert picture.size == (78, 72)
    evaluate = ["evaluate", "--data", str(photos), "--scales", "2", "--quiet", "--model", model]
    assert main([*evaluate, "--trust", "rdn"]) == 0
    assert "model" in capsys.readouterr().out
    exported = ["export", "--scale", "2", "--model", model, "-o", str(tmp_path / "a.onnx")]
    assert main([*exported, "--trust", "rdn"]) == 0
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        again = compose("train", overrides=[f"init={model}", *arguments[:-1]])
    train(again, tmp_path / "again")


def test_our_own_models_need_no_trust(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "tiny.safetensors", tiny(), {})
    model, _ = checkpoint.load(tmp_path / "tiny.safetensors")
    assert isinstance(model, Network)
    assert packages(model.architecture) == set()
