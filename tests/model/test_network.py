"""The whole network: presets, exact windows, and what a name may construct."""

import math
from itertools import product
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from ccsr.grid import ProjectedGrid, output_size
from ccsr.model import build, network
from ccsr.model.encoder import Elastic
from ccsr.resample import resize

PRESETS = Path(__file__).parents[2] / "conf" / "model"
NAMES = sorted({path.stem for path in PRESETS.glob("*.yaml")} - {"network"})  # which lacks a name
HEADS = {"liif", "lte", "metasr", "thera"}  # start as their papers have them
TINY = {
    "encoder": {"name": "plain", "channels": 8, "blocks": 1},
    "decoder": {"name": "pointwise", "hidden": 8},
}
FIELD = {"name": "fourier", "kernel_size": 3, "basis": 4}
STACKS = [
    {"name": "direct", "channels": 6, "field": FIELD},
    {"name": "gradual", "channels": 6, "layers": 3, "field": FIELD | {"kernel_size": 4}},
    {"name": "friendly", "channels": 6, "field": FIELD},
    {"name": "friendly", "channels": 6, "factor": 3, "field": FIELD | {"name": "mlp"}},
]


ELASTIC = {
    "encoder": {"name": "elastic", "channels": 8, "blocks": 1, "field": FIELD},
    "decoder": {"name": "identity"},
}
GRADUAL = {"name": "gradual", "channels": 3, "layers": 3, "field": FIELD}
EFFORTS = [0.25, 4 / 9, 9 / 16, 25 / 36, 1.0]


def preset(name):
    with initialize_config_dir(str(PRESETS.parent), version_base="1.3"):
        config = OmegaConf.to_container(compose(f"model/{name}").model)
    assert config.pop("_target_") == "ccsr.model.build"
    return config


def randomised(config):
    """A network whose residual is not zero."""
    torch.manual_seed(0)
    model = build(**config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def grid_for(size, scale, anchor="centred"):
    return ProjectedGrid.project(size, output_size(size, scale), scale, anchor)


def in_windows(model, x, grid, via, tile):
    """The result put together from windows of `tile` pixels a side."""
    y = torch.full((len(x), 3, *grid.size), math.nan)
    for top, left in product(*(range(0, n, tile) for n in grid.size)):
        rows, columns = (
            slice(a, min(a + tile, n)) for a, n in zip((top, left), grid.size, strict=True)
        )
        crop = model.crop((x.shape[2], x.shape[3]), grid, via, rows, columns)
        part = x[..., crop.rows, crop.columns]
        y[..., rows, columns] = model.enlarge(part, crop.grid, crop.via)
    return y


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
    x = torch.rand(1, 3, 9, 7)
    grid = grid_for((9, 7), 2.37)
    with torch.no_grad():
        expected = resize(x, grid) + (size if size == 0.5 else 0)
        torch.testing.assert_close(model.enlarge(x, grid), expected)


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


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("scale", [1.0, 1.5, 2.37, (1.5, 4.0), (0.5, 3.0), 0.73, 8.0])
@pytest.mark.parametrize("anchor", ["centred", "ratio", "topleft"])
def test_a_crop_gives_the_window_of_the_whole(stack, scale, anchor):
    decoder = TINY["decoder"] if stack["name"] != "friendly" else {"name": "identity"}
    model = randomised(TINY | {"stack": stack, "decoder": decoder})
    size = (31, 26)
    grid = grid_for(size, scale, anchor)
    via = model.route(size, grid)
    x = torch.rand(1, 3, *size)
    with torch.no_grad():
        whole = model(x, grid)
        height, width = grid.size
        for rows, columns in [
            (slice(0, height // 3 + 1), slice(width // 2, width)),  # at borders
            (slice(height // 2, height // 2 + 2), slice(width // 3, width // 3 + 2)),  # inside
        ]:
            crop = model.crop(size, grid, via, rows, columns)
            part = model(x[..., crop.rows, crop.columns], crop.grid, crop.via)
            torch.testing.assert_close(part, whole[..., rows, columns], rtol=0, atol=1e-5)


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


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("plan", ["reference", "phases", "basis"])
@pytest.mark.parametrize("scale", [1.5, 2.0, (0.5, 3.0), 2.37, (math.pi, 0.73)])
@pytest.mark.parametrize("tile", [5, 16, 33])
def test_windows_of_every_size_together_give_the_whole(stack, plan, scale, tile):
    if plan == "phases" and scale in (2.37, (math.pi, 0.73)):
        pytest.skip("these scales have no short period")
    decoder = TINY["decoder"] if stack["name"] != "friendly" else {"name": "identity"}
    model = randomised(TINY | {"stack": stack, "decoder": decoder})
    if plan != "phases" or stack["name"] != "gradual":  # its inner scales are roots
        for layer in model.stack.layers:
            layer.plan = plan
    size = (14, 19)
    grid = grid_for(size, scale)
    via = model.route(size, grid)
    x = torch.rand(1, 3, *size)
    with torch.no_grad():
        whole = model(x, grid, via)
        tiled = in_windows(model, x, grid, via, tile)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("stack", [GRADUAL, STACKS[2]])
@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("scale", [1.5, (2.37, 1.0), (0.73, 3.0)])
def test_windows_are_exact_at_every_effort(stack, effort, scale, monkeypatch):
    model = randomised(ELASTIC | {"stack": stack})
    size, tile = (23, 38), 17
    grid = grid_for(size, scale)
    via = model.route(size, grid, effort)
    x = torch.rand(1, 3, *size)
    with torch.no_grad():
        whole = model(x, grid, via)
        tiled = in_windows(model, x, grid, via, tile)
        torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)
        monkeypatch.setattr(network, "STRIP_VALUES", 300)
        torch.testing.assert_close(model.enlarge(x, grid, via), whole, rtol=0, atol=1e-5)


def test_a_window_at_low_effort_does_not_read_the_whole_image():
    model = randomised(ELASTIC | {"stack": STACKS[2]})
    size = (200, 200)
    grid = grid_for(size, 2.0)
    via = model.route(size, grid, 0.25)
    crop = model.crop(size, grid, via, slice(100, 104), slice(100, 104))
    assert crop.rows.stop - crop.rows.start < 30
    assert crop.via[0].rows.size < 15


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


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("scale", [1.0, 2.0, 2.37, (0.5, 3.0), (4.0, 0.73)])
def test_strips_change_nothing(stack, scale, monkeypatch):
    decoder = TINY["decoder"] if stack["name"] != "friendly" else {"name": "identity"}
    model = randomised(TINY | {"stack": stack, "decoder": decoder})
    grid = grid_for((15, 12), scale)
    x = torch.rand(2, 3, 15, 12)
    with torch.no_grad():
        whole = model(x, grid)
        monkeypatch.setattr(network, "STRIP_VALUES", 300)
        strips = model.enlarge(x, grid)
    torch.testing.assert_close(strips, whole, rtol=0, atol=1e-5)


def test_a_crop_reads_no_more_than_it_needs():
    model = randomised(preset("tiny"))
    grid = grid_for((200, 200), 2.0)
    crop = model.crop(
        (200, 200), grid, model.route((200, 200), grid), slice(100, 104), slice(100, 104)
    )
    # two input pixels, CC layers of 3 taps on both grids, and three 3x3 convolutions
    assert crop.rows.stop - crop.rows.start <= 2 + 2 * (2 + 3)


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
