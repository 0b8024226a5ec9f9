"""The guard does nothing to what keeps to the limits, and little beside what does not."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ccsr.model import build, checkpoint
from ccsr.model.residual import AROUND, BLEND, Residual, _highest, trust
from ccsr.upscaling.upscaler import Upscaler

FIELD = {"name": "fourier", "kernel_size": 3, "basis": 4}


def growing() -> Residual:
    """Two blocks, each of which doubles its features: sums of 1 become 2, then 4."""
    body = Residual(2, 2, limits=[10.0])
    for block in body:
        for layer in (block[0], block[2]):
            torch.nn.init.zeros_(layer.bias)
            torch.nn.init.dirac_(layer.weight)
        block[1] = torch.nn.ReLU()
    return body


@torch.no_grad()
def test_what_keeps_to_the_limits_is_what_the_blocks_give() -> None:
    body, x = growing(), torch.rand(1, 2, 9, 9)
    features, share = body.guarded(x)
    assert share is None
    assert torch.equal(features, body(x))
    torch.testing.assert_close(features, 4 * x)
    assert body.largest(x) == [float(4 * x.max())]


@torch.no_grad()
@pytest.mark.parametrize("value", [3.0, 6.0, 1e30])
def test_what_is_beyond_becomes_zero_with_its_neighbours(value: float) -> None:
    body, x = growing(), torch.ones(1, 2, 15, 15)
    x[0, 1, 7, 7] = value
    features, share = body.guarded(x)
    near = slice(7 - AROUND, 8 + AROUND)
    assert (features[:, :, near, near] == 0).all()
    assert (features != 0).sum() == 2 * (15**2 - (2 * AROUND + 1) ** 2)
    assert share is not None
    line = share[0, 0, 7]
    assert (line[near] == 0).all()
    assert (line[: 7 - AROUND - BLEND] == 1).all()
    rising = line[7 : 7 + AROUND + BLEND + 2].diff()
    assert (rising >= 0).all()
    assert rising.max() < 1


@torch.no_grad()
def test_beside_what_is_cut_out_the_blocks_see_a_border() -> None:
    """The rest of the blocks gives what it gives on the picture without the wild part."""
    torch.manual_seed(0)
    body, x = Residual(3, 4, closing=True, limits=[10.0, 1e9]), torch.rand(1, 3, 12, 16)
    for weight in [*body[0].parameters(), *body[1].parameters()]:
        torch.nn.init.zeros_(weight)  # up to the first look nothing changes
    x[:, 1, :, :4] = 100.0
    features, share = body.guarded(x)
    first = 4 + AROUND
    rest = x[..., first:]
    for block in list(body)[2:]:
        rest = rest + block(rest)
    torch.testing.assert_close(features[..., first:], rest)
    assert (features[..., :first] == 0).all()
    assert share is not None
    assert (share[..., :first] == 0).all()


def test_trust_falls_smoothly_towards_what_is_wild() -> None:
    wild = torch.zeros(1, 1, 11, 11)
    wild[..., :5] = 1
    line = trust(wild)[0, 0, 5]
    assert (line[:5] == 0).all()
    assert (line[5:].diff() >= 0).all()
    assert (line[5 + BLEND :] == 1).all()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("change", [torch.clone, Tensor.exp, lambda x: x - 9])
def test_the_largest_value_in_any_order_of_memory(
    sign: int, dtype: torch.dtype, change: Callable[[Tensor], Tensor]
) -> None:
    x = sign * change(torch.randn(2, 8, 5, 7)).to(dtype)
    for laid in (x, x.contiguous(memory_format=torch.channels_last), x[:, :, 1:, 2:]):
        found = float(_highest(laid))
        assert found == float(laid.float().max()) or (found == 0 and laid.max() < 0)


def test_a_file_keeps_the_limits(tmp_path: Path) -> None:
    encoder = {"name": "plain", "channels": 4, "blocks": 1, "closing": True, "limits": [2.5]}
    stack = {"name": "friendly", "channels": 4, "field": FIELD}
    model = build(encoder, stack, {"name": "identity"})
    assert model.encoder.radius == 1 + 3 + BLEND
    checkpoint.save(tmp_path / "a.safetensors", model, {})
    loaded, _ = checkpoint.load(tmp_path / "a.safetensors")
    assert loaded.encoder.body.limits == [2.5]


@pytest.mark.parametrize("limits", [[], [1.0, 2.0, 3.0], [1.0, 0.0], [1.0, -2.0]])
def test_limits_that_make_no_sense(limits: list[float]) -> None:
    with pytest.raises(
        ValueError, match="limits must be 2 positive numbers, one for every 2 blocks"
    ):
        Residual(4, 4, True, limits=limits)


@pytest.mark.parametrize("name", ["plain", "elastic"])
@pytest.mark.parametrize("scale", [1.3, 2.0, (0.7, 3.0)])
def test_windows_and_views_of_what_is_guarded(
    name: str, scale: float | tuple[float, float]
) -> None:
    torch.manual_seed(0)
    encoder = {"name": name, "channels": 6, "blocks": 2}
    encoder |= {"field": FIELD} if name == "elastic" else {}
    stack = {"name": "friendly", "channels": 6, "field": FIELD}
    parts = (stack, {"name": "identity"})
    x = torch.rand(3, 30, 40) * 0.3
    x[:, 4:7, 9:12] = x[:, 20:22, 30:33] = 1.0
    plain = build(encoder, *parts)
    for weight in plain.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    seen: list[Tensor] = []
    handle = plain.encoder.body.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    plain.encoder(x[None] - 0.5, plain.encoder.grid((30, 40)))
    handle.remove()
    with torch.no_grad():
        limits = [0.8 * value for value in plain.encoder.body.largest(seen[0])]
    model = build(encoder | {"limits": limits}, *parts)
    model.load_state_dict(plain.state_dict())
    with torch.inference_mode():
        share = model.features(x[None], model.encoder.grid((30, 40))).trust
    assert share is not None
    assert 0 < share.mean() < 1
    whole = Upscaler(model, precision="fp32", tile="off")
    expected = whole.tensor(x, scale=scale)
    for other in (
        Upscaler(model, precision="fp32", tile=16).tensor(x, scale=scale),
        whole.view(x).window(slice(None), slice(None), scale=scale),
    ):
        torch.testing.assert_close(other, expected, rtol=0, atol=1e-5)
    assert not torch.allclose(Upscaler(plain, precision="fp32").tensor(x, scale=scale), expected)
