"""The training task."""

import math
import sys

import pytest
import torch
from torch import nn

from ccsr.grid import ProjectedGrid
from ccsr.model import build
from ccsr.resample import resize
from ccsr.training.batches import Batch
from ccsr.training.recorded import RecordedSteps
from ccsr.training.schedule import Rate
from ccsr.training.task import SRModule, draw_effort
from networks import tiny


class Bicubic(nn.Module):
    """A network with one weight that does nothing."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    efforts = (1.0,)
    conditioned = False

    def route(self, size, grid, effort):
        return ()

    def forward(self, x, grid, via):
        return resize(x, grid) + self.weight


def test_the_rate_warms_up_and_ends_at_zero():
    rates = [Rate(warmup=10).factor(step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10] == 1
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == 0


def test_a_rate_in_steps_is_pytorchs():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer, [20, 50, 90], gamma=0.3)
    ours = Rate("steps", milestones=[0.2, 0.5, 0.9], gamma=0.3)
    for step in range(101):
        assert ours.factor(step, 100) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()


def test_efforts_follow_from_the_step_the_full_one_every_other_time():
    efforts = (0.25, 0.5, 1.0)
    drawn = [draw_effort(efforts, step) for step in range(300)]
    assert drawn == [draw_effort(efforts, step) for step in range(300)]
    assert all(50 < drawn.count(effort) < 100 for effort in efforts[:-1])
    assert 120 < drawn.count(1.0) < 180
    assert draw_effort((1.0,), 7) == 1


def test_an_elastic_network_reads_at_the_effort_it_is_given():
    field = {"name": "fourier", "kernel_size": 3, "basis": 3}
    encoder = {"name": "elastic", "channels": 4, "blocks": 1, "field": field}
    stack = {"name": "friendly", "channels": 4, "field": field}
    module = SRModule(build(encoder, stack, {"name": "identity"}))
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    x, grid = torch.rand(1, 3, 12, 12), ProjectedGrid.project((12, 12), (24, 24))
    model = module.model
    for effort in model.efforts:
        expected = model(x, grid, model.route((12, 12), grid, effort))
        torch.testing.assert_close(module(x, grid, effort), expected)
    assert not torch.equal(module(x, grid, 0.25), module(x, grid))


def test_forward_takes_uint8_and_float_alike():
    module = SRModule(Bicubic())
    x = torch.randint(256, (2, 3, 6, 5), dtype=torch.uint8)
    grid = ProjectedGrid.project((6, 5), (12, 15))
    torch.testing.assert_close(module(x, grid), module(x / 255, grid))
    assert module(x, grid).shape == (2, 3, 12, 15)


def test_a_network_that_gives_another_shape_is_named():
    """Its one channel would be compared with each of three."""

    class Grey(Bicubic):
        def forward(self, x, grid, via):
            return super().forward(x, grid, via)[:, :1]

    with pytest.raises(
        ValueError, match=r"Grey must give a tensor of the shape \(1, 3, 8, 8\), got"
    ):
        SRModule(Grey()).loss_of(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 8, 8))


def distance(loss, error):
    """What `loss` makes of one error in red, green and blue, and so of 219/255 of it in luma."""
    colour, grey = (1 + math.log(e) if e > 1 else e for e in (error, error * 219 / 255))
    if loss == "l1":
        return (3 * colour + 3 * grey) / 4
    return math.sqrt((3 * colour**2 + (3 * grey) ** 2) / 4)


@pytest.mark.parametrize("loss", ["rmse", "l1"])
@pytest.mark.parametrize(
    ("ours", "target", "bicubic"),
    [
        (0.1, 0.5, 0.3),
        (0.1, 0.2, 0.0),  # where bicubic makes no error
        (1e15, 0.5, 0.3),  # a network that explodes
    ],
)
def test_losses_are_relative_to_that_of_bicubic(loss, ours, target, bicubic):
    expected = distance(loss, abs(0.2 + ours - target)) / max(distance(loss, bicubic), 0.008)
    module = shifting(loss, ours)
    lr, hr = torch.full((1, 3, 4, 4), 0.2), torch.full((1, 3, 8, 8), target)
    found = module.loss_of(lr, hr)
    found.backward()
    assert found.item() == pytest.approx(expected, rel=1e-4)
    assert 0 < module.model.weight.grad.abs() <= 1 / (0.005 * max(ours, 1))


@pytest.mark.parametrize(
    ("loss", "second"), [("rmse", math.sqrt((0.15**2 + 0.25**2) / 0.1**2)), ("l1", 0.2 / 0.05)]
)
def test_each_patch_counts_by_what_bicubic_makes_of_it(loss, second):
    module = shifting(loss, 0.25)
    hr = torch.full((2, 3, 8, 8), 0.5)
    hr[1] = torch.tensor([0.0, 0.1]).repeat(4)
    found = module.loss_of(torch.zeros(2, 3, 4, 4), hr)
    assert found.item() == pytest.approx((0.25 / 0.5 + second) / 2, rel=1e-4)


@pytest.mark.parametrize("loss", ["rmse", "l1"])
def test_errors_that_change_luma_cost_more(loss):
    module = shifting(loss, 0.1)
    grey = torch.full((1, 3, 4, 4), 0.2)
    found = []
    for channel in (0, 1, 2):  # red, green, blue
        hr = torch.full((1, 3, 8, 8), 0.3)
        hr[:, channel] = 0.2  # bicubic is right there and ours is not
        found.append(module.loss_of(grey, hr).item())
    assert found[2] < found[0] < found[1]


def shifting(loss, by):
    """A module whose network adds `by` to bicubic's result."""
    module = SRModule(Bicubic(), loss=loss)
    nn.init.constant_(module.model.weight, by)
    return module


@pytest.mark.parametrize("loss", ["plain_l1", "charbonnier"])
def test_plain_losses_are_pytorchs(loss):
    generator = torch.Generator().manual_seed(0)
    lr, hr = (torch.rand(2, 3, n, n, generator=generator) for n in (4, 8))
    grid = ProjectedGrid.project((4, 4), (8, 8))
    error = resize(lr, grid) + 0.1 - hr
    expected = {
        "plain_l1": nn.functional.l1_loss(error, torch.zeros_like(error)),
        "charbonnier": torch.hypot(error, torch.tensor(1e-3)).mean(),
    }
    torch.testing.assert_close(shifting(loss, 0.1).loss_of(lr, hr), expected[loss])


def test_samples_of_several_scales_count_alike():
    """Their mean is that of the same samples in batches of their own."""
    module = SRModule(Bicubic())
    sizes = [(8, 8), (12, 12), (8, 20)]
    none = torch.zeros(1)
    parts = [Batch(torch.rand(1, 3, 4, 4), torch.rand(1, 3, *size), none) for size in sizes]
    expected = torch.stack([module.loss_of(part.lr, part.hr) for part in parts]).mean()
    module._watch = lambda what, value: None
    torch.testing.assert_close(module.training_step(parts, 0), expected)
    pair = [Batch(part.lr[:1], parts[0].hr, none) for part in parts]  # of one scale: as one batch
    whole = Batch(*(torch.cat(each) for each in zip(*pair, strict=True)))
    torch.testing.assert_close(module.training_step(pair, 0), module.training_step(whole, 0))


@pytest.mark.parametrize("records", [False, True])
def test_a_batch_of_another_package_may_be_of_two_parts(records):
    module = SRModule(tiny())
    lr, hr = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 8, 8)
    module._watch = lambda what, value: None
    module._recorded = RecordedSteps(list(module.parameters()), 1) if records else None
    torch.testing.assert_close(module.training_step((lr, hr), 0), module.loss_of(lr, hr))


def test_unknown_losses_are_refused():
    with pytest.raises(
        ValueError, match=r"loss must be rmse, l1, plain_l1 or charbonnier, got 'l2'"
    ):
        SRModule(Bicubic(), loss="l2")


def test_hyperparameters_are_plain():
    module = SRModule(Bicubic(), betas=[0.9, 0.99])
    assert dict(module.hparams) == {
        "loss": "rmse",
        "optimizer": "muon",
        "learning_rate": 5e-4,
        "milestones": (0.5, 0.75),
        "gamma": 0.5,
        "warmup": 500,
        "momentum": 0.95,
        "weight_decay": 0.1,
        "schedule": "cosine",
        "decay": 0.2,
        "replay": True,
        "compile": False,
        "betas": (0.9, 0.99),
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": -1}, r"module\.learning_rate must not be negative, got -1"),
        ({"learning_rate": math.inf}, r"module\.learning_rate must be finite, got inf"),
        ({"warmup": -1}, r"module\.warmup must not be negative, got -1"),
        ({"weight_decay": -0.1}, r"module\.weight_decay must not be negative, got -0\.1"),
        ({"momentum": 1}, r"module\.momentum must be in \[0, 1\), got 1"),
        ({"betas": [0.9, 1.5]}, r"module\.betas must be in \[0, 1\), got 1\.5"),
        ({"schedule": "step"}, r"module\.schedule must be cosine, trapezoid, constant or steps"),
        ({"decay": 0}, r"module\.decay must be in \(0, 1\], got 0"),
        ({"gamma": 1.5}, r"module\.gamma must be in \(0, 1\], got 1\.5"),
        ({"milestones": [0.5, 2000]}, r"module\.milestones must be in \(0, 1\), got 2000"),
        ({"learning_rate": "abc"}, r"module\.learning_rate must be a number, got 'abc'"),
        ({"betas": [0.9]}, r"module\.betas must be a list of 2 numbers, got \[0\.9\]"),
        ({"betas": 0.9}, r"module\.betas must be a list of 2 numbers, got 0\.9"),
        ({"optimizer": "sgd"}, r"module\.optimizer must be muon, adamw or adam, got 'sgd'"),
        ({"optimizer": "adam"}, r"has no weight decay, .*=0\.1: give module\.weight_decay=0"),
    ],
)
def test_numbers_out_of_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SRModule(Bicubic(), **options)


STRANGE = """
from torch import nn

def good(image, target):
    return (image - target).abs().mean()[None]

def maps(image, target):
    return (image - target).abs()

def number(image, target):
    return (image - target).abs().mean().item()

def detached(image, target):
    return (image - target).abs().mean().detach()

def one(image):
    return image.mean()

three = 3

class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1)

    def forward(self, image, target):
        return (self.layer(image) - self.layer(target)).square().mean()

features = Features()
"""


@pytest.fixture
def strange(tmp_path, monkeypatch):
    (tmp_path / "strange.py").write_text(STRANGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("strange", None)


@pytest.mark.parametrize("name", ["one", "three", "Features"])
def test_a_loss_that_cannot_be_called_with_two_batches_is_refused(strange, name):
    with pytest.raises(ValueError, match=rf"^loss 'strange:{name}': expected a function of two"):
        SRModule(Bicubic(), loss=f"strange:{name}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("maps", r"got the shape \(1, 3, 8, 8\): take its mean"),
        ("number", r"got \d\.\d+, which has no gradient"),
        (
            "detached",
            "got one that does not depend on the network: let it stay a tensor, without detach",
        ),
    ],
)
def test_a_loss_that_nothing_can_be_trained_by_is_refused(strange, name, message):
    module = SRModule(Bicubic(), loss=f"strange:{name}")
    with pytest.raises(ValueError, match=f"must give a scalar tensor with a gradient, {message}"):
        module.loss_of(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 8, 8))


def test_a_loss_that_cannot_be_computed_is_named(strange):
    module = SRModule(Bicubic(), loss="torch.nn.functional:relu")
    message = "loss 'torch.nn.functional:relu' must take two batches .* it says 'Boolean value of"
    with pytest.raises(ValueError, match=message):
        module.loss_of(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 8, 8))


def test_the_weights_of_a_loss_are_not_trained(strange):
    """Their gradients would add up from step to step, and clipping would count them."""
    plain, module = (SRModule(Bicubic(), loss=f"strange:{n}") for n in ("good", "features"))
    for each in (plain, module):
        loss = each.loss_of(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 8, 8))
        assert loss.shape == ()
        loss.backward()
        assert [p.grad is not None for p in each.parameters() if p.requires_grad] == [True]


@pytest.mark.parametrize("name", ["replay", "compile"])
def test_what_is_neither_true_nor_false_is_refused(name):
    with pytest.raises(ValueError, match=f"^module.{name} must be true or false, got 'maybe'"):
        SRModule(Bicubic(), **{name: "maybe"})
