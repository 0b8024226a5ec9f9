"""An ONNX graph is written as a program: its values are names, its operators are calls."""

from collections.abc import Sequence
from typing import Any, NewType

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from ccsr import __version__

OPSET = 17
IR_VERSION = 8  # onnxruntime 1.13 and later read it

Value = NewType("Value", str)
Constant = Tensor | float | int | Sequence[int]


class Graph:
    """Collects nodes and constants in the order in which they are asked for, equal ones once.

    Constants may be given wherever a value may: a Python float becomes a float32 scalar, whole
    numbers become int64 (a scalar, or a vector for a sequence), a tensor keeps its type.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, onnx.NodeProto] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}

    def __call__(self, operator: str, *inputs: Value | Constant, **attributes: Any) -> Value:
        """Add one ONNX operator with one output, and return that."""
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        key = repr((operator, names, attributes))
        if key not in self._nodes:
            output = f"{operator.lower()}_{len(self._nodes)}"
            self._nodes[key] = helper.make_node(operator, names, [output], **attributes)
        return Value(self._nodes[key].output[0])

    def constant(self, value: Constant) -> Value:
        """Make a number or a tensor a constant of the graph, equal ones once."""
        if not isinstance(value, Tensor):
            value = torch.tensor(value)
        array = value.detach().cpu().contiguous().numpy()
        key = str(array.dtype), array.shape, array.tobytes()
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = numpy_helper.from_array(array, name)
        return Value(self._constants[key].name)

    def default(self, name: str, value: Constant) -> Value:
        """Make an input that may be left out: it has this value then."""
        array = torch.as_tensor(value).numpy()
        self._constants[name, array.shape, b""] = numpy_helper.from_array(array, name)
        return Value(name)

    def float(self, value: Value) -> Value:
        """Convert a value to float32, the type of pixels and features."""
        return self("Cast", value, to=TensorProto.FLOAT)

    def double(self, value: Value | int) -> Value:
        """Convert a value to float64, the type of positions."""
        return self("Cast", value, to=TensorProto.DOUBLE)

    def whole(self, value: Value) -> Value:
        """Convert a value to int64, the type of sizes and indices."""
        return self("Cast", value, to=TensorProto.INT64)

    def size(self, value: Value, dimension: int) -> Value:
        """Return the size of one dimension of a value, an int64 scalar."""
        return self("Gather", self("Shape", value), dimension)

    def shape(self, *sizes: Value | int) -> Value:
        """Join scalars to a vector, as Reshape and Slice take them."""
        parts = [
            self.constant([size]) if isinstance(size, int) else self("Unsqueeze", size, [0])
            for size in sizes
        ]
        return self("Concat", *parts, axis=0)

    def model(
        self,
        inputs: Sequence[onnx.ValueInfoProto],
        result: Value,
        output: onnx.ValueInfoProto,
    ) -> onnx.ModelProto:
        """Finish and check the model that gives `result` as `output`; unused nodes are left out."""
        nodes = [helper.make_node("Identity", [result], [output.name])]
        needed = {result}
        for node in reversed(self._nodes.values()):
            if node.output[0] in needed:
                nodes.insert(0, node)
                needed.update(map(Value, node.input))
        constants = [each for each in self._constants.values() if each.name in needed]
        model = helper.make_model(
            helper.make_graph(nodes, "ccsr", inputs, [output], constants),
            producer_name="ccsr",
            producer_version=__version__,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model, full_check=True)
        return model
