"""Parts and networks of other packages, by their import path."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ccsr import Upscaler
from ccsr.bundled import resource_dir
from ccsr.cli.main import main
from ccsr.export import to_onnx
from ccsr.grid import ProjectedGrid
from ccsr.model import Network, build, checkpoint
from ccsr.model.network import parts_of
from ccsr.model.registry import packages
from ccsr.protocols import PROTOCOLS, by_name
from ccsr.training.config import plain, resumed, trusted
from ccsr.training.train import _run, train
from networks import tiny
from runs import TINY

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RDN = {"name": "rdn:RDN", "channels": 6, "blocks": 2, "layers": 2, "growth": 4}
FIELD = {"name": "fourier", "kernel_size": 3, "basis": 4}
REST = {
    "stack": {"name": "friendly", "channels": 5, "field": FIELD},
    "decoder": {"name": "identity"},
}

OTHERS = '''
from torch import nn

from ccsr.grid import ProjectedGrid
from ccsr.model import CCLayer, Network
from ccsr.model.encoder import Encoder
from ccsr.model.fields import SeparableField
from ccsr.model.stack import Direct
from ccsr.resample import resize


class Flat(SeparableField):
    """One function, the same everywhere in the support."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size, self.basis = kernel_size, 1

    def factors(self, offset, scale, axis):
        return (offset.abs() <= self.kernel_size / 2).to(offset.dtype)[..., None, None]


class Mine(Direct):
    """A stack of another name."""


class Head(nn.Conv2d):
    def __init__(self, in_channels: int, factor: float = 0.1) -> None:
        super().__init__(in_channels, 3, 1)
        nn.init.constant_(self.weight, factor)


class Whole(Network):
    """Blurs, reads there with one CC layer, and adds bicubic."""

    def __init__(self, channels: int = 4, widths: list = ()) -> None:
        super().__init__()
        self.channels, self.radius = channels, 1 + 2
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.layer = CCLayer(channels, 3, 3)
        self.widths = widths

    def forward(self, x, grid, via=None):
        return resize(x, grid) + 0.1 * self.layer(self.head(x), grid)


class Short(Whole):
    """Its radius is missing."""

    def __init__(self) -> None:
        super().__init__()
        del self.radius


class Unpadded(Encoder):
    """Its features are smaller than the image."""

    def __init__(self) -> None:
        super().__init__()
        self.channels, self.radius = 4, 1
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, x, grid):
        return self.layer(x)


class Grey(nn.Conv2d):
    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels, 1, 1)


class Fixed(Whole):
    """It gives twice the size, whatever is asked for."""

    def forward(self, x, grid, via=None):
        return nn.functional.interpolate(x, scale_factor=2)


class NoNetwork:
    pass


def squares(image, target):
    return (image - target).square().mean()
'''


@pytest.fixture(autouse=True)
def _packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The example and a package of somebody else, found but not imported."""
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "__init__.py").write_text(OTHERS)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("rdn", "others"):
        sys.modules.pop(name, None)


def saved(folder: Path, trust: str, **parts: Any) -> Path:
    torch.manual_seed(0)
    model = build(**parts, trust=[trust])
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    checkpoint.save(folder / "model.safetensors", model, {"licence": "MIT"})
    return folder / "model.safetensors"


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


ENTRY_POINTS = """
[ccsr.encoder]
dense = rdn:RDN
plain = rdn:RDN
[ccsr.field]
flat = others:Flat
[ccsr.decoder]
head = others:Head
[ccsr.loss]
squares = others:squares
[ccsr.protocol]
mine = others:protocol
"""


def installed(folder: Path, name: str, entry_points: str) -> None:
    """What pip leaves of a package in a folder where Python looks."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    importlib.invalidate_caches()


def test_an_entry_points_name_stands_for_its_import_path(tmp_path: Path) -> None:
    """Files hold the path, so that they can be read where the package has no such name."""
    installed(tmp_path, "somebodys", ENTRY_POINTS)
    small = {**RDN, "name": "dense"}
    parts = {
        "encoder": small,
        "stack": REST["stack"] | {"field": {"name": "flat", "kernel_size": 3}},
        "decoder": {"name": "head"},
    }
    for name in ("rdn", "others"):
        sys.modules.pop(name, None)
    with pytest.raises(ValueError, match="names classes of the package 'others'"):
        build(**parts)
    assert not {"rdn", "others"} & set(sys.modules)  # nothing is imported by a name either
    made = build(**parts, trust=["rdn", "others"]).architecture
    assert made["encoder"] == RDN
    assert made["stack"]["field"]["name"] == "others:Flat"
    assert made["decoder"]["name"] == "others:Head"
    assert packages(build({"name": "plain", "channels": 4, "blocks": 1}, **REST).architecture) == (
        set()
    )  # nobody can take a name of ours


def test_a_file_with_a_name_of_another_package_imports_nothing_either(tmp_path: Path) -> None:
    path = saved(tmp_path, "rdn", encoder=RDN, **REST)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    metadata["architecture"] = metadata["architecture"].replace("rdn:RDN", "dense")
    save_file(load_file(path), path, metadata)
    del sys.modules["rdn"]
    with pytest.raises(ValueError, match="unknown encoder 'dense'"):
        checkpoint.load(path)
    installed(tmp_path, "somebodys", ENTRY_POINTS)
    with pytest.raises(ValueError, match=r"names classes of the package 'rdn'.*--trust rdn"):
        checkpoint.load(path)
    assert "rdn" not in sys.modules
    assert checkpoint.load(path, ["rdn"])[0].architecture["encoder"] == RDN


def test_a_name_of_two_packages_is_refused(tmp_path: Path) -> None:
    installed(tmp_path, "somebodys", ENTRY_POINTS)
    installed(tmp_path, "anothers", "[ccsr.encoder]\ndense = others:Dense\n")
    with pytest.raises(ValueError, match="called 'dense': give one of others:Dense, rdn:RDN"):
        build({**RDN, "name": "dense"}, **REST, trust=["rdn", "others"])


def test_a_run_takes_names_that_packages_advertise(tmp_path: Path) -> None:
    installed(tmp_path, "somebodys", ENTRY_POINTS)
    words = ["model=tiny", "model.encoder.name=dense", "module.loss=squares", "data.root=x"]
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        composed = compose("train", overrides=words)
    config = plain(composed)
    assert config["model"]["encoder"]["name"] == "rdn:RDN"
    assert config["module"]["loss"] == "others:squares"
    assert "rdn" in trusted(config)  # who typed the name meant it
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(composed))  # with the bare names
    for trust in ([], ["trust=[rdn]"], ["trust=[others]"]):
        with pytest.raises(ValueError, match=r"config\.yaml: it names classes of the package"):
            resumed(tmp_path, trust)
    resumed(tmp_path, ["trust=[rdn,others]"])


def test_a_protocol_that_a_package_advertises(tmp_path: Path) -> None:
    installed(tmp_path, "somebodys", ENTRY_POINTS)
    with (tmp_path / "others" / "__init__.py").open("a") as module:
        module.write("\nfrom ccsr.protocols import PROTOCOLS\nprotocol = PROTOCOLS['liif-y']\n")
    assert by_name("mine") is PROTOCOLS["liif-y"]
    with pytest.raises(ValueError, match=r"or package\.module:NAME, got 'nobodys'"):
        by_name("nobodys")


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
