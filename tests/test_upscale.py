import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

from ccsr import Upscaler, checkpoint, source, upscale
from ccsr.image import Metadata, Picture, to_image, to_tensor
from ccsr.model import CCSR, build
from ccsr.resample import ProjectedGrid, output_size, resize
from ccsr.resources import resource_dir

SCALES = [1, 4 / 3, 1.5, 2, 2.37, 3, math.pi, 8, 0.5, 0.73, (1.5, 4.0), (0.5, 3.0)]


def tiny(seed: int | None = 0) -> CCSR:
    """The smallest preset with random weights; None leaves it new, and then it is bicubic."""
    config = yaml.safe_load((resource_dir("conf") / "model" / "tiny.yaml").read_text())
    del config["_target_"]
    torch.manual_seed(seed or 0)
    model = build(**config)
    if seed is not None:
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.1)
    return model


@pytest.fixture
def bicubic() -> Upscaler:
    return Upscaler(tiny(None), precision="fp32")


@pytest.fixture
def upscaler() -> Upscaler:
    return Upscaler(tiny(), precision="fp32")


def photo(mode: str, width: int = 31, height: int = 22) -> Image.Image:
    with Image.open(resource_dir("samples") / "chelsea.png") as image:
        picture = image.convert("RGB").resize((width, height))
    picture = picture.convert(mode)
    if mode.endswith("A"):
        mask = np.zeros((height, width), np.uint8)
        mask[4:-5, 6:-4] = 255
        mask[10:12] //= 2
        picture.putalpha(Image.fromarray(mask))
    return picture


def levels(channels: int, bits: int) -> np.ndarray:
    """Smooth colours; alpha with a hole, an edge and an opaque part."""
    rows, columns = np.mgrid[0:21, 0:30] / 30
    planes = [rows, columns, rows * columns][: channels - (channels in (2, 4))]
    if channels in (2, 4):
        planes.append((columns * 3 - 1).clip(0, 1))
    kind = np.uint8 if bits == 8 else np.uint16
    return (np.stack(planes, 2) * np.iinfo(kind).max).astype(kind)


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(int)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(7, 10), (1, 1), (1, 9), (2, 2)])
def test_a_new_network_is_bicubic_at_the_promised_size(
    bicubic: Upscaler, scale: float | tuple[float, float], size: tuple[int, int]
) -> None:
    x = torch.rand(3, *size)
    got = bicubic.tensor(x, scale=scale)
    target = output_size(size, scale)
    grid = ProjectedGrid.project(size, target, scale, "centred")
    assert got.shape == (3, *target)
    assert torch.allclose(got, resize(x, grid).clamp(0, 1), atol=1e-6)


@pytest.mark.parametrize("size", [(44, 62), (50, 71), (10, 13), (60, 11)])
def test_pictures_agree_with_pillow_away_from_the_border(
    bicubic: Upscaler, size: tuple[int, int]
) -> None:
    picture = photo("RGB")
    got = bicubic(picture, size=size)
    expected = picture.resize(size[::-1], Image.Resampling.BICUBIC)
    assert got.size == expected.size
    edge = tuple(max(2, math.ceil(2 * s / n)) + 1 for s, n in zip(size, (22, 31), strict=True))
    inside = (slice(edge[0], -edge[0]), slice(edge[1], -edge[1]))
    assert np.abs(pixels(got)[inside] - pixels(expected)[inside]).max() <= 1


@pytest.mark.parametrize("scale", [2.37, 2, (1.5, 4.0), (0.6, 3.0), 0.73])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_do_not_show(scale: float | tuple[float, float], channels: int) -> None:
    x = torch.rand(2, channels, 45, 32)
    whole = Upscaler(tiny(), precision="fp32", tile="off").tensor(x, scale=scale)
    tiled = Upscaler(tiny(), precision="fp32", tile=16).tensor(x, scale=scale)
    assert torch.allclose(whole, tiled, atol=1e-5)


def test_memory_that_runs_out_changes_nothing(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.rand(3, 30, 30)
    expected = upscaler.tensor(x, scale=2.37)
    forward = upscaler.model.forward

    def small_only(x: Tensor, grid: ProjectedGrid, via: Any) -> Tensor:
        if math.prod(grid.size) > 900:
            raise torch.OutOfMemoryError("out of memory")
        return forward(x, grid, via)

    monkeypatch.setattr(upscaler.model, "forward", small_only)
    assert torch.allclose(upscaler.tensor(x, scale=2.37), expected, atol=1e-5)


def test_auto_tiles_follow_the_memory(monkeypatch: pytest.MonkeyPatch, upscaler: Upscaler) -> None:
    shares: list[float] = []
    upscaler.tensor(torch.rand(3, 30, 30), scale=2, progress=shares.append)
    assert shares == [1]
    shares.clear()
    monkeypatch.setattr(upscale, "free_memory", lambda device: 1 << 20)
    upscaler.tensor(torch.rand(3, 30, 30), scale=2, progress=shares.append)
    assert len(shares) > 1
    assert shares[-1] == 1


def test_auto_tiles_follow_the_memory_that_may_be_taken() -> None:
    x = torch.rand(3, 500, 500)
    expected = Upscaler(tiny(), precision="fp32").tensor(x, scale=2)
    shares: list[float] = []
    small = Upscaler(tiny(), precision="fp32", memory=32 << 20)
    got = small.tensor(x, scale=2, progress=shares.append)
    assert len(shares) > 1
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert torch.allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_strips_together_are_the_whole(upscaler: Upscaler, channels: int, bits: int) -> None:
    values = levels(channels, bits)
    whole = upscaler.levels(values, scale=2.37)
    assert whole.shape == (50, 71, channels)
    assert whole.dtype == values.dtype
    tiled = Upscaler(upscaler.model, precision="fp32", tile=16)
    strips = list(tiled.strips(values, 17, scale=2.37))
    assert [len(strip) for strip in strips] == [17, 17, 16]
    difference = np.concatenate(strips).astype(int) - whole
    assert np.abs(difference).max() <= 1


def test_sixteen_bits_are_not_reduced_to_eight(bicubic: Upscaler) -> None:
    values = np.full((9, 9, 3), 0x1234, np.uint16)
    assert (bicubic.levels(values, scale=1.5) == 0x1234).all()


def test_a_result_beyond_the_memory_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, upscaler: Upscaler
) -> None:
    monkeypatch.setattr(source, "free_memory", lambda device: 1 << 20)
    with pytest.raises(RuntimeError, match=r"a result of 4000x3000 pixels needs .* GiB .* smaller"):
        upscaler.tensor(torch.rand(3, 30, 40), scale=100)


def poisoned(model: CCSR, bad: Callable[[], bool]) -> Callable[..., Tensor]:
    forward = model.forward
    return lambda *args: forward(*args) * (math.nan if bad() else 1)


def test_a_non_finite_tile_is_computed_again_in_float32(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.rand(3, 9, 9)
    expected = upscaler.tensor(x, scale=2)
    mixed = Upscaler(upscaler.model, precision="bf16")
    poison = poisoned(mixed.model, lambda: torch.is_autocast_enabled("cpu"))
    monkeypatch.setattr(mixed.model, "forward", poison)
    with pytest.warns(UserWarning, match="computed again in float32: rows 0 to 18, columns 0 to"):
        assert torch.equal(mixed.tensor(x, scale=2), expected)
    said: list[str] = []
    mixed.warn = said.append
    mixed.tensor(x, scale=2)
    assert said == [
        "not finite in bfloat16, computed again in float32: rows 0 to 18, columns 0 to 18"
    ]


def test_what_stays_non_finite_is_an_error_that_names_the_place(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upscaler.model, "forward", poisoned(upscaler.model, lambda: True))
    with pytest.raises(RuntimeError, match="not finite in rows 0 to 18, columns 0 to 20"):
        upscaler.tensor(torch.rand(3, 9, 10), scale=2)


def test_bfloat16_is_close(upscaler: Upscaler) -> None:
    x = torch.rand(3, 16, 16)
    expected = upscaler.tensor(x, scale=2.37)
    got = Upscaler(upscaler.model, precision="bf16").tensor(x, scale=2.37)
    assert got.dtype == torch.float32
    assert torch.allclose(got, expected, atol=0.02)


@pytest.mark.parametrize("native", [False, True])
def test_auto_precision_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    monkeypatch.setattr(upscale, "has_native_bfloat16", lambda device: native)
    expected = torch.bfloat16 if native else torch.float32
    assert Upscaler(tiny(), device="cpu").dtype == expected
    assert Upscaler(tiny(), device="cpu", precision="fp32").dtype == torch.float32


def test_tensors_of_every_layout(upscaler: Upscaler) -> None:
    x = torch.rand(2, 3, 9, 7)
    both = upscaler.tensor(x, size=(20, 15))
    assert both.shape == (2, 3, 20, 15)
    assert both.dtype == torch.float32
    assert both.min() >= 0
    assert both.max() <= 1
    grid = ProjectedGrid.project((9, 7), (20, 15))
    for one, expected in zip(x.double(), both, strict=True):
        assert torch.allclose(upscaler.tensor(one, grid=grid), expected, atol=1e-5)
    assert not both.is_inference()  # so that others may use it in a loss


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pictures_keep_their_kind_and_profile(upscaler: Upscaler, mode: str) -> None:
    picture = photo(mode)
    profile = bytes(16) + (b"GRAY" if mode in ("L", "LA") else b"RGB ") + bytes(108)
    picture.info["icc_profile"] = profile
    got = upscaler(picture, scale=1.7)
    assert got.mode == mode
    assert got.size == (53, 37)
    assert got.info == {"icc_profile": profile}


def test_one_pixel(upscaler: Upscaler) -> None:
    for mode in ("L", "RGB", "RGBA"):
        assert upscaler(Image.new(mode, (1, 1)), scale=7.3).size == (7, 7)
        assert upscaler(Image.new(mode, (1, 1)), scale=0.1).size == (1, 1)


def test_grey_equals_grey_as_colour(upscaler: Upscaler) -> None:
    grey = photo("L")
    colour = upscaler.tensor(to_tensor(grey.convert("RGB")), scale=2)
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    expected = pixels(to_image((colour * weights).sum(0, keepdim=True)))
    assert np.abs(pixels(upscaler(grey, scale=2)) - expected).max() <= 1


def test_orientation_and_palettes(upscaler: Upscaler) -> None:
    upright = photo("RGB")
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[0x0112] = 6
    expected = pixels(upscaler(upright, scale=2))
    assert np.array_equal(pixels(upscaler(turned, scale=2)), expected)
    palette = upright.quantize(16)
    expected = pixels(upscaler(palette.convert("RGB"), scale=2))
    assert np.array_equal(pixels(upscaler(palette, scale=2)), expected)


def test_hidden_colours_do_not_leak(upscaler: Upscaler) -> None:
    clean = photo("RGBA")
    dirty = np.asarray(clean).copy()
    hidden = dirty[..., 3] == 0
    dirty[hidden, :3] = np.random.default_rng(0).integers(0, 256, (hidden.sum(), 3))
    got = upscaler(Image.fromarray(dirty), scale=2.37)
    assert np.array_equal(pixels(got), pixels(upscaler(clean, scale=2.37)))


@pytest.mark.parametrize("hidden", ["white", "black", "lime"])
def test_edges_have_no_fringe(bicubic: Upscaler, hidden: str) -> None:
    picture = Image.new("RGBA", (20, 20), hidden)
    picture.putalpha(0)
    picture.paste((200, 40, 30, 255), (5, 5, 15, 15))
    got = pixels(bicubic(picture, scale=3.3))
    assert (got[got[..., 3] > 0][:, :3] == [200, 40, 30]).all()


def test_flat_alpha_stays_flat(upscaler: Upscaler) -> None:
    picture = photo("RGBA", 60, 50)
    got = pixels(upscaler(picture, scale=3))[..., 3]
    assert (got[:3] == 0).all()
    assert (got[50:120, 30:150] == 255).all()
    for level in (0, 77, 255):
        picture.putalpha(level)
        assert (pixels(upscaler(picture, scale=1.3))[..., 3] == level).all()


def test_an_opaque_picture_is_enlarged_like_one_without_alpha(upscaler: Upscaler) -> None:
    picture = photo("RGB")
    expected = pixels(upscaler(picture, size=(40, 50)))
    got = pixels(upscaler(picture.convert("RGBA"), size=(40, 50)))
    assert np.array_equal(got[..., :3], expected)


def test_load_by_path(tmp_path: Path, upscaler: Upscaler) -> None:
    checkpoint.save(tmp_path / "mine.safetensors", upscaler.model, {})
    loaded = Upscaler.load(tmp_path / "mine.safetensors", precision="fp32")
    expected = pixels(upscaler(photo("RGB"), scale=2))
    assert np.array_equal(pixels(loaded(photo("RGB"), scale=2)), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp16"}, "precision must be auto, fp32 or bf16, got 'fp16'"),
        ({"device": "gpu"}, "device must be"),
        ({"tile": 8}, "tile must be auto, off or at least 16, got 8"),
        ({"tile": "big"}, "tile must be .* got 'big'"),
        ({"memory": 1 << 20}, "memory must be at least 32 MiB, got 1048576 B"),
    ],
)
def test_unknown_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Upscaler(tiny(), **options)


def test_all_frames_of_a_picture_are_enlarged(upscaler: Upscaler) -> None:
    pages = tuple(np.asarray(photo("RGB", *size)) for size in ((8, 6), (4, 9)))
    shares: list[float] = []
    got = upscaler(Picture(pages), size=(12, 24), progress=shares.append)
    assert [page.shape for page in got.frames] == [(12, 24, 3), (18, 12, 3)]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    alone = upscaler(Picture(pages[:1]), size=(12, 24))
    assert np.array_equal(got.frames[0], alone.frames[0])


def test_frames_beyond_the_memory_are_refused_before_the_first(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "free_memory", lambda device: 3 * 10 * 400 - 1)
    monkeypatch.setattr(Upscaler, "_window", None)
    frames = (np.zeros((10, 10, 1), np.uint8),) * 10
    with pytest.raises(RuntimeError, match=r"a result of 10 times 20x20 pixels needs .* smaller"):
        upscaler(Picture(frames, durations=(50,) * 10), scale=2)


def test_what_a_picture_says_about_itself_is_kept(upscaler: Upscaler) -> None:
    described = Metadata(xmp=b"<x/>", dpi=(72, 72))
    picture = Picture((np.zeros((3, 4, 3), np.uint16),), described, notes=("read so",))
    got = upscaler(picture, scale=2)
    assert got.metadata == described
    assert got.notes == ("read so",)
    assert got.frames[0].dtype == np.uint16


def test_wrong_sizes_and_scales(upscaler: Upscaler) -> None:
    picture = photo("RGB")
    options: list[dict[str, Any]] = [{}, {"scale": 2.0, "size": (4, 4)}, {"scale": "2"}]
    for wrong in options:
        with pytest.raises(ValueError, match="expected exactly one of scale"):
            upscaler(picture, **wrong)
    with pytest.raises(ValueError, match=r"scale must be positive and finite, got -2\.0"):
        upscaler(picture, scale=-2.0)
    with pytest.raises(ValueError, match="sizes must be at least 1"):
        upscaler(picture, size=(0, 4))


@pytest.mark.parametrize(
    "x", [torch.rand(2, 5, 5), torch.rand(5, 5), torch.zeros(3, 5, 5, dtype=torch.uint8)]
)
def test_wrong_tensors(upscaler: Upscaler, x: Tensor) -> None:
    with pytest.raises(ValueError, match="expected a floating-point tensor"):
        upscaler.tensor(x, scale=2)


def test_tensors_that_are_not_finite(upscaler: Upscaler) -> None:
    with pytest.raises(ValueError, match="expected finite values"):
        upscaler.tensor(torch.full((3, 4, 4), math.nan), scale=2)
