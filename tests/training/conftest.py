import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image

from ccsr.bundled import resource_dir
from ccsr.training.train import train
from runs import TINY


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    generator = torch.Generator().manual_seed(0)
    for i in range(3):
        coarse = torch.rand(1, 3, 7, 8, generator=generator)
        photo = torch.nn.functional.interpolate(coarse, (48, 52), mode="bilinear")[0]
        pixels = (photo * 255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def configure(photos):
    def configured(*overrides):
        roots = f"data.root={photos}", f"data.val.root={photos}"
        with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
            return compose("train", overrides=[*TINY, *roots, *overrides])

    return configured


@pytest.fixture(scope="session")
def finished(photos, tmp_path_factory):
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    roots = f"data.root={photos}", f"data.val.root={photos}"
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        cfg = compose("train", overrides=[*TINY, *roots])
    return folder, train(cfg, folder)
