"""Modules of other packages become operators that give the same, or are refused by a sentence."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn
from torch.nn import functional as F

from ccsr.export import to_onnx
from ccsr.export.graph import Graph, Value
from ccsr.export.tracing import add_module
from ccsr.model.encoder import Encoder
from exported import assert_agrees, network, opened, upscaler_of


class Made(nn.Module):
    """Of a function of itself and its input, with all that functions here need."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.conv, self.plain = nn.Conv2d(3, 3, 3, padding=1), 0.2
        self.factor = nn.Parameter(torch.randn(3, 1, 1))
        self.filters = nn.Parameter(torch.randn(3, 3, 3, 3))
        self.register_buffer("offset", torch.randn(3, 1, 1))

    def forward(self, x):
        return self.function(self, x)


def normalized(module):
    """Every layer of normalization with statistics of its own, as after training."""
    for layer in (each for each in module.modules() if isinstance(each, nn.BatchNorm2d)):
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 2)
        if layer.affine:
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    return module.eval()


def added(module):
    """The model of one module, of 3 channels."""
    graph, x = Graph(), Value("x")
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)
    return graph.model([given], add_module(graph, module, x), result)


def changed(m, x):
    y = m.conv(x)
    y += x
    y *= m.factor
    y -= 0.1
    y /= 2
    return F.relu(y, inplace=True)


def standardized(m, x):
    mean = m.filters.mean((1, 2, 3), keepdim=True)
    deviation = m.filters.std(dim=(1, 2, 3), keepdim=True)
    return F.conv2d(x, (m.filters - mean) / deviation, padding="same")


def read_before(m, x):
    y = m.conv(x)
    return m.conv(y) + y.mul_(2)


LAYERS = {
    "convolution of the same size": nn.Conv2d(3, 3, 3, padding="same", dilation=2),
    "convolution of even size": nn.Conv2d(3, 3, (2, 4), padding="same", dilation=(2, 2)),
    "convolution without padding": nn.Conv2d(3, 3, 3, padding="valid", bias=False),
    "convolution of groups": nn.Conv2d(3, 6, 3, padding=(2, 1), groups=3),
    "convolution, reflected": nn.Conv2d(3, 3, (3, 5), padding=(1, 2), padding_mode="reflect"),
    "convolution, replicated": nn.Conv2d(3, 3, (3, 5), padding="same", padding_mode="replicate"),
    "weight norm": nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 3, padding=1)),
    "batch norm": nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3, eps=0.1, affine=False)),
    "activations": nn.Sequential(
        nn.PReLU(3), nn.LeakyReLU(0.1, True), nn.SiLU(), nn.Tanh(), nn.PReLU(), nn.Identity()
    ),
    "gelu": nn.Sequential(nn.GELU(), nn.GELU("tanh"), nn.Sigmoid(), nn.ReLU(inplace=True)),
}  # fmt: skip
FUNCTIONS = {
    "relu": lambda m, x: F.relu(x) + torch.relu(x) + x.relu() + F.relu(input=-x),
    "gelu": lambda m, x: F.gelu(x) + F.gelu(x, approximate="tanh") * F.silu(x),
    "leaky": lambda m, x: F.leaky_relu(x, 0.2) + F.leaky_relu(x),
    "joins": lambda m, x: torch.cat([x, x.tanh()], dim=1) + torch.concat(tensors=(x, -x), dim=-3),
    "factors": lambda m, x: x * m.factor + m.offset * 2 - m.plain * torch.sigmoid(x) / m.factor,
    "alpha": lambda m, x: torch.add(x, m.factor, alpha=0.2).add(x, alpha=2).sub(x * x, alpha=3),
    "numbers": lambda m, x: 1 - x + x**2 + sum([x, x, 2]) + 1 * torch.pow(x, 3),
    "clamps": lambda m, x: x.clamp(min=0) + torch.clamp(x, max=0.5) + x.clamp(-1, 1),
    "comparisons": lambda m, x: torch.where(x > 0, x, 0.1 * x) + torch.maximum(x, -x),
    "filters": lambda m, x: F.conv2d(x, m.filters, m.offset.flatten(), padding=1),
    "filters that are computed": standardized,
    "padding": lambda m, x: F.conv2d(F.pad(x, (1, 2, 0, 3), mode="reflect"), m.filters),
    "padding by a number": lambda m, x: F.pad(x, (1, 2), value=0.5),
    "what is changed in place": changed,
    "what was read before it changed": read_before,
}


@pytest.mark.parametrize("name", [*LAYERS, *FUNCTIONS])
def test_a_module_gives_what_it_gives_in_torch(name):
    torch.manual_seed(0)
    module = normalized(LAYERS.get(name) or Made(FUNCTIONS[name]))
    x = torch.randn(2, 3, 9, 11)
    (result,) = opened(added(module)).run(None, {"x": x.numpy()})
    with torch.inference_mode():
        expected = module(x.clone())
    np.testing.assert_allclose(result, expected.numpy(), rtol=1e-5, atol=1e-5)


def aliased(m, x):
    y = z = m.conv(x)
    y += x
    return y + z


def dropped(m, x):
    y = m.conv(x)
    y.relu_()
    return y


def twice(m, x):
    y = m.conv(x)
    return F.relu(input=y, inplace=True) + y


def by_place(m, x):
    y = m.conv(x)
    return F.leaky_relu(y, 0.1, True) + y


@pytest.mark.parametrize(
    ("function", "named"),
    [(aliased, "iadd"), (dropped, "relu_"), (twice, "relu"), (by_place, "leaky_relu")],
)
def test_what_changes_in_place_and_is_used_once_more_is_refused(function, named):
    with pytest.raises(
        ValueError, match=f"Made: {named} changes in place what is used once more: give"
    ):
        added(Made(function))


REFUSED = {
    "a layer that is not known": (nn.Mish(), "no ONNX operator is known for mish, expected"),
    "a function that is not known": (
        Made(lambda m, x: torch.flip(x, [3])),
        "no ONNX operator is known for flip, expected convolutions",
    ),
    "an argument": (
        Made(lambda m, x: torch.div(x, 2, rounding_mode="floor")),
        "for div of these arguments: got an unexpected keyword argument 'rounding_mode'",
    ),
    "a padding": (
        nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular"),
        "expected padding by constant, replicate, reflect, got circular",
    ),
    "statistics": (
        nn.BatchNorm2d(3, track_running_stats=False),
        "expected statistics that were kept in training",
    ),
    "a size": (Made(lambda m, x: x * len(x)), "depends on what it is given, expected"),
    "a value": (Made(lambda m, x: x if x.sum() > 0 else -x), "depends on what it is given"),
    "a number of values": (Made(lambda m, x: x * float(x.mean())), "depends on what it is given"),
    "pieces": (Made(lambda m, x: torch.stack(list(x))), "depends on what it is given"),
    "two results": (Made(lambda m, x: (x, x)), "expected one tensor"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_operators_is_refused(name):
    module, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"cannot export {type(module).__name__}: .*{message}"):
        added(module)


class Mixed(Encoder):
    """Functions, factors and joins of another package's encoder."""

    def __init__(self, last=torch.cat):
        super().__init__()
        self.channels, self.radius, self.last = 6, 2, last
        self.first = nn.Conv2d(3, 3, 3, padding="same", padding_mode="replicate")
        self.second = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 3, padding=1))
        self.norm, self.factor = nn.BatchNorm2d(3), nn.Parameter(torch.randn(3, 1, 1))

    def forward(self, x, grid):
        y = F.leaky_relu(self.norm(self.first(x)), 0.2, inplace=True)
        y *= self.factor
        return self.last([y, F.gelu(self.second(y))], dim=1)


@pytest.mark.parametrize("scale", [2.5, None])
def test_an_encoder_of_another_package_agrees(scale):
    model = network()
    model.encoder = normalized(Mixed())
    given = None if scale else (2.37, 1.5)
    assert_agrees(to_onnx(model, scale), upscaler_of(model), scale or given, [(9, 12)], given)


def test_an_encoder_is_refused_by_its_name():
    model = network()
    model.encoder = Mixed(torch.stack)
    with pytest.raises(
        ValueError, match="cannot export Mixed: no ONNX operator is known for stack"
    ):
        to_onnx(model, 2)
