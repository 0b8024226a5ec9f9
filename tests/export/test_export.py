import json
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from PIL import Image

from ccsr import Upscaler, __version__
from ccsr.bundled import resource_dir
from ccsr.export import save, to_onnx
from ccsr.export.graph import Graph, Value
from ccsr.export.grids import Line
from ccsr.export.repeating import repeats
from ccsr.export.tracing import add_function
from ccsr.grid import ProjectedGrid, first_pixel, position
from ccsr.model import checkpoint
from ccsr.model.fields import taper
from ccsr.resample import cubic, resize
from exported import (
    FOURIER,
    FRIENDLY,
    assert_agrees,
    detail,
    network,
    opened,
    run,
    upscaler_of,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "export.md"


@pytest.fixture(scope="module")
def for_any_scale():
    """The small network with its scale as an input."""
    return to_onnx(network(), None)


@pytest.mark.thinned(2)
@pytest.mark.parametrize(
    "scale", [1.2, 1.5, 2.0, 2.37, 2.5, 3.0, 4.0, 8.0, (1.5, 4.0), (4.0, 1.5), (2.37, 2.0)]
)
def test_onnxruntime_agrees_with_torch_at_odd_and_even_sizes(scale):
    model = network()
    assert_agrees(to_onnx(model, scale), upscaler_of(model), scale)


@pytest.mark.parametrize("scale", [0.5, 2.37, (1.5, 4.0), None])
def test_a_network_without_a_base_agrees(scale):
    model = network(base="none")
    given = None if scale else (2.37, 1.5)
    assert_agrees(to_onnx(model, scale), upscaler_of(model), scale or given, given=given)


@pytest.mark.parametrize("scale", [0.25, 0.5, 0.6, 0.75, (0.3, 2.37)])
def test_it_agrees_where_it_reduces(scale):
    model = network()
    assert_agrees(to_onnx(model, scale), upscaler_of(model), scale)


@pytest.mark.parametrize(
    "scale",
    [2.37, *(pytest.param(s, marks=pytest.mark.long) for s in (1.5, (4.0, 1.5), 0.5, None))],
)
def test_an_elastic_network_is_exported_at_full_effort(scale):
    model = network({"name": "elastic", "channels": 6, "blocks": 1, "field": FOURIER})
    given = None if scale else (2.37, 1.5)
    assert_agrees(to_onnx(model, scale), upscaler_of(model), scale or given, given=given)


@pytest.mark.parametrize("size", [None, (17, 24)])
def test_a_network_that_cleans_is_exported_at_scale_1_too(size):
    model, x = checkpoint.load(checkpoint.resolve("photo"))[0], detail(17, 24)
    session = opened(to_onnx(model, 1, size=size))
    (result,) = session.run(None, {"input" if size else "image": x.numpy()})
    expected = upscaler_of(model).tensor(x, scale=1)
    torch.testing.assert_close(torch.from_numpy(result), expected, rtol=0, atol=1e-5)
    assert not torch.allclose(expected, x, atol=1e-3)


def test_there_is_nothing_to_export_at_scale_1():
    with pytest.raises(ValueError, match="expected a scale to export a network for, got 1"):
        to_onnx(network(), 1)


def test_the_network_has_its_part_in_what_is_compared():
    model, x = network(), torch.rand(1, 3, 20, 20)
    bicubic = resize(x, ProjectedGrid.project((20, 20), (40, 40))).clamp(0, 1)
    assert (run(opened(to_onnx(model, 2)), x) - bicubic).abs().mean() > 0.05


@pytest.mark.parametrize("name", ["plain", "elastic"])
@pytest.mark.parametrize("scale", [1.5, 2.37])
def test_the_guard_is_exported(name, scale):
    encoder = {"name": name, "channels": 6, "blocks": 3, "closing": True}
    encoder |= {"field": FOURIER} if name == "elastic" else {}
    plain, x, largest = network(encoder), torch.rand(1, 3, 24, 17), []
    body = plain.encoder.body
    handle = body.register_forward_pre_hook(lambda _, given: largest.extend(body.largest(given[0])))
    with torch.inference_mode():
        plain.encoder(x - 0.5, plain.encoder.grid((24, 17)))
    handle.remove()
    guarded = network(encoder | {"limits": [0.9 * value for value in largest]})
    with torch.inference_mode():
        trust = guarded.features(x, guarded.encoder.grid((24, 17))).trust
    assert 0.05 < trust.mean() < 0.99
    assert_agrees(to_onnx(guarded, scale), upscaler_of(guarded), scale, sizes=[(24, 17), (31, 33)])
    assert "MaxPool" not in {node.op_type for node in to_onnx(plain, scale).graph.node}


@pytest.mark.parametrize("scale", [1.5, 2.37])
def test_the_shipped_model_agrees(scale):
    upscaler = Upscaler.load("light", device="cpu", precision="fp32", tile="off")
    assert_agrees(to_onnx(upscaler.model, scale), upscaler, scale, sizes=[(40, 53)])


@pytest.mark.thinned(3)
@pytest.mark.parametrize("scale", [2.0, 2.5, 2.37])
@pytest.mark.parametrize(
    "parts",
    [
        {"encoder": {"name": "edsr", "channels": 6, "blocks": 2}},
        {
            "stack": {"name": "direct", "channels": 5, "field": FOURIER},
            "decoder": {"name": "pointwise", "hidden": 4, "layers": 3},
        },
        {
            "stack": {"name": "gradual", "channels": 5, "layers": 2, "field": FOURIER},
            "decoder": {"name": "pointwise", "layers": 1},
        },
        {"stack": FRIENDLY | {"last_field": {"name": "cubic", "kernel_size": 4}}},
        {"stack": FRIENDLY | {"field": FOURIER | {"kernel_size": 4}, "factor": 3}},
    ],
    ids=["edsr", "direct", "gradual", "cubic", "friendly of 3"],
)
def test_every_part_can_be_exported(parts, scale):
    model = network(**parts)
    assert_agrees(to_onnx(model, scale), upscaler_of(model), scale, sizes=[(7, 10)])


MLP = FRIENDLY | {"last_field": {"name": "mlp", "kernel_size": 3, "basis": 3, "hidden": 4}}


@pytest.mark.parametrize("scale", [2.0, 2.5])
def test_a_field_that_is_not_separable_needs_few_phases(scale):
    model = network(stack=MLP)
    assert_agrees(to_onnx(model, scale), upscaler_of(model), scale, sizes=[(7, 10)])
    with pytest.raises(ValueError, match=r"type MLPField at this scale: .* such as 2"):
        to_onnx(model, 2.37)


@pytest.mark.thinned(2)
@pytest.mark.parametrize(
    "scale",
    [(1.5, 1.5), (2.0, 2.0), (2.37, 2.37), (4.0, 1.5), (6.0, 3.5), (7.9, 16.0),
        pytest.param((66.0, 40.0), marks=pytest.mark.long)],
)  # fmt: skip
def test_scale_as_an_input(scale, for_any_scale):
    assert_agrees(for_any_scale, upscaler_of(network()), scale, given=scale)


@pytest.mark.parametrize(
    ("scale", "step", "found"),
    [
        (4.0, 1, True),
        (5.0, 1, False),
        (5.0, 2, True),
        (4.5, 2, False),
        (4.5, 4, True),
        (2.37, 4, False),
        (1.5, 4, False),  # reduces from the grid of twice the picture
        (80.0, 1, False),  # has more phases than a convolution is worth
    ],
)
def test_scales_at_which_positions_repeat_are_known_when_the_graph_runs(scale, step, found):
    graph, size = Graph(), Value("size")
    pixels = Line.image(graph, graph("Gather", size, 0))
    inner, outer = pixels.project(graph, 2.0), pixels.project(graph, 1.0, Value("scale"))
    asked = helper.make_tensor_value_info("repeats", TensorProto.BOOL, [])
    inputs = [
        helper.make_tensor_value_info("size", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("scale", TensorProto.DOUBLE, []),
    ]
    exported = graph.model(inputs, repeats(graph, (inner, inner), (outer, outer), step), asked)
    (told,) = opened(exported).run(None, {"size": np.array([7]), "scale": np.array(scale)})
    assert told == found


def test_a_smaller_scale_as_an_input_is_taken_as_the_smallest(for_any_scale):
    x, session = torch.rand(1, 3, 6, 8), opened(for_any_scale)
    assert torch.equal(run(session, x, (1.2, 2.0)), run(session, x, (1.5, 2.0)))


@pytest.mark.parametrize("scale", [math.inf, math.nan, -math.inf, 1025.0])
def test_a_scale_as_an_input_that_makes_no_sense_is_an_error(scale, for_any_scale):
    x, session = torch.rand(1, 3, 6, 8), opened(for_any_scale)
    for pair in ((scale, 2.0), (2.0, scale)):
        if scale == -math.inf:  # below the smallest
            assert torch.equal(run(session, x, pair), run(session, x, np.maximum(pair, 1.5)))
        else:
            with pytest.raises(Exception, match="scale_must_be_a_number_up_to_1024"):
                run(session, x, pair)


def test_a_stack_whose_grids_follow_the_scale_needs_one_scale():
    stack = {"name": "gradual", "channels": 5, "field": FOURIER}
    with pytest.raises(ValueError, match=r"'gradual' stack an input: .* from 1\.5 on"):
        to_onnx(network(stack=stack, decoder={"name": "pointwise"}), None)


@pytest.mark.parametrize("scale", [2.0, 2.37])
def test_another_runtime_gives_the_same(scale):
    """onnx's own evaluator, written from the standard's text."""
    model, x = network(), torch.rand(1, 3, 5, 6)
    exported = to_onnx(model, scale)
    (result,) = ReferenceEvaluator(exported).run(None, {"image": x.numpy()})
    expected = upscaler_of(model).tensor(x, scale=scale)
    torch.testing.assert_close(torch.from_numpy(result), expected, rtol=0, atol=1e-5)


def operators(scale):
    return Counter(node.op_type for node in to_onnx(network(), scale).graph.node)


def types(scale):
    return {tensor.data_type for tensor in to_onnx(network(), scale).graph.initializer}


def test_whole_scales_become_convolutions_and_depth_to_space():
    plain = {"Conv", "DepthToSpace", "Pad", "Reshape", "Identity", "Clip"}
    activation = {"Erf", "Div", "Mul", "Add", "Sub"}
    sane = {"Abs", "LessOrEqual", "Where"}
    assert set(operators(4)) == plain | activation | sane
    assert operators(4)["DepthToSpace"] == 3  # the heavy layer, the last layer, the base


def test_scales_of_few_phases_become_convolutions_too():
    assert operators(2.5)["Conv"] == operators(4)["Conv"] == operators((1.5, 4))["Conv"]
    assert not {"Sin", "Cos", "MatMul"} & operators(2.5).keys()
    assert {"Sin", "Cos", "MatMul"} <= operators(2.37).keys()
    assert types(2.5) == {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}
    assert types(2.37) == types(2.5) | {onnx.TensorProto.DOUBLE}


def test_metadata(tmp_path):
    save(
        tmp_path / "a.onnx",
        network(),
        (1.5, 4),
        name="tiny",
        summary={"licence": "MIT", "data": ["ß"]},
    )
    properties = {p.key: p.value for p in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert json.loads(properties.pop("summary")) == {"licence": "MIT", "data": ["ß"]}
    assert properties == {
        "ccsr": __version__,
        "model": "tiny",
        "scale": "4x1.5",
        "licence": "MIT",
        "layout": "NCHW, RGB",
        "range": "0 to 1",
    }


def test_metadata_of_a_scale_that_is_an_input(tmp_path):
    save(tmp_path / "a.onnx", network(), None)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    assert session.get_modelmeta().custom_metadata_map["scale"] == "input"
    assert [each.name for each in session.get_inputs()] == ["image", "scale"]


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match=r"expected a file name that ends in \.onnx, got .*a\.pt"):
        save(tmp_path / "a.pt", network(), 2)
    (tmp_path / "a.onnx").mkdir()
    with pytest.raises(OSError, match=r"cannot write .*a\.onnx: Is a directory"):
        save(tmp_path / "a.onnx", network(), 2)
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


@pytest.mark.parametrize(
    "function", [cubic, lambda x: taper(x, 3), lambda x: first_pixel(position(x, 0.3, 1.7), 1.5)]
)
def test_the_models_own_formulas_are_followed(function):
    offset, name = torch.linspace(-3, 3, 61), Value("offset")
    graph = Graph()
    x, y = (onnx.helper.make_tensor_value_info(each, 1, [61]) for each in (name, "y"))
    model = graph.model([x], add_function(graph, function, name), y)
    (result,) = opened(model).run(None, {"offset": offset.numpy()})
    torch.testing.assert_close(torch.from_numpy(result), function(offset))


@pytest.mark.long
def test_the_example_of_the_page_gives_what_ccsr_upscale_gives(tmp_path, monkeypatch):
    text = PAGE.read_text("utf-8")
    whole, tiles = re.findall(r"```python\n(import numpy.*?)```", text, re.DOTALL)
    assert len(whole.splitlines()) <= 10
    monkeypatch.chdir(tmp_path)
    model, summary = checkpoint.load(checkpoint.resolve("light"))
    save("light_2.5x.onnx", model, 2.5, name="light", summary=summary)
    save("light_window.onnx", model, None, window=True)
    with Image.open(resource_dir("samples") / "chelsea.png") as picture:
        photo = picture.convert("RGB").resize((47, 31))
    photo.save("photo.png")
    upscaler = Upscaler(model, device="cpu", precision="fp32")
    small_tiles = tiles.replace("2.37, 512", "2.37, 32")
    assert small_tiles != tiles
    for code, scale, size in ((whole, 2.5, (78, 118)), (small_tiles, 2.37, (73, 111))):
        exec(code, {})
        with Image.open(f"photo_{scale}x.png") as result:
            difference = np.asarray(result, int) - np.asarray(upscaler(photo, scale=scale), int)
        assert difference.shape == (*size, 3)
        assert abs(difference).max() <= 1


def test_sizes_are_those_of_decimal_factors():
    """50 * 1.15 is 57.5, though not in binary."""
    image = np.random.default_rng(0).random((1, 3, 50, 10), np.float32)
    session = opened(to_onnx(network(), 1.15))
    assert session.run(None, {"image": image})[0].shape == (1, 3, 58, 12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_type_are_exported_as_float32(dtype):
    model = network()
    exported = to_onnx(model.to(dtype), 2)
    assert {each.dtype for each in model.parameters()} == {dtype}
    assert_agrees(exported, upscaler_of(model.float()), 2, sizes=[(7, 10)])
