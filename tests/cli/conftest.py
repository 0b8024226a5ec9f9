"""What the tests of the command line share."""

from pathlib import Path

import pytest
import yaml
from PIL import Image

from ccsr import checkpoint
from ccsr.model import build
from ccsr.resources import resource_dir


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
