"""The file that LIIF's authors published: the same picture, and nothing else is taken for one."""

import pickle

import pytest
import torch

from authors import Authors
from ccsr import Upscaler
from ccsr.evaluation.methods import build
from ccsr.grid import ProjectedGrid
from ccsr.image import to_float
from ccsr.model import checkpoint
from ccsr.peers.liif import published
from ccsr.protocols import PROTOCOLS


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    return Authors().eval()


@pytest.fixture(scope="module")
def file(theirs, tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "edsr-baseline-liif.pth"
    stored = {"name": "liif", "args": {}, "sd": theirs.state_dict()}
    torch.save({"model": stored, "optimizer": {}, "epoch": 1000}, path)
    return path


@pytest.mark.parametrize("size", [(22, 18), (27, 40), (9, 7)])
def test_it_gives_what_the_authors_network_gives(theirs, file, size):
    x, grid = torch.rand(1, 3, 11, 9), ProjectedGrid.project((11, 9), size)
    with torch.no_grad():
        expected = theirs(x, size)
        model = published(file)
        torch.testing.assert_close(model(x, grid), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(model.enlarge(x, grid), expected, rtol=0, atol=1e-5)


def test_it_is_kept_as_a_file_of_ours_and_needs_no_trust(file, tmp_path):
    path = tmp_path / "liif.safetensors"
    model = published(file)
    checkpoint.save(path, model, {"licence": "BSD-3-Clause"})
    again, _ = checkpoint.load(path)
    assert again.architecture == model.architecture
    assert again.architecture["base"] == "none"
    x = torch.rand(1, 3, 8, 8)
    one, two = (
        Upscaler(m, device="cpu", precision="fp32").tensor(x, scale=2.3) for m in (model, again)
    )
    assert torch.equal(one, two)


def test_it_is_a_method_with_all_that_networks_have(file):
    names = [f"liif:{file}", f"liif:{file}+flips", f"liif:{file}@2+lanczos"]
    methods = build(names, PROTOCOLS["benchmark-y"], device="cpu", precision="fp32")
    assert [m.name for m in methods] == [f"{file.name}{s}" for s in ("", "+flips", "@2+lanczos")]
    assert {m.sha256 for m in methods} == {checkpoint.digest(file)}
    lr = torch.randint(0, 256, (3, 8, 9), dtype=torch.uint8)
    upscaler = Upscaler(published(file), device="cpu", precision="fp32")
    grid = ProjectedGrid.project((8, 9), (16, 18))
    expected = upscaler.tensor(to_float(lr), grid=grid)
    assert torch.equal(methods[0].upscale(lr, (16, 18)), expected)
    torch.testing.assert_close(methods[2].upscale(lr, (16, 18)), expected, rtol=0, atol=1e-5)


def test_a_file_that_is_called_like_one_is_ours(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "liif:mine").write_bytes(checkpoint.resolve("light").read_bytes())
    (method,) = build(["liif:mine"], PROTOCOLS["benchmark-y"], device="cpu")
    assert method.sha256 == checkpoint.digest(checkpoint.resolve("light"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="LIIF's file of EDSR-baseline, got no file at"):
        build([f"liif:{tmp_path / 'no.pth'}"], PROTOCOLS["benchmark-y"])


class Evil:
    def __reduce__(self):
        return print, ("run",)


def test_what_is_something_else_is_refused(theirs, tmp_path, capsys):
    path = tmp_path / "other.pth"
    weights = theirs.state_dict()
    less = {k: v for k, v in weights.items() if k != "imnet.layers.8.bias"}
    wide = weights | {"imnet.layers.8.bias": torch.zeros(4)}
    broken = weights | {"imnet.layers.8.bias": torch.full((3,), torch.nan)}
    for stored, message in (
        ({"model": {"sd": less}}, r"got the shape none for 'stack.imnet.8.bias' instead of \(3,\)"),
        ({"model": {"sd": wide}}, r"got the shape \(4,\) for 'stack.imnet.8.bias' instead of \(3,"),
        ({"model": {"sd": broken}}, "expected finite weights: get the file again"),
        ({"model": {"sd": 3}}, r"got something else \(AttributeError"),
        ({"state": 1}, r"edsr-baseline-liif.pth`, got something else \(KeyError"),
        ([1], r"got something else \(TypeError"),
    ):
        torch.save(stored, path)
        with pytest.raises(ValueError, match=message):
            published(path)
    path.write_bytes(pickle.dumps({"model": Evil()}))
    with pytest.raises(ValueError, match=r"got something else \(UnpicklingError"):
        published(path)
    path.write_bytes(b"no pickle")
    with pytest.raises(ValueError, match=r"got something else \("):
        published(path)
    assert "run" not in capsys.readouterr().out
