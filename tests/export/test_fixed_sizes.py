"""Files that take pictures of one size, for programs that ask for that."""

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from ccsr import Upscaler
from ccsr.export import save, to_onnx
from exported import detail, network, opened, upscaler_of


@pytest.mark.parametrize("scale", [2, 3, 4, 2.5, 2.37, (1.5, 4), (0.3, 2.37), 0.5])
def test_a_fixed_size_gives_what_the_upscaler_gives(scale):
    model, size = network(), (17, 24)
    session = opened(to_onnx(model, scale, size=size))
    x = torch.rand(1, 3, *size)
    (result,) = session.run(["output"], {"input": x.numpy()})
    expected = upscaler_of(model).tensor(x, scale=scale)
    torch.testing.assert_close(torch.from_numpy(result), expected, rtol=0, atol=1e-5)
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape, given.type) == ("input", [1, 3, *size], "tensor(float)")
    assert (made.name, made.shape, made.type) == ("output", list(expected.shape), "tensor(float)")


@pytest.mark.parametrize("name", ["light", pytest.param("base", marks=pytest.mark.long), "elastic"])
@pytest.mark.parametrize("scale", [2, *(pytest.param(s, marks=pytest.mark.long) for s in (3, 4))])
def test_shipped_models_at_a_fixed_size_agree_in_two_runtimes(name, scale):
    upscaler = Upscaler.load(name, device="cpu", precision="fp32", tile="off")
    file = to_onnx(upscaler.model, scale, size=(40, 53)).SerializeToString()
    x = detail(40, 53)
    expected = upscaler.tensor(x, scale=scale)
    (result,) = onnxruntime.InferenceSession(file).run(None, {"input": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(result), expected, rtol=0, atol=1e-5)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(file, np.uint8))
    net.setInput(x.numpy(), "input")
    result = net.forward("output")
    torch.testing.assert_close(torch.from_numpy(result), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 4, 2.5])
def test_a_fixed_size_leaves_operators_on_pixels_only(scale):
    graph = to_onnx(network(), scale, size=(17, 24)).graph
    assert not {"Shape", "Gather", "Concat", "Cast", "Unsqueeze"} & {n.op_type for n in graph.node}
    types = {each.data_type for each in graph.initializer}
    assert types <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}


@pytest.mark.parametrize("size", [None, (48, 64)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_programs_find_the_factor_from_the_inferred_shapes(scale, size):
    """As chaiNNer does: where the file has no size of its own, it tries squares of 16 pixels."""
    exported = to_onnx(network(), scale, size=size)
    given = exported.graph.input[0].type.tensor_type.shape.dim
    if size is None:
        for dimension, pixels in ((0, 1), (2, 16), (3, 16)):
            given[dimension].dim_value = pixels
    inferred = onnx.shape_inference.infer_shapes(exported, strict_mode=True)
    made = inferred.graph.output[0].type.tensor_type.shape.dim
    for dimension in (2, 3):
        assert made[dimension].dim_value == scale * given[dimension].dim_value > 0


def test_a_fixed_size_needs_one_scale_and_sides_that_make_sense(tmp_path):
    with pytest.raises(ValueError, match="a fixed size of the input needs one scale"):
        to_onnx(network(), None, size=(8, 8))
    for size in ((8, 1 << 17), (1 << 17, 8)):
        with pytest.raises(ValueError, match=r"expected sides from 1 to 65536 pixels, got \("):
            to_onnx(network(), 2, size=size)
    for size in ((0, 8), (8.5, 8), (8,), "88", 8, (True, 8)):
        with pytest.raises(ValueError, match=r"sizes? must be "):
            save(tmp_path / "a.onnx", network(), 2, size=size)
    save(tmp_path / "a.onnx", network(), 2, size=(np.int64(8), np.int8(12)))
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    assert session.get_modelmeta().custom_metadata_map["size"] == "12x8"
