"""Names that other packages advertise by entry points stand for import paths."""

import importlib
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ccsr.bundled import resource_dir
from ccsr.model import build, checkpoint
from ccsr.model.registry import packages
from ccsr.protocols import PROTOCOLS, by_name
from ccsr.training.config import plain, resumed, trusted
from foreign import RDN, REST, found, saved

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


@pytest.fixture(autouse=True)
def _packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with found(tmp_path, monkeypatch):
        yield


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
