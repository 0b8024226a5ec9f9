"""An upscaler in somebody else's program: what is set there, what stays, and mistakes."""

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ccsr import Upscaler
from networks import tiny

X = torch.linspace(0, 1, 3 * 9 * 11).reshape(3, 9, 11)
LEVELS = (X.permute(1, 2, 0) * 255).byte().numpy()


@contextmanager
def default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def everything() -> list[Any]:
    """What an upscaler gives of one picture in all of its ways."""
    upscaler = Upscaler.load("light", device="cpu", precision="fp32")
    flips = Upscaler(upscaler.model, device="cpu", precision="fp32", ensemble="flips")
    return [
        upscaler.tensor(X, scale=2.37),
        upscaler.tensor(X, scale=0.5),
        upscaler.view(X).window(slice(0, 5), slice(2, 9), scale=2.37),
        flips.tensor(X, size=(20, 24)),
        upscaler.levels(LEVELS, scale=2.37),
        upscaler.view(LEVELS).window(slice(0, 5), slice(2, 9), scale=2.37),
    ]


@pytest.fixture(scope="module")
def usual() -> list[Any]:
    return everything()


@pytest.mark.parametrize(
    "setting",
    [
        *(lambda dtype=dtype: default(dtype) for dtype in (torch.float64, torch.bfloat16)),
        lambda: torch.device("meta"),  # where nothing is computed, so that it shows
        lambda: torch.autocast("cpu", torch.bfloat16),
        torch.inference_mode,
    ],
    ids=["float64", "bfloat16", "device", "autocast", "inference"],
)
def test_the_callers_settings_change_nothing(setting: Callable[[], Any], usual: list[Any]) -> None:
    with ExitStack() as stack:
        stack.enter_context(setting())
        got = everything()
    for values, expected in zip(got, usual, strict=True):
        assert type(values) is type(expected)
        assert values.dtype == expected.dtype
        assert np.array_equal(np.asarray(values), np.asarray(expected))


def test_random_numbers_and_modes_go_on_as_they_were() -> None:
    def state() -> tuple[Any, ...]:
        modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_num_threads()
        return *torch.get_rng_state().tolist(), *modes, torch.get_default_dtype()

    before = state()
    everything()
    assert state() == before


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda up: up("a.jpg", scale=2), "got str: open a path by PIL.Image.open"),
        (lambda up: up(LEVELS, scale=2), "got ndarray: .* an array to Upscaler.levels"),
        (lambda up: up(X, scale=2), "got Tensor: .* a tensor to Upscaler.tensor"),
        (
            lambda up: up.tensor(LEVELS, scale=2),
            "expected a tensor, got ndarray: levels .* are an a",
        ),
        (lambda up: up.levels(X, scale=2), "an array of levels .*, got Tensor: .* tensors for its"),
        (lambda up: up.levels(None, scale=2), "expected an array of levels .*, got NoneType"),
        (lambda up: up.view(Image.new("L", (3, 3))), "expected a tensor, got Image"),
        (lambda up: Upscaler("light"), "got str: Upscaler.load makes an upscaler of a name"),
        (lambda up: Upscaler(nn.Identity()), "expected a network of ccsr .* got Identity"),
    ],
)
def test_what_is_of_another_kind(
    upscaler: Upscaler, call: Callable[[Upscaler], Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        call(upscaler)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X * 255, r"in \[0, 1\], got 0 to 255: divide by the largest level"),
        (X * 2 - 1, r"in \[0, 1\], got -1 to 1: .* undo a normalisation"),
        (X[:, :0], r"got torch.float32 \(3, 0, 11\)"),
        (X.to("meta"), "without its values"),
        (X.to_sparse(), "without its values"),
    ],
)
def test_tensors_that_are_no_pictures(upscaler: Upscaler, x: torch.Tensor, message: str) -> None:
    for use in (lambda x: upscaler.tensor(x, scale=2), upscaler.view):
        with pytest.raises(ValueError, match=message):
            use(x)


def test_a_little_beyond_is_cut(upscaler: Upscaler) -> None:
    wide = X * 1.5 - 0.25  # as far as a cubic kernel overshoots
    assert upscaler.tensor(wide, scale=2).aminmax() == (0, 1)


@pytest.mark.parametrize("device", [torch.device("cpu"), torch.device("cpu", 0), "cpu:0"])
def test_devices_of_torch(device: Any) -> None:
    assert Upscaler(tiny(), device=device).device == torch.device("cpu")


@pytest.mark.parametrize(
    "options", [{"memory": "2GB"}, {"memory": float("nan")}, {"tile": 64.5}, {"tile": None}]
)
def test_numbers_that_are_none(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must be"):
        Upscaler(tiny(), **options)
    with pytest.raises(ValueError, match="height must be a whole number of at least 1, got -5"):
        Upscaler(tiny()).strips(LEVELS, -5, scale=2)
    with pytest.raises(ValueError, match="memory must be a whole number of bytes, got '2GB'"):
        Upscaler(tiny()).view(X, memory="2GB")  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_networks_of_every_precision(dtype: torch.dtype) -> None:
    model = tiny().to(dtype)
    expected = Upscaler(copy.deepcopy(model).float(), device="cpu", precision="fp32")
    got = Upscaler(model, device="cpu", precision="fp32").tensor(X, scale=2)
    assert torch.equal(got, expected.tensor(X, scale=2))


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_copies_compute_the_same(
    engine: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime" if engine == "onnx" else "torch")
    upscaler = Upscaler.load("light", engine=engine, device="cpu", precision="fp32")
    kept = pickle.dumps(upscaler)
    monkeypatch.chdir(tmp_path)
    for other in (pickle.loads(kept), copy.deepcopy(upscaler)):
        assert np.array_equal(other.levels(LEVELS, scale=2), upscaler.levels(LEVELS, scale=2))
