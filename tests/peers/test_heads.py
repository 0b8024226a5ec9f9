"""The heads of other papers: formulas written out pixel by pixel, windows, blur, memory."""

import math

import pytest
import torch
from torch.nn import functional as F

from ccsr.grid import ProjectedGrid, output_size
from ccsr.model import CCSR
from ccsr.model.decoder import Identity
from ccsr.model.encoder import EDSR
from ccsr.peers.liif import LIIF
from ccsr.peers.lte import LTE
from ccsr.peers.metasr import MetaSR
from ccsr.peers.thera import DIFFUSIVITY, Thera

HEADS = [LIIF, LTE, MetaSR, Thera]
SIZE = (7, 6)


def network(head):
    torch.manual_seed(0)
    arguments = {"waves": 8} if head is Thera else {"hidden": 16}
    model = CCSR(EDSR(8, 1), head(8, **arguments), Identity(3)).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return model


def grid_for(scale, anchor="centred", size=SIZE):
    return ProjectedGrid.project(size, output_size(size, scale), scale, anchor)


@pytest.mark.thinned(3)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("scale", [2.0, 2.37, (3.3, 1.7), 0.6, 1.0])
def test_windows_and_strips_are_exactly_those_of_the_whole(head, scale, monkeypatch):
    model = network(head)
    size = (19, 23)
    grid = grid_for(scale, size=size)
    x = torch.rand(2, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        whole = model(x, grid)
        torch.testing.assert_close(model.enlarge(x, grid), whole)
        monkeypatch.setattr("ccsr.model.network.STRIP_VALUES", 5000)  # many strips
        torch.testing.assert_close(model.enlarge(x, grid), whole)
        rows, columns = slice(3, grid.size[0] - 2), slice(2, grid.size[1] // 2 + 2)
        crop = model.crop(size, grid, model.route(size, grid), rows, columns)
        part = model(x[:, :, crop.rows, crop.columns], crop.grid, crop.via)
    torch.testing.assert_close(part, whole[:, :, rows, columns])


def pixels(grid):
    """Positions (y, x) of all output pixels, row by row."""
    ys, xs = grid.rows.positions().tolist(), grid.columns.positions().tolist()
    return [(y, x) for y in ys for x in xs]


def ensembled(grid, size, answer):
    """LIIF's local ensemble, written out: `answer(row, column, offset)` in the papers' units."""
    found = []
    for y, x in pixels(grid):
        answers, areas = [], []
        for i in (0, 1):
            for j in (0, 1):
                row = min(max(math.floor(y) + i, 0), size[0] - 1)
                column = min(max(math.floor(x) + j, 0), size[1] - 1)
                offset = (2 * (y - row), 2 * (x - column))
                answers.append(answer(row, column, torch.tensor(offset, dtype=torch.float64)))
                areas.append(abs(offset[0] * offset[1]) + 1e-9)
        opposite = areas[::-1]
        found.append(sum(a * w / sum(areas) for a, w in zip(answers, opposite, strict=True)))
    return torch.stack(found).T.reshape(1, 3, *grid.size)


@pytest.fixture(params=[(2.0, 2.0), (2.6, 1.4)])
def grid(request):
    return grid_for(request.param)


@pytest.fixture
def features():
    torch.manual_seed(1)
    return torch.randn(1, 5, *SIZE, dtype=torch.float64)


def on_features(head, features, grid):
    own = ProjectedGrid.project(SIZE, SIZE)
    with torch.no_grad():
        return head.double()(features, grid, (own,))


def test_liif_as_its_paper_says(features, grid):
    head = LIIF(5, hidden=12)
    padded = F.pad(features, (1, 1, 1, 1))[0]
    cell = torch.tensor([2 / s for s in grid.scale], dtype=torch.float64)

    def answer(row, column, offset):
        near = padded[:, row : row + 3, column : column + 3].reshape(-1)
        with torch.no_grad():
            return head.imnet(torch.cat((near, offset, cell)))

    result = on_features(head, features, grid)
    torch.testing.assert_close(result, ensembled(grid, SIZE, answer))


def test_lte_as_its_paper_says(features, grid):
    head = LTE(5, hidden=8)
    head.double()
    with torch.no_grad():
        amplitudes, frequencies = head.amplitude(features)[0], head.frequency(features)[0]
    cell = torch.tensor([2 / s for s in grid.scale], dtype=torch.float64)

    def answer(row, column, offset):
        with torch.no_grad():
            phases = head.phase(cell)
            pairs = frequencies[:, row, column].reshape(-1, 2)
            angles = [float(pair @ offset + p) for pair, p in zip(pairs, phases, strict=True)]
            waves = [math.cos(math.pi * a) for a in angles] + [
                math.sin(math.pi * a) for a in angles
            ]
            return head.imnet(amplitudes[:, row, column] * torch.tensor(waves))

    waves = ensembled(grid, SIZE, lambda *where: answer(*where).double())
    torch.testing.assert_close(on_features(head, features, grid), waves, atol=1e-6, rtol=1e-6)


def test_metasr_as_its_paper_says(features, grid):
    head = MetaSR(5, hidden=12)
    result = on_features(head, features, grid)
    padded = F.pad(features, (1, 1, 1, 1))[0]
    colours = []
    for y, x in pixels(grid):
        row = min(max(math.floor(y + 0.5), 0), SIZE[0] - 1)
        column = min(max(math.floor(x + 0.5), 0), SIZE[1] - 1)
        told = [y + 0.5 - row, x + 0.5 - column, *(1 / s for s in grid.scale)]
        with torch.no_grad():
            filters = head.weights(torch.tensor(told, dtype=torch.float64)).reshape(3, -1)
        colours.append(filters @ padded[:, row : row + 3, column : column + 3].reshape(-1))
    expected = torch.stack(colours).T.reshape(1, 3, *grid.size)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-4)


def test_a_wave_of_thera_fades_as_a_blur_fades_it():
    """The field at time t is the field at time 0 blurred by a Gaussian of variance 2 kappa t."""
    head = Thera(5, waves=4).double()
    with torch.no_grad():  # one wave along x in every pixel, without phase, in all colours
        head.hyper.weight.zero_()
        head.hyper.bias.zero_()
        head.hyper.bias[4:8] = torch.tensor([1.0, 0, 0, 0])
        head.frequency.zero_()
        head.frequency[1, 0] = 2.5
    grid = grid_for((1.0, 1.6), "ratio")
    result = on_features(head, torch.zeros(1, 5, *SIZE, dtype=torch.float64), grid)
    sigma = math.sqrt(2 * DIFFUSIVITY) / grid.columns.scale
    steps = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    weights = torch.exp(-steps.square() / 2)
    weights /= weights.sum()
    for number, x in enumerate(grid.columns.positions().tolist()):
        inside = x - min(max(math.floor(x + 0.5), 0), SIZE[1] - 1)
        blurred = (torch.sin(2.5 * (inside + sigma * steps)) * weights).sum()
        torch.testing.assert_close(result[0, 0, 0, number], blurred)


@pytest.mark.parametrize("head", HEADS)
def test_gradients_reach_every_weight(head):
    model = network(head)
    model(torch.rand(1, 3, *SIZE, dtype=torch.float64), grid_for(2.3)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_parameters_as_published():
    """MetaSR 0.45 M, LIIF 0.35 M, LTE 0.49 M, Thera Air 0.008 M on 64 channels."""
    counts = {head.__name__: sum(p.numel() for p in head(64).parameters()) / 1e6 for head in HEADS}
    assert counts == pytest.approx(
        {"LIIF": 0.35, "LTE": 0.49, "MetaSR": 0.45, "Thera": 0.008}, abs=0.006
    )


@pytest.mark.parametrize("head", [LIIF, LTE, MetaSR, Thera])
@pytest.mark.parametrize("value", [0, -3, 2.5])
def test_a_head_has_a_width(head, value):
    name = "waves" if head is Thera else "hidden"
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, got"):
        head(5, **{name: value})
    with pytest.raises(ValueError, match="hidden must be even"):
        LTE(5, hidden=7)
