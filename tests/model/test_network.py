"""The whole network: presets, exact windows, and what a name may construct."""

import math
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from ccsr.grid import ProjectedGrid
from ccsr.model import build
from ccsr.model.encoder import Elastic
from ccsr.model.whole import LEVELS
from ccsr.resample import resize
from networks import EFFORTS, ELASTIC, FIELD, STACKS, TINY, grid_for, randomised

PRESETS = Path(__file__).parents[2] / "conf" / "model"
NAMES = sorted({path.stem for path in PRESETS.glob("*.yaml")} - {"network"})  # which lacks a name
HEADS = {"liif", "lte", "metasr", "thera"}  # start as their papers have them


def preset(name):
    with initialize_config_dir(str(PRESETS.parent), version_base="1.3"):
        config = OmegaConf.to_container(compose(f"model/{name}").model)
    assert config.pop("_target_") == "ccsr.model.build"
    return config


@pytest.mark.parametrize(("name", "most"), [("light", 250_000), ("base", 1_300_000)])
def test_presets_keep_their_size(name, most):
    assert sum(p.numel() for p in build(**preset(name)).parameters()) <= most


@pytest.mark.parametrize("name", sorted({*NAMES} - HEADS))
def test_a_new_network_equals_bicubic(name):
    model = build(**preset(name))
    x = torch.rand(1, 3, 9, 7)
    grid = grid_for((9, 7), (2.37, 0.5))
    with torch.no_grad():
        torch.testing.assert_close(model(x, grid), resize(x, grid))


@pytest.mark.parametrize("size", [0.5, 1e9, math.inf, math.nan])
def test_where_a_residual_is_beyond_all_images_bicubic_stands(size):
    model = randomised(TINY | {"stack": STACKS[2], "decoder": {"name": "identity"}})
    torch.nn.init.constant_(model.stack.layers[1].bias, size)
    torch.nn.init.zeros_(model.stack.layers[1].weight)
    x = 0.2 + 0.5 * torch.rand(1, 3, 9, 7)
    grid = grid_for((9, 7), 2.37)
    with torch.no_grad():
        expected = resize(x, grid) + (size if size == 0.5 else 0)
        torch.testing.assert_close(model.enlarge(x, grid), expected)


@pytest.mark.parametrize("size", [-1.4, 1.4])
def test_answers_keep_to_the_levels_or_to_bicubic_beyond_them(size):
    model = randomised(TINY | {"stack": STACKS[2], "decoder": {"name": "identity"}})
    torch.nn.init.constant_(model.stack.layers[1].bias, size)
    torch.nn.init.zeros_(model.stack.layers[1].weight)
    x, grid = 4 * torch.rand(1, 3, 9, 7) - 1.5, grid_for((9, 7), 2.37)  # floats of any range
    low, high = LEVELS
    with torch.no_grad():
        bicubic = resize(x, grid)
        expected = (bicubic + size).clamp(bicubic.clamp(max=low), bicubic.clamp(min=high))
        answers = model.enlarge(x, grid)
    torch.testing.assert_close(answers, expected)
    inside = (bicubic >= low) & (bicubic <= high)
    assert 0 < inside.float().mean() < 1
    assert answers[inside].min() >= low
    assert answers[inside].max() <= high


def test_without_a_base_it_is_what_is_added_to_bicubic():
    parts = TINY | {"stack": STACKS[2]}
    model, alone = randomised(parts), randomised(parts | {"base": "none"})
    x, grid = 0.3 + 0.4 * torch.rand(2, 3, 9, 7), grid_for((9, 7), (2.37, 1.6))
    with torch.no_grad():
        expected = model(x, grid) - resize(x, grid)
        assert expected.std() > 0.01
        torch.testing.assert_close(alone(x, grid), expected, rtol=0, atol=1e-6)
        torch.testing.assert_close(alone.enlarge(x, grid), expected, rtol=0, atol=1e-6)
    assert "base" not in model.architecture
    assert alone.architecture["base"] == "none"
    assert build(**alone.architecture).base == "none"


@pytest.mark.parametrize("size", [0.5, 1e9, math.inf, math.nan])
def test_without_a_base_bicubic_stands_too_where_no_image_can_be(size):
    model = build(**TINY | {"stack": STACKS[2], "decoder": {"name": "identity"}, "base": "none"})
    torch.nn.init.constant_(model.stack.layers[1].bias, size)
    x, grid = torch.rand(1, 3, 9, 7), grid_for((9, 7), 2.37)
    with torch.no_grad():
        expected = torch.full((1, 3, *grid.size), 0.5) if size == 0.5 else resize(x, grid)
        torch.testing.assert_close(model.enlarge(x, grid), expected)


@pytest.mark.parametrize("name", NAMES)
def test_architecture_rebuilds_the_network(name):
    model = build(**preset(name))
    build(**model.architecture).load_state_dict(model.state_dict())


@pytest.mark.parametrize(
    "encoder",
    [
        {"name": "edsr"},
        {"name": "plain"},
        {"name": "plain", "closing": True},
        {"name": "elastic", "field": FIELD},
        {"name": "elastic", "field": FIELD, "closing": True},
    ],
)
def test_the_receptive_radius_is_neither_more_nor_less(encoder):
    config = TINY | {"stack": STACKS[2], "encoder": {"channels": 8, "blocks": 2, **encoder}}
    encoder = randomised(config).encoder
    x = torch.rand(1, 3, 1, 41, requires_grad=True)
    encoder(x, encoder.grid((1, 41)))[0, 0, 0, 20].backward()
    touched = x.grad[0].abs().sum((0, 1)).nonzero().flatten()
    radius = encoder.radius + isinstance(encoder, Elastic)  # without its CC layer
    assert (int(touched.min()), int(touched.max())) == (20 - radius, 20 + radius)


def test_at_full_effort_it_is_the_network_on_the_plain_grid():
    stack = STACKS[2]
    elastic = randomised(ELASTIC | {"stack": stack})
    plain = build(TINY["encoder"], stack, ELASTIC["decoder"]).eval()
    weights = elastic.state_dict()
    plain.load_state_dict(
        {name: value for name, value in weights.items() if ".head." not in name}, strict=False
    )
    head = elastic.encoder.head
    offset = torch.arange(-1.0, 2.0)
    kernel = head.filters(head.functions(offset[None], offset[None], grid_for((9, 9), 1.0)))
    with torch.no_grad():
        plain.encoder.head.weight.copy_(kernel[0, 0].permute(2, 3, 0, 1))
        plain.encoder.head.bias.copy_(head.bias)
        x = torch.rand(1, 3, 24, 31)
        grid = grid_for((24, 31), 2.37)
        inside = (..., slice(17, -17), slice(17, -17))  # the head's borders differ
        torch.testing.assert_close(elastic(x, grid)[inside], plain(x, grid)[inside])
        torch.testing.assert_close(
            *(
                model.encoder(x, model.encoder.grid((24, 31)))[..., 4:-4, 4:-4]
                for model in (elastic, plain)
            )
        )


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (24, 36), (25, 37)])
def test_the_inner_grid_covers_the_image_in_the_same_phases(effort, size):
    model = build(**ELASTIC, stack=STACKS[2])
    inner, friendly = model.route(size, grid_for(size, 3.0), effort)
    side = math.sqrt(effort)
    for axis, n in ((inner.rows, size[0]), (inner.columns, size[1])):
        assert axis.scale == pytest.approx(side)
        assert axis.positions()[0].item() == pytest.approx(0.5 / side - 0.5)
        assert n * side <= axis.size + 1e-9
        assert axis.size < n * side + 1
        assert axis.period(6) is not None
    assert friendly.size == tuple(2 * n for n in inner.size)
    for axis, outer in zip(
        (friendly.rows, friendly.columns), (inner.rows, inner.columns), strict=True
    ):
        ends = axis.positions().view(-1, 2).mean(1)  # two pixels where the inner grid has one
        torch.testing.assert_close(ends, outer.positions())


def test_the_nearest_effort_is_taken():
    model = build(**ELASTIC, stack=STACKS[2])
    grid = grid_for((60, 60), 2.0)
    sides = [model.route((60, 60), grid, e)[0].rows.size for e in (0.25, 0.3, 0.44, 0.5, 0.75, 1)]
    assert sides == [30, 30, 40, 40, 50, 60]
    assert model.efforts == pytest.approx(EFFORTS)


def test_a_network_without_a_choice_refuses_less():
    model = build(**TINY, stack=STACKS[0])
    with pytest.raises(ValueError, match=r"always works at full effort, got effort 0\.5: take one"):
        model.route((9, 9), grid_for((9, 9), 2.0), 0.5)


def test_intermediate_sizes_can_be_chosen_at_inference():
    model = randomised(TINY | {"stack": STACKS[1]})
    grid = grid_for((12, 12), 4.0)
    route = model.route((12, 12), grid)
    sizes = [g.size for g in route]
    assert sizes == [(12, 12), (19, 19), (30, 30)]  # 12, 12 * 4^(1/3), 12 * 4^(2/3)
    other = [ProjectedGrid.project((12, 12), size) for size in ((12, 12), (15, 15), (40, 40))]
    x = torch.rand(1, 3, 12, 12)
    with torch.no_grad():
        assert model(x, grid, other).shape == (1, 3, 48, 48)
        assert not torch.allclose(model(x, grid, other), model(x, grid))


def test_the_friendly_grid_is_a_multiple_per_axis():
    model = build(**preset("tiny"))
    own, via = model.route((12, 10), grid_for((12, 10), (3.3, 1.2)))
    assert own.size == (12, 10)
    assert via.size == (24, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": {"name": "edsrr"}}, "unknown encoder 'edsrr': did you mean 'edsr'"),
        (
            {"encoder": {"channels": 8}},
            "unknown encoder None: expected one of edsr, elastic, plain",
        ),
        (
            {"encoder": {"name": "edsr", "block": 3}},
            "encoder 'edsr' has no argument 'block': did you mean 'blocks'",
        ),
        (
            {"stack": STACKS[0] | {"in_channels": 3}},
            "stack 'direct' has no argument 'in_channels'",
        ),
        ({"stack": {"name": "direct"}}, "stack 'direct': .*missing.*'field'"),
        ({"stack": STACKS[0] | {"field": FIELD | {"name": "sinc"}}}, "unknown kernel field 'sinc'"),
        ({"stack": STACKS[0] | {"field": {"name": "mlp"}}}, "a kernel field needs a kernel_size"),
        (
            {"stack": STACKS[0] | {"field": FIELD | {"kernel_size": 0}}},
            "kernel_size must be a whole number of at least 1, got 0",
        ),
        (
            {"stack": STACKS[0] | {"field": FIELD | {"kernel_size": 17}}},
            "kernel_size must be at most 16, got 17",
        ),
        (
            {"stack": STACKS[1] | {"layers": 0}},
            "layers must be a whole number of at least 1, got 0",
        ),
        (
            {"stack": STACKS[2] | {"factor": 0}},
            "factor must be a whole number of at least 1, got 0",
        ),
        ({"decoder": {"name": "identity"}}, "needs a stack with 3 output channels, got 6"),
        ({"base": "lanczos"}, "base must be bicubic or none, and bicubic beside network, got 'lan"),
        ({"base": None}, "base must be bicubic or none, .* got None"),
    ],
)
def test_a_wrong_description_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        build(**(TINY | {"stack": STACKS[0]} | change))


def test_gradients_reach_every_parameter():
    for stack in STACKS[:3]:
        decoder = TINY["decoder"] if stack["name"] != "friendly" else {"name": "identity"}
        model = randomised(TINY | {"stack": stack, "decoder": decoder}).train()
        model(torch.rand(1, 3, 8, 8), grid_for((8, 8), 1.7)).square().mean().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name
