"""The engine that does without torch gives what torch gives."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from ccsr import Upscaler
from ccsr.bundled import resource_dir
from ccsr.export import save
from ccsr.export.network import to_onnx
from ccsr.grid import ProjectedGrid
from ccsr.image import Picture
from ccsr.image.floats import store
from ccsr.model import checkpoint
from ccsr.upscaling import engines, onnx_engine
from ccsr.upscaling.automatic import Automatic
from ccsr.upscaling.engines import choose_engine
from ccsr.upscaling.onnx_engine import OnnxEngine
from ccsr.upscaling.pixels import LevelSource
from details import SIZE, photo
from networks import tiny

SHIPPED = ("light", "photo")


@pytest.fixture(scope="module")
def onnx_light() -> Upscaler:
    return Upscaler.load("light", engine="onnx")


@pytest.fixture(scope="module")
def torch_light() -> Upscaler:
    return Upscaler.load("light", engine="torch", device="cpu", precision="fp32")


@pytest.mark.long
@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_file_is_what_an_export_gives_now(name: str, tmp_path: Path) -> None:
    """`make onnx` writes them again."""
    model, summary = checkpoint.load(checkpoint.resolve(name))
    save(tmp_path / "a.onnx", model, None, window=True, name=name, summary=summary)
    shipped = resource_dir("checkpoints") / f"{name}.onnx"
    fresh, kept = (onnx.load(path) for path in (tmp_path / "a.onnx", shipped))
    kept.producer_version = fresh.producer_version
    for each in (fresh, kept):
        told = {entry.key: entry.value for entry in each.metadata_props}
        assert told.pop("ccsr")
        onnx.helper.set_model_props(each, told)
    assert [each.name for each in kept.graph.node] == [each.name for each in fresh.graph.node]
    assert kept.metadata_props == fresh.metadata_props
    assert kept.graph.node == fresh.graph.node
    # The bases of its fields follow the last bit of the processor's sines, but not what they span.
    one, other = (Upscaler.load(path) for path in (tmp_path / "a.onnx", shipped))
    for scale in (2, 2.37, (3, 1.2)):
        got, expected = (each.levels(photo(3, np.float32), scale=scale) for each in (one, other))
        np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize(
    "wanted",
    [
        {"scale": 2.37},
        {"scale": 2},
        {"scale": 1.0},
        {"scale": 1.1},
        {"scale": (1, 4.3)},
        {"size": (100, 77)},
        {"scale": 0.6},
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_it_agrees_with_torch(
    wanted: dict[str, Any], channels: int, onnx_light: Upscaler, torch_light: Upscaler
) -> None:
    got, expected = (each.levels(photo(channels), **wanted) for each in (onnx_light, torch_light))
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).max() <= 1
    assert (got != expected).mean() < 1e-3


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_it_agrees_where_steps_are_finer(
    kind: type[np.generic], onnx_light: Upscaler, torch_light: Upscaler
) -> None:
    values = photo(4, kind)
    if kind is np.float32:
        values[10:14, 20:30, :3] *= 7  # a lamp
    got, expected = (each.levels(values, scale=2.37) for each in (onnx_light, torch_light))
    most = 65535 if kind is np.uint16 else 1
    difference = np.abs(got / most - expected / most)
    assert difference[..., :3].max() < 3e-5
    assert difference.max() < 5e-4  # alpha's three colours are clamped before they become one


def test_the_network_that_cleans_works_at_scale_1_too() -> None:
    noise = np.random.default_rng(0).normal(0, 12, photo(3).shape)
    values = (photo(3) + noise).clip(0, 255).astype(np.uint8)
    options: dict[str, Any] = {"device": "cpu", "precision": "fp32"}
    one, other = (
        Upscaler.load("photo", engine=engine, **options).levels(values, scale=1)
        for engine in ("onnx", "torch")
    )
    assert np.abs(one.astype(int) - other).max() <= 1
    assert np.abs(one.astype(int) - values).max() > 1


@pytest.mark.parametrize("scale", [2.37, (3, 1.2)])
def test_tiles_and_strips_do_not_show(scale: Any, onnx_light: Upscaler) -> None:
    values = photo(4)
    whole = onnx_light.levels(values, scale=scale)
    tiled = Upscaler(onnx_light.engine, tile=32)
    assert np.abs(tiled.levels(values, scale=scale).astype(int) - whole).max() <= 1
    strips = np.concatenate(list(tiled.strips(values, 17, scale=scale)))
    assert np.abs(strips.astype(int) - whole).max() <= 1


@pytest.mark.long
def test_it_averages_over_flips(onnx_light: Upscaler) -> None:
    values = photo(3)
    options: dict[str, Any] = {"ensemble": "flips", "tile": 48}
    expected = Upscaler.load("light", engine="torch", precision="fp32", device="cpu", **options)
    got = Upscaler(onnx_light.engine, **options).levels(values, scale=(2.37, 1.6))
    assert np.abs(got.astype(int) - expected.levels(values, scale=(2.37, 1.6))).max() <= 1
    assert (got != onnx_light.levels(values, scale=(2.37, 1.6))).any()


@pytest.mark.thinned(2)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("flips", ["", "flips"])
def test_what_is_cut_at_black_and_white_is_cut_by_both_alike(
    onnx_light: Upscaler, channels: int, flips: str
) -> None:
    """Each result before it is averaged, each colour before it becomes grey: to 16 bits."""
    values = np.where(photo(channels, np.uint16) > 30_000, 65535, 0).astype(np.uint16)
    values[..., : 1 if channels < 3 else 3][:4] = 30_000
    both = [
        Upscaler.load("light", engine="torch", device="cpu", ensemble=flips, precision="fp32"),
        Upscaler(onnx_light.engine, ensemble=flips),
    ]
    by_torch, by_onnx = (each.levels(values, scale=2.37).astype(int) for each in both)
    assert np.abs(by_torch - by_onnx).max() <= 2


def test_frames_and_the_automatic_choice() -> None:
    upscaler = Upscaler.load(engine="onnx")
    assert isinstance(upscaler, Automatic)
    noise = np.random.default_rng(0).normal(0, 12, photo(3).shape)
    noisy = (photo(3) + noise).round().clip(0, 255).astype(np.uint8)
    picture = Picture((noisy, noisy[::-1]), durations=(50.0, 50.0))
    result = upscaler(picture, scale=1.5)
    assert [frame.shape for frame in result.frames] == [(62, 80, 3)] * 2
    expected = Upscaler.load(engine="torch", device="cpu", precision="fp32")
    assert result.notes == expected(picture, scale=1.5).notes
    assert result.notes[0].startswith("by photo: noise")
    for frame, other in zip(result.frames, expected(picture, scale=1.5).frames, strict=True):
        assert np.abs(frame.astype(int) - other).max() <= 1
    smooth = np.zeros((40, 40, 3), np.uint8)
    for picture_of, cleans in ((noisy, True), (smooth, False)):
        engine = upscaler.suited(picture_of)[0].engine
        assert isinstance(engine, OnnxEngine)
        assert engine.cleans == cleans


@pytest.mark.long
def test_any_network_with_few_grids_can_be_exported_for_it(tmp_path: Path) -> None:
    model = tiny()
    save(tmp_path / "a.onnx", model, None, window=True)
    values = photo(3)
    got = Upscaler.load(tmp_path / "a.onnx").levels(values, scale=2.3)
    expected = Upscaler(model, device="cpu", precision="fp32").levels(values, scale=2.3)
    assert np.abs(got.astype(int) - expected).max() <= 1


BOTH = {"torch", "safetensors", "onnxruntime"}


@pytest.mark.parametrize(
    ("installed", "engine", "model", "expected"),
    [
        (BOTH, "auto", "light", "torch"),
        (BOTH - {"safetensors"}, "auto", "light", "onnx"),
        (BOTH, "onnx", "light", "onnx"),
        (BOTH, "auto", "a/b.onnx", "onnx"),
        ({"onnxruntime"}, "auto", "light", "onnx"),
        ({"torch", "safetensors"}, "auto", "light", "torch"),
        (
            {"torch"},
            "torch",
            "light",
            "the engine torch needs the package safetensors, which",
        ),
        (set(), "auto", "light", "neither is installed: run pip install torch"),
        ({"torch"}, "onnx", "light", "the engine onnx needs the package onnxruntime, which is not"),
        ({"torch"}, "auto", "b.onnx", "b.onnx needs the package onnxruntime, which is not"),
        ({"torch"}, "torch", "b.onnx", "the engine torch takes no ONNX file, got b.onnx"),
        ({"torch"}, "tensorrt", "light", "engine must be one of auto, torch, onnx, got 'tensorrt'"),
    ],
)
def test_the_choice_of_an_engine(
    installed: set[str],
    engine: str,
    model: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: name if name in installed else None)
    if expected in ("torch", "onnx"):
        assert choose_engine(engine, model) == expected
    else:
        with pytest.raises(ValueError, match=expected):
            choose_engine(engine, model)


def test_torch_is_not_taken_for_a_model_that_is_here_for_onnxruntime_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the distribution without torch, beside which somebody installs it."""
    (tmp_path / "light.onnx").touch()
    monkeypatch.setattr(engines, "resource_dir", lambda name: tmp_path)
    assert choose_engine("auto", "light") == "onnx"
    assert choose_engine("auto", "base") == choose_engine("auto", "a.safetensors") == "torch"
    (tmp_path / "light.safetensors").touch()
    assert choose_engine("auto", "light") == "torch"


@pytest.mark.parametrize(
    ("told", "threads"), [("", 0), ("2", 2), ("3,1", 3), (" 4 ", 4), ("many", 0), ("2.5", 0)]
)
def test_threads_are_those_of_openmp(
    told: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert onnx_engine._threads() == threads


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda"}, "the engine onnx computes on the cpu, got device 'cuda'"),
        ({"precision": "bf16"}, "the engine onnx computes in fp32, got precision 'bf16'"),
        ({"effort": 0.5}, r"the engine onnx always works at full effort, got effort 0\.5"),
    ],
)
def test_what_it_has_not_is_refused(
    options: dict[str, Any], message: str, onnx_light: Upscaler
) -> None:
    with pytest.raises(ValueError, match=message):
        Upscaler(onnx_light.engine, **options)


def test_pictures_that_it_cannot_enlarge_are_refused(onnx_light: Upscaler) -> None:
    with pytest.raises(
        ValueError, match=r"1 or more along both axes, .* got 2 \(vertical\) and 0\.7"
    ):
        onnx_light.levels(photo(3), scale=(2, 0.7))
    grid = ProjectedGrid.project(SIZE, (82, 106), 2, "topleft")
    onnx_light.enlargement(LevelSource(photo(3)), grid)  # the same place, at a whole factor
    grid = ProjectedGrid.project(SIZE, (83, 107), 2, "topleft")
    with pytest.raises(ValueError, match="the engine onnx takes a scale or a size"):
        onnx_light.enlargement(LevelSource(photo(3)), grid)
    with pytest.raises(
        ValueError, match="torch is needed to enlarge tensors: use the engine torch"
    ):
        onnx_light.tensor(torch.rand(3, 8, 8), scale=2)
    with pytest.raises(ValueError, match="torch is needed to keep features: use the engine"):
        onnx_light.view(photo(3))


def test_files_that_are_not_for_it_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    with pytest.raises(FileNotFoundError, match=r"no model file at .*a\.onnx: check the path"):
        Upscaler.load(path)
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"a\.onnx is damaged, or no ONNX file"):
        Upscaler.load(path)
    save(path.with_name("b.onnx"), tiny(), 2)
    with pytest.raises(ValueError, match="expected one of ccsr export --window, write it again"):
        Upscaler.load(path.with_name("b.onnx"))


def test_a_failure_of_the_runtime_is_an_error_as_any(
    onnx_light: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too small a part of the picture; memory that runs out is met by smaller tiles."""
    engine: Any = onnx_light.engine
    whole, grid = SIZE, ProjectedGrid.project((41, 53), (82, 106))
    x = np.zeros((1, 3, 20, 20), np.float32)
    with pytest.raises(RuntimeError, match="image_must_hold_all_that_the_window_needs_0"):
        engine.run(x, (0, 0), whole, grid.window(slice(30, 40), slice(0, 9)), (30, 0))
    run, sizes = engine.run, list[int]()

    def small_only(x: Any, corner: Any, whole: Any, grid: ProjectedGrid, origin: Any) -> Any:
        sizes.append(max(grid.size))
        if sizes[-1] > 60:
            raise RuntimeError("Failed to allocate memory for requested buffer of size 9")
        return run(x, corner, whole, grid, origin)

    expected = onnx_light.levels(photo(3), scale=2)
    monkeypatch.setattr(engine, "run", small_only)
    assert np.abs(onnx_light.levels(photo(3), scale=2).astype(int) - expected).max() <= 1
    assert max(sizes) > 60


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_arrays_become_levels_as_tensors_do(kind: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.1, 1.1, (3, 37, 29)).astype(np.float32)
    most = 1 if kind is np.float32 else np.iinfo(kind).max
    x[0, :, :10] = (np.round(x[0, :, :10] * most) + 0.5) / most  # between two levels
    one, other = np.zeros((2, 37, 29, 3), kind)
    store(x, one)
    store(torch.from_numpy(x.copy()), other)
    assert np.array_equal(one, other)


@pytest.mark.long
def test_a_part_of_the_picture_is_enough_for_a_window() -> None:
    model, runtime = tiny(), pytest.importorskip("onnxruntime")
    exported = to_onnx(model, None, window=True)
    session = runtime.InferenceSession(exported.SerializeToString())
    x = np.random.default_rng(0).random((1, 3, 60, 70), np.float32)
    window = {"scale": np.full(2, 2.37), "origin": np.array((60, 70)), "size": np.array((9, 8))}
    zeros = {"corner": np.zeros(2, np.int64), "whole": np.zeros(2, np.int64)}
    (whole,) = session.run(None, {"image": x} | window | zeros)
    part = {"corner": np.array((10, 12)), "whole": np.array((60, 70))}
    (same,) = session.run(None, {"image": x[:, :, 10:50, 12:55]} | window | part)
    np.testing.assert_allclose(same, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_runtime_has_nothing_to_say_about_a_shipped_file(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 2  # warnings
    runtime.InferenceSession(resource_dir("checkpoints") / f"{name}.onnx", options)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("error", [ImportError, ValueError])
def test_a_hook_that_keeps_torch_out_is_as_good_as_its_absence(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> str:
        if name == "torch":
            raise error(name)
        return name

    monkeypatch.setattr(engines, "find_spec", find)
    assert choose_engine("auto", "light") == "onnx"
    with pytest.raises(ValueError, match="needs the package torch, which is not installed"):
        choose_engine("torch", "light")
