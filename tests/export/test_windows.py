"""Exported networks that compute a window of the enlarged picture."""

import numpy as np
import onnxruntime
import pytest
import torch

from ccsr import Upscaler
from ccsr.export import save, to_onnx
from ccsr.grid import ProjectedGrid
from exported import FOURIER, FRIENDLY, detail, network, opened, upscaler_of

ELASTIC = {"name": "elastic", "field": FOURIER, "channels": 6, "blocks": 1}
DIRECT = {
    "stack": {"name": "direct", "channels": 5, "field": FOURIER | {"kernel_size": 4}},
    "decoder": {"name": "pointwise", "hidden": 4},
}


WHOLE = {"corner": np.zeros(2, np.int64), "whole": np.zeros(2, np.int64)}


def windowed(session, x, scale, rows, columns):
    inputs = {"image": x.numpy(), "scale": np.array(scale), **WHOLE}
    inputs["origin"] = np.array([rows.start, columns.start])
    inputs["size"] = np.array([rows.stop - rows.start, columns.stop - columns.start])
    (result,) = session.run(["enlarged"], inputs)
    return torch.from_numpy(result)


@pytest.fixture(
    scope="module",
    params=[{}, {"encoder": ELASTIC}, DIRECT, {"stack": FRIENDLY | {"factor": 3}}],
    ids=["friendly", "elastic", "direct", "friendly of 3"],
)
def model_and_session(request):
    model = network(**request.param)
    return model, opened(to_onnx(model, None, window=True))


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    "scale", [(1.5, 1.5), (2.0, 2.0), (2.37, 4.0), (3.3, 1.7), (4.0, 3.0), (5.0, 2.5), (4.5, 8.0)]
)
def test_a_window_is_that_of_the_whole_and_reads_what_it_needs(model_and_session, scale):
    model, session = model_and_session
    upscaler = upscaler_of(model)
    x = torch.rand(2, 3, 23, 31, generator=torch.manual_seed(0))
    whole = upscaler.tensor(x, scale=scale)
    height, width = whole.shape[2:]
    grid = ProjectedGrid.project((23, 31), (height, width), scale, "centred")
    for rows, columns in (
        (slice(0, height), slice(0, width)),
        (slice(0, 1), slice(width - 1, width)),
        (slice(height // 2, height // 2 + 5), slice(width // 3, width // 3 + 4)),
        (slice(3, height), slice(0, 2)),
    ):
        crop = model.crop((23, 31), grid, model.route((23, 31), grid), rows, columns)
        near = [slice(max(each.start - 1, 0), each.stop + 1) for each in crop[:2]]
        only = torch.full_like(x, torch.nan)
        only[:, :, near[0], near[1]] = x[:, :, near[0], near[1]]
        result = windowed(session, only, scale, rows, columns)
        torch.testing.assert_close(result, whole[:, :, rows, columns], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["light", pytest.param("base", marks=pytest.mark.long)])
def test_windows_of_shipped_models_join_to_the_whole(name):
    upscaler = Upscaler.load(name, device="cpu", precision="fp32", tile="off")
    session = opened(to_onnx(upscaler.model, None, window=True))
    x, scale = detail(30, 41), (2.37, 2.37)
    whole = upscaler.tensor(x, scale=scale)
    joined = torch.zeros_like(whole)
    for top in range(0, whole.shape[2], 40):
        for left in range(0, whole.shape[3], 40):
            rows = slice(top, min(top + 40, whole.shape[2]))
            columns = slice(left, min(left + 40, whole.shape[3]))
            joined[:, :, rows, columns] = windowed(session, x, scale, rows, columns)
    torch.testing.assert_close(joined, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("model_and_session", [{}], ids=["friendly"], indirect=True)
def test_a_window_beyond_the_enlarged_picture_is_an_error(model_and_session):
    _, session = model_and_session
    x = torch.rand(1, 3, 6, 8)
    for rows, columns in (
        (slice(-1, 4), slice(0, 4)),
        (slice(0, 13), slice(0, 4)),
        (slice(0, 4), slice(15, 17)),
        (slice(4, 4), slice(0, 4)),
    ):
        with pytest.raises(Exception, match="window_must_lie_within_the_enlarged_picture"):
            windowed(session, x, (2.0, 2.0), rows, columns)


def test_a_window_needs_the_scale_as_an_input(tmp_path):
    with pytest.raises(ValueError, match=r"a window needs the scale as an input too, got .* 2"):
        to_onnx(network(), 2, window=True)
    save(tmp_path / "a.onnx", network(), None, window=True)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    assert session.get_modelmeta().custom_metadata_map["window"] == "input"
    inputs = ["image", "scale", "origin", "size", "corner", "whole"]
    assert [each.name for each in session.get_inputs()] == inputs
