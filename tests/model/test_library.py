"""A CC layer as part of other people's programs: what it refuses, and what tools do to a module."""

import copy
import pickle
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ccsr import CCLayer, ProjectedGrid, resize
from ccsr.model.fields import CubicField, Field, FourierField, MLPField
from networks import tiny

GRID = ProjectedGrid.project((6, 7), (9, 15))
PLANS = ["reference", "phases", "basis"]
FIELDS = [FourierField, MLPField, CubicField]


def layer(plan: Any = None, field: type[Field] = FourierField) -> CCLayer:
    torch.manual_seed(0)
    made = CCLayer(3, 4, 4, field, plan=plan)
    nn.init.normal_(made.bias)
    return made


class Fixed(nn.Module):
    """A layer with its grid, as a program with fixed sizes holds them."""

    def __init__(self, inner: CCLayer) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x, GRID)
        return y


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.zeros(1, 3, 6, 7, dtype=torch.uint8), TypeError, r"floating point, got torch.uint8"),
        (torch.zeros(1, 3, 6, 7, dtype=torch.complex64), TypeError, "floating point, got torch.c"),
        (torch.zeros(1, 3, 6, 7).numpy(), TypeError, "expected a tensor .* got ndarray"),
        (torch.zeros(3, 6, 7), ValueError, r"shape \(N, 3, h, w\), got \(3, 6, 7\)"),
        (torch.zeros(1, 2, 6, 7), ValueError, r"shape \(N, 3, h, w\), got \(1, 2, 6, 7\)"),
        (torch.zeros(1, 3, 0, 7), ValueError, r"shape \(N, 3, h, w\), got \(1, 3, 0, 7\)"),
        (torch.zeros(1, 3, 7, 6), ValueError, r"of the size \(6, 7\) .* got \(7, 6\): make"),
    ],
)
def test_other_tensors_are_refused(x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        layer()(x, GRID)


def test_what_is_no_grid_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a ProjectedGrid, got tuple: make one by"):
        layer()(torch.zeros(1, 3, 6, 7), (9, 15))


def test_a_grid_knows_the_size_that_it_was_laid_over() -> None:
    x = torch.rand(1, 3, 8, 8)
    larger = ProjectedGrid.project((10, 10), (20, 20))
    for grid in (larger, larger.window(slice(2, 5), slice(0, 3))):
        for function in (layer(), resize):
            with pytest.raises(ValueError, match=r"of the size \(10, 10\) .* got \(8, 8\)"):
                function(x, grid)
    shifted = larger.shifted(1, 1)  # over a crop, of whatever size
    assert layer()(x, shifted).shape[2:] == resize(x, shifted).shape[2:] == (20, 20)
    twice = ProjectedGrid.project((8, 8), (16, 16))
    within = ProjectedGrid.project((8, 8), (24, 24)).within(twice)
    with pytest.raises(ValueError, match=r"of the size \(16, 16\) .* got \(8, 8\)"):
        layer()(x, within)
    assert layer()(x, within.over(twice)).shape[2:] == (24, 24)
    assert larger == larger.shifted(0, 0)  # the positions alone make grids equal


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 2.5}, "kernel_size must be a whole number of at least 1, got 2.5"),
        ({"kernel_size": True}, "kernel_size must be a whole number of at least 1, got True"),
        ({"kernel_size": 0}, "kernel_size must be a whole number of at least 1, got 0"),
        ({"kernel_size": 17}, "kernel_size must be at most 16, got 17"),
        ({"in_channels": 0}, "in_channels must be a whole number of at least 1, got 0"),
        ({"out_channels": "4"}, "out_channels must be a whole number of at least 1, got '4'"),
    ],
)
def test_other_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CCLayer(**({"in_channels": 3, "out_channels": 4, "kernel_size": 3} | arguments))


def test_it_says_what_it_is() -> None:
    text = repr(CCLayer(3, 4, kernel_size=5, field=partial(FourierField, basis=7), bias=False))
    assert "3, 4, kernel_size=5, bias=False, plan=None" in text
    assert "FourierField(basis=7)" in text


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("field", FIELDS)
def test_any_precision_of_pixels_and_of_weights(plan: str, field: type[Field]) -> None:
    x = torch.rand(2, 3, 6, 7)
    truth = layer(plan, field)(x, GRID)
    for kind, tolerance in ((torch.float64, 1e-5), (torch.float16, 3e-3), (torch.bfloat16, 3e-2)):
        for weights in (torch.float32, kind):
            y = layer(plan, field).to(weights)(x.to(kind), GRID)
            assert y.dtype == kind
            torch.testing.assert_close(y.float(), truth, rtol=0, atol=tolerance)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("field", FIELDS)
def test_an_empty_batch_gives_one(plan: str, field: type[Field]) -> None:
    x = torch.zeros(0, 3, 6, 7, requires_grad=True)
    made = layer(plan, field)
    y = made(x, GRID)
    assert y.shape == (0, 4, 9, 15)
    y.sum().backward()
    assert torch.equal(made.weight.grad, torch.zeros_like(made.weight))
    with torch.no_grad():
        assert made(x, GRID).shape == (0, 4, 9, 15)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("field", FIELDS)
def test_the_layout_of_the_memory_does_not_matter(plan: str, field: type[Field]) -> None:
    x = torch.rand(2, 3, 6, 7)
    made = layer(plan, field)
    spread = torch.zeros(2, 3, 12, 14)
    spread[..., ::2, 1::2] = x
    for same in (x.mT.contiguous().mT, spread[..., ::2, 1::2]):
        assert not same.is_contiguous()
        torch.testing.assert_close(made(same, GRID), made(x, GRID))
    repeated = x[:1].expand(2, -1, -1, -1)
    torch.testing.assert_close(made(repeated, GRID), made(repeated.contiguous(), GRID))


@pytest.mark.parametrize("field", FIELDS)
def test_copies_are_the_same_layer(field: type[Field]) -> None:
    x = torch.rand(1, 3, 6, 7)
    made = layer(None, field)
    other = CCLayer(3, 4, 4, field)
    other.load_state_dict(made.state_dict())
    for copied in (copy.deepcopy(made), pickle.loads(pickle.dumps(made)), other):
        assert torch.equal(copied(x, GRID), made(x, GRID))


class Stand(Tensor):
    """Stands for a tensor, as those of `FakeTensorMode` do."""


class Standing(TorchFunctionMode):
    """A mode that makes nothing else."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        return made.as_subclass(Stand) if type(made) is Tensor else made


@pytest.mark.parametrize("field", FIELDS)
def test_what_stands_for_tensors_leaves_nothing_behind(field: type[Field]) -> None:
    grid = ProjectedGrid.project((6, 7), (11, 17))  # that no other test remembers
    made, x = layer(None, field), torch.rand(1, 3, 6, 7)
    with Standing():
        assert type(made(x, grid)) is Stand
        assert type(resize(x, grid)) is Stand
    assert type(made(x, grid)) is Tensor
    assert type(resize(x, grid)) is Tensor


@pytest.mark.filterwarnings("ignore")  # of shapes that become constants, and of the tool's age
@pytest.mark.parametrize("plan", PLANS)
def test_a_traced_layer_is_the_same_each_time(plan: str) -> None:
    fixed, x = Fixed(layer(plan)), torch.rand(2, 3, 6, 7)
    traced: Any = torch.jit.trace(fixed, x)  # compares two traces
    torch.testing.assert_close(traced(x), fixed(x))


@pytest.mark.parametrize("plan", PLANS)
def test_frozen_weights_pass_gradients_on(plan: str) -> None:
    made = layer(plan).requires_grad_(False)
    x = torch.rand(1, 3, 6, 7, requires_grad=True)
    made(x, GRID).sum().backward()
    assert made.weight.grad is None
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("field", FIELDS)
def test_on_the_meta_device_it_has_a_shape(plan: str, field: type[Field], gradients: bool) -> None:
    with torch.set_grad_enabled(gradients):
        y = layer(plan, field).to("meta")(torch.empty(2, 3, 6, 7, device="meta"), GRID)
    assert y.is_meta
    assert y.shape == (2, 4, 9, 15)
    assert resize(torch.empty(3, 6, 7, device="meta"), GRID).shape == (3, 9, 15)


@pytest.mark.long
@pytest.mark.parametrize(
    ("plan", "field", "gradients"),
    [
        ("phases", FourierField, True),
        ("basis", FourierField, True),
        ("basis", FourierField, False),
        (None, MLPField, True),
    ],
)
def test_tools_see_through_it(plan: Any, field: type[Field], gradients: bool) -> None:
    x = torch.rand(2, 3, 6, 7)
    fixed = Fixed(layer(plan, field))
    torch._dynamo.reset()
    with torch.set_grad_enabled(gradients):
        truth = fixed(x)
        compiled = torch.compile(fixed, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), truth)
        exported = torch.export.export(fixed, (x,)).module()
        torch.testing.assert_close(exported(x), truth)


@pytest.mark.long
def test_tools_see_through_a_whole_network() -> None:
    network, x = tiny().eval(), torch.rand(1, 3, 6, 7)
    torch._dynamo.reset()
    for function in (network, network.enlarge):
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        with torch.no_grad():
            torch.testing.assert_close(compiled(x, GRID), function(x, GRID))
