"""*Enlarge* writes the files that `ccsr upscale` writes."""

import numpy as np
import pytest
from PIL import Image

from ccsr import image
from ccsr.cli.main import main
from orders import download, finished, order


@pytest.fixture
def scan(tmp_path, wide_profile):
    """16-bit colour with transparency, a profile and a description."""
    values = np.random.default_rng(1).integers(0, 65536, (30, 40, 4), np.uint16)
    values[:8, :8, 3] = 0
    described = image.Metadata(profile=wide_profile, dpi=(300.0, 300.0))
    image.write(image.Picture((values,), described), tmp_path / "scan.tif")
    return tmp_path / "scan.tif"


@pytest.fixture
def dance(tmp_path):
    """An animation."""
    frames = [Image.new("RGB", (20, 16), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(
        tmp_path / "dance.webp", save_all=True, append_images=frames[1:], duration=70, lossless=True
    )
    return tmp_path / "dance.webp"


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    ("picture", "fields", "words"),
    [
        ("cat", {}, ""),
        ("cat", {"output": {"format": "jpg", "quality": 80}}, "--format jpg --quality 80"),
        ("cat", {"output": {"format": "webp", "lossless": True}}, "--format webp --lossless"),
        (
            "cat",
            {"target": {"text": "width 333"}, "output": {"metadata": "strip"}},
            "--width 333 --metadata strip",
        ),
        ("cat", {"target": {"text": "333x201"}}, "--size 333x201"),
        ("cat", {"target": {"text": "333"}}, "--longest 333"),
        *(
            pytest.param("cat", {"target": {"text": text}}, words, marks=pytest.mark.long)
            for text, words in (
                ("shortest 333", "--shortest 333"),
                ("fit 333x300", "--fit 333x300"),
                ("cover 333x300", "--cover 333x300"),
                ("at least 333x100", "--at-least 333x100"),
                ("0.1 mp", "--megapixels 0.1"),
                ("5x4cm@300", "--print 5x4cm@300"),
            )
        ),
        ("cat", {"target": {"scale": [1.5, 2]}}, "--scale 2x1.5"),
        (
            "cat",
            {"target": {"scale": [0.5, 0.5]}, "model": "light"},
            "--scale 0.5 --model light",
        ),
        ("cat", {"model": "auto"}, "--model auto"),
        ("scan", {"output": {"format": "same"}}, "--format same"),
        (
            "scan",
            {"output": {"format": "jpg", "background": [255, 128, 0]}},
            "--format jpg --background #ff8000",
        ),
        ("dance", {}, ""),
        ("dance", {"output": {"format": "webp"}}, "--format webp"),
    ],
)
def test_a_download_is_what_upscale_writes(
    client, served, request, tmp_path, network, picture, fields, words
):
    path = request.getfixturevalue(picture)
    out = tmp_path / "out"
    command = ["upscale", str(path), "-o", f"{out}/", *words.split()]
    command += [] if "target" in fields else ["--scale", "2.37"]
    command += [] if "model" in fields else ["--model", str(network)]
    assert main([*command, "--precision", "fp32", "--device", "cpu", "--quiet"]) == 0
    (written,) = out.iterdir()

    served.app.shelf.take([path])
    number = order(client, **fields).json()["id"]
    (item,) = finished(client, number)["items"]
    assert item["state"] == "done", item["text"]
    assert item["name"] == written.name
    got = download(client, number, item=0)
    assert got.content == written.read_bytes()
    assert f'filename="{written.name}"' in got.headers["content-disposition"]
