"""The optimizer."""

import pytest
import torch
from torch import nn

from ccsr.model import build
from ccsr.training.optimizer import Muon, build_optimizer, orthogonalised, split


@pytest.mark.parametrize("shape", [(8, 8), (8, 30), (30, 8)])
def test_singular_values_come_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    result = orthogonalised(matrix)
    assert result.shape == shape
    values = torch.diagonal(u.mT @ result @ vh.mT)  # the singular vectors stay
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_orthogonalising_nothing_gives_nothing():
    assert not orthogonalised(torch.zeros(4, 6)).any()


def test_the_rest_moves_as_pytorchs_adam_moves_it():
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 4), nn.Linear(5, 4)
    theirs.load_state_dict(ours.state_dict())
    optimizers = (
        Muon([], ours.parameters(), lr=1e-2),
        torch.optim.Adam(theirs.parameters(), lr=1e-2, betas=(0.9, 0.99)),
    )
    for _ in range(5):
        x = torch.randn(3, 5)
        for model, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


@pytest.mark.parametrize("shape", [(6, 5, 3, 3), (7, 6, 5)])
def test_a_filters_step_has_one_size_whatever_its_gradients(shape):
    for gradient_size in (1e-6, 1e3):
        p = nn.Parameter(torch.zeros(shape))
        p.grad = gradient_size * torch.randn(shape, generator=torch.Generator().manual_seed(0))
        Muon([p], [], lr=1e-2).step()
        rms = p.detach().square().mean().sqrt().item()
        assert 0.2e-2 < rms < 0.6e-2


def test_a_cc_layers_weight_moves_as_the_convolution_with_its_taps():
    generator = torch.Generator().manual_seed(0)
    conv = nn.Parameter(torch.zeros(6, 5, 3, 3))
    conv.grad = torch.randn(conv.shape, generator=generator)
    layer = nn.Parameter(torch.zeros(9, 6, 5))
    layer.grad = conv.grad.flatten(2).permute(2, 0, 1)
    Muon([conv, layer], [], lr=1e-2).step()
    torch.testing.assert_close(layer, conv.detach().flatten(2).permute(2, 0, 1))


def test_filters_between_features_are_told_from_the_rest():
    model = build(
        {"name": "plain", "channels": 8, "blocks": 1},
        {"name": "friendly", "channels": 8, "field": {"name": "fourier", "kernel_size": 3}},
        {"name": "identity"},
    )
    filters, others = split(model)
    names = {id(p): name for name, p in model.named_parameters()}
    assert [names[id(p)] for p in filters] == [
        "encoder.body.0.0.weight",
        "encoder.body.0.2.weight",
        "stack.layers.0.weight",
    ]
    assert len(filters) + len(others) == len(names)


def test_a_cc_layer_that_reads_the_image_is_no_filter_between_features():
    field = {"name": "fourier", "kernel_size": 3, "basis": 8}
    model = build(
        {"name": "elastic", "channels": 8, "blocks": 1, "field": field},
        {"name": "friendly", "channels": 8, "field": field},
        {"name": "identity"},
    )
    filters, _ = split(model)
    assert not {id(model.encoder.head.weight), id(model.stack.layers[1].weight)} & set(
        map(id, filters)
    )
    assert any(p is model.stack.layers[0].weight for p in filters)


def test_a_closure_is_called_with_gradients():
    p = nn.Parameter(torch.ones(2))
    optimizer = Muon([], [p], lr=0.1)

    def closure():
        loss = p.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 2
    assert (p < 1).all()


def test_weights_that_nothing_moves_decay():
    p = nn.Parameter(torch.ones(6, 5, 3, 3))
    p.grad = torch.zeros_like(p)
    Muon([p], [], lr=0.5, weight_decay=0.1).step()
    torch.testing.assert_close(p.detach(), torch.full_like(p, 0.95))


@pytest.mark.parametrize(("kind", "theirs"), [("adam", "Adam"), ("adamw", "AdamW")])
def test_adam_alone_is_pytorchs(kind, theirs):
    torch.manual_seed(0)
    one, two = nn.Conv2d(5, 4, 3, bias=False), nn.Conv2d(5, 4, 3, bias=False)
    two.load_state_dict(one.state_dict())
    decay = 0.1 if kind == "adamw" else 0.0
    optimizers = (
        build_optimizer(one, kind, 1e-2, 0.95, (0.9, 0.99), decay, False),
        getattr(torch.optim, theirs)(two.parameters(), 1e-2, (0.9, 0.99), weight_decay=decay),
    )
    for _ in range(3):
        x = torch.randn(2, 5, 6, 6)
        for model, optimizer in zip((one, two), optimizers, strict=True):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(one.weight, two.weight)


def test_adamw_leaves_biases_alone():
    layer = nn.Conv2d(5, 4, 3)
    optimizer = build_optimizer(layer, "adamw", 1e-2, 0.95, (0.9, 0.99), 0.1, False)
    decays = {p.shape: g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert decays == {layer.weight.shape: 0.1, layer.bias.shape: 0.0}
