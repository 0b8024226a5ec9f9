"""What a network is told of a JPEG's quality, and the ordinary networks that come of it."""

from fractions import Fraction

import pytest
import torch

from ccsr.export import to_onnx
from ccsr.model import build, checkpoint
from ccsr.model.conditioning import QUALITIES, TERMS, terms
from ccsr.model.encoder import Encoder
from ccsr.model.network import CCSR
from ccsr.training.growth import grow
from networks import TINY, conditioned, grid_for, tiny

SIZE = (11, 13)


@torch.no_grad()
def test_for_one_quality_it_is_an_ordinary_network() -> None:
    model, x, grid = conditioned(), torch.rand(3, 3, *SIZE), grid_for(SIZE, 2.37)
    together = model(x, grid, quality=torch.tensor([75.0, 0.0, 40.0]))
    for n, quality in enumerate((75, None, 40)):
        own = model.at_quality(quality)
        assert not own.conditioned
        torch.testing.assert_close(own(x[n : n + 1], grid), together[n : n + 1], rtol=0, atol=1e-4)
    assert model.conditioned
    assert (together[:1] - model(x[:1], grid)).abs().max() > 0.01


@torch.no_grad()
def test_the_networks_for_single_qualities_share_weights_and_nothing_else() -> None:
    model, x, grid = conditioned(), torch.rand(1, 3, *SIZE), grid_for(SIZE, 2)
    one, two = model.at_quality(40), model.at_quality(90)
    seen = []
    for each in (one, two):
        body = each.get_submodule("encoder.body")
        body.register_forward_pre_hook(lambda body, given: seen.append(body))
    one(x, grid)
    model(x, grid)
    assert seen == [one.get_submodule("encoder.body")]
    filters = [each.get_submodule("encoder.body.0.0").weight for each in (model, one, two)]
    assert filters[0] is filters[1] is filters[2]
    assert not any(name.endswith("shift") for name, _ in one.named_parameters())


@torch.no_grad()
def test_no_mode_of_torch_changes_the_network_for_a_quality() -> None:
    model = conditioned()
    expected = model.at_quality(76.4).state_dict()
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float16)
        with torch.autocast("cpu", torch.bfloat16):
            found = model.at_quality(76.4).state_dict()
    finally:
        torch.set_default_dtype(before)
    assert all(torch.equal(found[name], weights) for name, weights in expected.items())
    found = model.at_quality(Fraction(75)).state_dict()
    assert all(torch.equal(found[n], w) for n, w in model.at_quality(75).state_dict().items())


@torch.no_grad()
def test_what_is_not_told_is_not_known() -> None:
    model, x, grid = conditioned(), torch.rand(1, 3, *SIZE), grid_for(SIZE, 2)
    assert torch.equal(model(x, grid), model.at_quality(None)(x, grid))
    torch.testing.assert_close(model(x, grid), model(x, grid, quality=torch.zeros(1)))
    assert not terms(torch.zeros(2)).any()


def test_terms_are_powers_and_end_where_trainings_do() -> None:
    least, most = QUALITIES
    told = terms(torch.tensor([1, least, (least + most) / 2, most, 100]))
    assert told.shape == (5, TERMS)
    assert torch.equal(told[0], told[1])
    assert torch.equal(told[3], told[4])
    scaled = told / told[:, :1]
    assert scaled[1:4, 1].tolist() == [-1, 0, 1]
    assert scaled[1:4, 2].tolist() == [1, 0, 1]


@torch.no_grad()
def test_the_network_for_a_quality_can_be_kept(tmp_path) -> None:
    own, x, grid = conditioned().at_quality(60), torch.rand(1, 3, *SIZE), grid_for(SIZE, 3)
    checkpoint.save(tmp_path / "a.safetensors", own, {})
    again, _ = checkpoint.load(tmp_path / "a.safetensors")
    assert not again.conditioned
    assert again.cleans
    assert torch.equal(again(x, grid), own(x, grid))
    checkpoint.save(tmp_path / "b.safetensors", conditioned(), {})
    again, _ = checkpoint.load(tmp_path / "b.safetensors")
    assert again.conditioned
    assert torch.equal(again.at_quality(60)(x, grid), own(x, grid))


@torch.no_grad()
def test_one_that_is_not_conditioned_stays_itself() -> None:
    model = tiny()
    assert model.at_quality(60) is model
    with pytest.raises(ValueError, match="no network that is conditioned on the quality"):
        model(torch.rand(1, 3, *SIZE), grid_for(SIZE, 2), quality=torch.ones(1))


@pytest.mark.parametrize("quality", [0, 101, float("nan"), "75"])
def test_what_is_no_quality_is_refused(quality) -> None:
    for model in (conditioned(), tiny()):
        with pytest.raises(ValueError, match="quality must be from 1 to 100, or None, got"):
            model.at_quality(quality)


class Told(Encoder):
    """Of another package: it says itself what it is for one quality."""

    channels, radius, conditioned = 3, 0, True

    def __init__(self, quality: float = 0.0) -> None:
        super().__init__()
        self.quality = quality

    def forward(self, x, grid, quality=None):
        return x * (self.quality if quality is None else quality[:, None, None, None])

    def at_quality(self, quality):
        made = Told(quality or 0.0)
        made.conditioned = False
        return made


@torch.no_grad()
def test_an_encoder_of_another_package_may_be_conditioned() -> None:
    x, grid = torch.rand(1, 3, *SIZE), grid_for(SIZE, 2)

    def made(encoder):
        identity = build({"name": "plain", "channels": 3}, _stack(), {"name": "identity"})
        return CCSR(encoder, identity.stack, identity.decoder)

    model = made(Told())
    own = model.at_quality(60)
    assert not own.conditioned
    torch.testing.assert_close(own(x, grid), model(x, grid, quality=torch.tensor([60.0])))

    class Silent(Told):
        at_quality = Encoder.at_quality

    with pytest.raises(ValueError, match="cannot keep the quality an input of the encoder Told"):
        to_onnx(model, None, window=True)

    with pytest.raises(TypeError, match="the encoder Silent is conditioned and has no Conditioned"):
        made(Silent()).at_quality(60)


@torch.no_grad()
def test_it_can_start_one_that_is_not_conditioned() -> None:
    told = conditioned()
    encoder = {**told.architecture["encoder"], "conditioned": False}
    model = build(encoder, _stack(), {"name": "identity"})
    grow(told, model)
    x, grid = torch.rand(1, 3, *SIZE), grid_for(SIZE, 2)
    torch.testing.assert_close(model(x, grid), told(x, grid))


@torch.no_grad()
def test_it_starts_as_the_network_that_it_grows_from() -> None:
    """And as one that is told nothing, whatever the quality."""
    small = build(TINY["encoder"], _stack(), {"name": "identity"})
    for weight in small.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    encoder = TINY["encoder"] | {"blocks": 2, "conditioned": True}
    model = build(encoder, _stack(), {"name": "identity"})
    grow(small, model)
    x, grid = torch.rand(1, 3, *SIZE), grid_for(SIZE, 2)
    expected = small(x, grid)
    torch.testing.assert_close(model(x, grid, quality=torch.tensor([50])), expected)
    deeper = build(encoder | {"blocks": 4}, _stack(), {"name": "identity"})
    told = conditioned()
    grow(told, deeper)
    quality = torch.tensor([50])
    torch.testing.assert_close(deeper(x, grid, quality=quality), told(x, grid, quality=quality))


def _stack():
    return conditioned().architecture["stack"]
