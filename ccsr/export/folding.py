"""What a graph computes from sizes alone becomes constants, once the size of its input is fixed.

What remains are operators on pixels and features, which small runtimes know too.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

_KEPT = ("MatMul",)  # whose results are larger than what they are made from


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the same model with what does not depend on pixels evaluated, but for large filters.

    Args:
        model: its inputs have fixed sizes.
    """
    before = None
    while len(model.graph.node) != before:  # each round lets more shapes be inferred
        before = len(model.graph.node)
        model = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        _fold(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _fold(model: onnx.ModelProto) -> None:
    """Replace the nodes whose results are known by constants, in place."""
    graph = model.graph
    constants = {each.name: each for each in graph.initializer}
    shapes = {each.name: _shape(each) for each in (*graph.input, *graph.value_info)}
    del graph.value_info[:]  # what is inferred anew
    nodes = []
    for node in graph.node:
        name = node.output[0]
        if node.op_type == "Shape" and (shape := shapes.get(node.input[0])):
            constants[name] = helper.make_tensor(name, onnx.TensorProto.INT64, [len(shape)], shape)
        elif node.op_type not in _KEPT and constants.keys() >= set(node.input):
            constants[name] = _evaluated(model, node, [constants[each] for each in node.input])
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(each for name, each in constants.items() if name in used)


def _shape(value: onnx.ValueInfoProto) -> list[int] | None:
    """The sizes of a value, if all are known."""
    sizes = value.type.tensor_type.shape.dim
    return [s.dim_value for s in sizes] if all(s.HasField("dim_value") for s in sizes) else None


def _evaluated(
    model: onnx.ModelProto, node: onnx.NodeProto, inputs: list[onnx.TensorProto]
) -> onnx.TensorProto:
    name = node.output[0]
    asked = [onnx.ValueInfoProto(name=name)]
    graph = helper.make_graph([node], "constant", [], asked, inputs)
    alone = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    (result,) = ReferenceEvaluator(alone).run(None, {})
    return numpy_helper.from_array(np.asarray(result), name)
