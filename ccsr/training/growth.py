"""Growing a trained network into a larger one that computes the same, to train on from there.

Net2Net (Chen et al. 2016, arXiv 1511.05641) with zeros instead of copies: what was there does not
read what is new, and new residual blocks start by adding nothing.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ccsr.grid import Axis, ProjectedGrid
from ccsr.model import CCSR, CCLayer
from ccsr.model.fields import taper

HEAD = "encoder.head."
_FIT = 13  # offsets per axis at which a CC layer is fitted to a convolution
_SAME = 1e-3  # of the values of an image: rounding is far below, another function far above
_RIDGE = 1e-3  # keeps weights of functions that are alike from cancelling each other


def grow(source: CCSR, target: CCSR) -> None:
    """Give `target` the function of `source`, in place.

    Args:
        source: trained; of the same kinds of encoder, stack and decoder. An elastic encoder may
            grow from a light one: its CC layer then starts near the convolution there. What is
            conditioned on the quality of JPEGs and shall not be starts as one that is told none.
        target: freshly initialised; at least as wide, as deep and with as many basis functions.
            What is new keeps its initial weights where the old does not depend on it. Half a
            block at the end of `source` becomes a whole one where `target` has none.

    Raises:
        ValueError: if a part of `source` has no place in `target`, or is another function there.
    """
    source = source if target.conditioned else source.at_quality(None)
    if source.base != target.base:
        raise ValueError(f"base {source.base}, and the network to train has base {target.base}")
    own = target.state_dict()
    given = source.state_dict()
    body, places = _body(source), _blocks(target)
    completed = len(body) > _blocks(source) and len(_body(target)) == places  # its half block
    count = _blocks(source) + completed
    if count > places:
        raise ValueError(f"{count} blocks, and the network to train has {places}")
    blocks = [*spread(count, places), places]  # half a block comes last
    first, layer = getattr(source.encoder, "head", None), getattr(target.encoder, "head", None)
    exact = True
    if isinstance(first, nn.Conv2d) and isinstance(layer, CCLayer):
        exact = False
        fit(layer, first)
        given = {name: value for name, value in given.items() if not name.startswith(HEAD)}
    for name, value in given.items():
        place = _placed(name, blocks)
        if completed and name.startswith(f"encoder.body.{len(body) - 1}."):
            prefix, _, kind = place.rpartition(".1.")
            place = f"{prefix}.2.{kind}"  # the second convolution of a whole block
        if place not in own or not _fits(value, own[place]):
            expected = tuple(own[place].shape) if place in own else "no such weights"
            raise ValueError(
                f"{name}: {tuple(value.shape)}, and the network to train has {expected}"
            )
        _embed(value, own[place])
    for index, block in enumerate(_body(target)):
        if index not in blocks[: len(body)]:
            for parameter in block[-1].parameters():
                nn.init.zeros_(parameter)
    if completed:
        _pass_on(_body(target)[blocks[count - 1]][0])
    _check_same(source, target, exact)


def fit(layer: CCLayer, convolution: nn.Conv2d) -> None:
    """Make `layer` the convolution, as near as least squares come.

    Between pixels the filter is interpolated linearly. Outputs that the convolution lacks stay.

    Raises:
        ValueError: if the convolution is the larger one, or its kernel has another size.
    """
    outputs, inputs, *kernel = convolution.weight.shape
    size = layer.kernel_size
    if outputs > layer.weight.shape[1] or inputs != layer.weight.shape[2] or kernel != [size] * 2:
        raise ValueError(
            f"{HEAD}weight: {tuple(convolution.weight.shape)}, and the network to train has a CC "
            f"layer from {layer.weight.shape[2]} to {layer.weight.shape[1]} channels, width {size}"
        )
    offset = torch.linspace(-size / 2, size / 2, _FIT)
    axis = Axis(_FIT, 1.0, 0.0)
    with torch.no_grad():
        functions = layer.functions(offset[:, None], offset[:, None], ProjectedGrid(axis, axis))
        pixels = torch.arange(size) - (size - 1) / 2
        tent = (1 - (offset[:, None] - pixels).abs()).clamp(min=0) * taper(offset, size)[:, None]
        target = torch.einsum("oiyx,ay,bx->aboi", convolution.weight, tent, tent)
        a, b = functions.flatten(0, 3), target.flatten(0, 1).flatten(1)
        gram = a.T @ a + _RIDGE * len(a) * torch.eye(a.shape[1])
        layer.weight[:, :outputs] = torch.linalg.solve(gram, a.T @ b).view(-1, outputs, inputs)
        if layer.bias is not None and convolution.bias is not None:
            layer.bias[:outputs] = convolution.bias


def _check_same(source: CCSR, target: CCSR, encoder: bool) -> None:
    """Raise ValueError unless both give the same for an image of noise.

    Args:
        source: the smaller network.
        target: the larger one.
        encoder: whether the encoders too, or only what follows them, on the smaller one's features.
    """
    x = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    grid = ProjectedGrid.project((9, 9), (21, 22))
    with torch.no_grad():
        own = ProjectedGrid.project((9, 9), (9, 9))
        features = source.encoder(x, own)
        more = torch.zeros(1, target.encoder.channels - features.shape[1], 9, 9)
        same = target.encoder(x, own) if encoder else torch.cat((features, more), 1)
        expected, found = (
            network.decoder(network.stack(each, grid, (own, *network.stack.route((9, 9), grid))))
            for network, each in ((source, features), (target, same))
        )
        difference = float((expected - found).abs().max())
    if not difference < _SAME:
        raise ValueError(
            "all weights find a place, but the network to train computes something else with them: "
            f"it differs by {difference:.2g}"
        )


def spread(count: int, places: int) -> list[int]:
    """Where each of `count` blocks goes among `places`, evenly and in order: [0, 2, 4] in 6."""
    return [i * places // count for i in range(count)]


def _pass_on(convolution: nn.Module) -> None:
    """Make a convolution of equal widths the identity."""
    assert isinstance(convolution, nn.Conv2d)
    nn.init.dirac_(convolution.weight)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)


def _body(network: CCSR) -> Sequence[nn.Sequential]:
    return getattr(network.encoder, "body", ())


def _blocks(network: CCSR) -> int:
    """Whole residual blocks: two convolutions with an activation between."""
    return sum(len(block) == 3 for block in _body(network))


def _placed(name: str, blocks: list[int]) -> str:
    """The name in the larger network of the weights `name` of the smaller."""
    prefix = "encoder.body."
    if not name.startswith(prefix):
        return name
    index, rest = name.removeprefix(prefix).split(".", 1)
    return f"{prefix}{blocks[int(index)]}.{rest}"


def _fits(value: Tensor, place: Tensor) -> bool:
    return value.ndim == place.ndim and all(
        a <= b for a, b in zip(value.shape, place.shape, strict=True)
    )


def _embed(value: Tensor, place: Tensor) -> None:
    """Write `value` to the corner of `place`; old outputs get zeros from whatever is new.

    Filters are (C_out, C_in, K, K), or (B, C_out, C_in) in a CC layer.
    """
    if value.ndim > 2:
        outputs = int(value.ndim == 3)
        place.narrow(outputs, 0, value.shape[outputs]).zero_()
    place[tuple(slice(n) for n in value.shape)] = value
