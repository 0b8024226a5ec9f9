"""What the tests of the command line share."""

from pathlib import Path

import pytest
from PIL import Image

from ccsr.bundled import resource_dir
from ccsr.model import checkpoint
from networks import tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    checkpoint.save(path, tiny(None), {"licence": "MIT"})
    return str(path)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    with Image.open(resource_dir("samples") / "chelsea.png") as picture:
        picture.convert("RGB").resize((20, 10)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"
