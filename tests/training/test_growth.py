import pytest
import torch
from torch import nn

from ccsr.grid import ProjectedGrid
from ccsr.model import CCSR, build
from ccsr.training.growth import grow, spread


def network(
    channels: int, blocks: int, basis: int, encoder: str = "plain", **arguments: object
) -> CCSR:
    field = {"name": "fourier", "kernel_size": 3, "basis": basis}
    stack = {"name": "friendly", "channels": channels, "field": field}
    made = build(
        {"name": encoder, "channels": channels, "blocks": blocks, **arguments},
        stack,
        {"name": "identity"},
    )
    for parameter in made.parameters():  # as after training: nothing is zero
        nn.init.normal_(parameter, std=0.1)
    return made


def assert_same(source: CCSR, target: CCSR) -> None:
    x = torch.rand(1, 3, 7, 9)
    grid = ProjectedGrid.project((7, 9), (16, 20))
    torch.testing.assert_close(target(x, grid), source(x, grid), rtol=0, atol=1e-5)


@pytest.mark.parametrize("encoder", ["plain", "edsr"])
@pytest.mark.parametrize("larger", [(4, 2, 3), (6, 2, 3), (4, 5, 3), (4, 2, 7), (7, 5, 6)])
def test_what_is_grown_computes_the_same(encoder: str, larger: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    source, target = network(4, 2, 3, encoder), network(*larger, encoder)
    grow(source, target)
    assert_same(source, target)


@pytest.mark.parametrize("closing", [False, True])
@pytest.mark.parametrize("larger", [(4, 2, 3), (7, 5, 6)])
def test_half_a_block_at_the_end_is_grown_too(closing: bool, larger: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    source, target = network(4, 2, 3, closing=closing), network(*larger, closing=True)
    grow(source, target)
    assert_same(source, target)


@pytest.mark.parametrize(
    ("blocks", "larger"), [(1, (4, 2, 3)), (1, (4, 23, 3)), (2, (4, 3, 3)), (2, (7, 5, 6))]
)
def test_half_a_block_becomes_a_whole_one(blocks: int, larger: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    source, target = network(4, blocks, 3, closing=True), network(*larger)
    grow(source, target)
    assert_same(source, target)


def test_half_a_block_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="3 blocks, and the network to train has 2"):
        grow(network(4, 2, 3, closing=True), network(4, 2, 3))


def test_no_new_weight_stays_zero() -> None:
    torch.manual_seed(0)
    target = network(7, 5, 6, closing=True)
    grow(network(4, 2, 3), target)
    optimizer = torch.optim.SGD(target.parameters(), lr=1e-3)
    x, grid = torch.rand(1, 3, 7, 9), ProjectedGrid.project((7, 9), (16, 20))
    for _ in range(3):  # the first moves what the later layers read, and so on
        optimizer.zero_grad()
        target(x, grid).square().mean().backward()
        optimizer.step()
    assert all(bool((parameter != 0).all()) for parameter in target.parameters())


@pytest.mark.parametrize("smaller", [(3, 2, 3), (4, 1, 3), (4, 2, 2)])
def test_a_network_that_is_smaller_in_one_part_is_refused(smaller: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"(blocks|\(.*\)), and the network to train has "):
        grow(network(4, 2, 3), network(*smaller))


def test_another_base_is_refused() -> None:
    target = network(4, 2, 3)
    target.base = "none"
    with pytest.raises(ValueError, match="base bicubic, and the network to train has base none"):
        grow(network(4, 2, 3), target)


def test_the_same_weights_in_another_function_are_refused() -> None:
    field = {"name": "fourier", "kernel_size": 3, "basis": 3}
    finer = {"name": "friendly", "channels": 4, "field": field, "factor": 3}
    target = build({"name": "plain", "channels": 4, "blocks": 2}, finer, {"name": "identity"})
    with pytest.raises(ValueError, match="computes something else with them: it differs by"):
        grow(network(4, 2, 3), target)


def elastic(channels: int, kernel_size: int = 3, factor: int = 2) -> CCSR:
    field = {"name": "fourier", "kernel_size": kernel_size, "basis": 24}
    stack = {"name": "friendly", "channels": channels, "factor": factor}
    stack["field"] = field | {"kernel_size": 3}
    encoder = {"name": "elastic", "channels": channels, "blocks": 2, "field": field}
    return build(encoder, stack, {"name": "identity"})


def test_an_elastic_encoder_starts_near_the_light_one() -> None:
    torch.manual_seed(0)
    source, target = network(4, 2, 3), elastic(6)
    grow(source, target)
    x = torch.rand(1, 3, 17, 19)
    expected, found = (
        model.encoder(x, model.encoder.grid((17, 19)))[:, :4, 5:-5, 5:-5]
        for model in (source, target)
    )
    assert (found - expected).std() < 0.15 * expected.std()
    assert torch.equal(target.encoder.body[1][2].bias[:4], source.encoder.body[1][2].bias)


@pytest.mark.parametrize("target", [elastic(3), elastic(4, kernel_size=5)])
def test_an_elastic_encoder_that_cannot_take_the_convolution_is_refused(target: CCSR) -> None:
    with pytest.raises(ValueError, match="and the network to train has a CC layer from 3 to"):
        grow(network(4, 2, 3), target)


def test_behind_an_elastic_encoder_the_same_weights_in_another_function_are_refused() -> None:
    with pytest.raises(ValueError, match="computes something else with them: it differs by"):
        grow(network(4, 2, 3), elastic(4, factor=3))


def test_blocks_are_spread_evenly() -> None:
    assert spread(3, 6) == [0, 2, 4]
    assert spread(5, 7) == [0, 1, 2, 4, 5]
    assert spread(2, 1) == [0, 0]
