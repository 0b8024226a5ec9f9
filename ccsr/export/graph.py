"""An ONNX graph in the making: values are names, operators are calls."""

from collections.abc import Sequence
from typing import NewType

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

OPSET = 17
IR_VERSION = 8  # onnxruntime 1.13 and later read it

Value = NewType("Value", str)
Constant = Tensor | float | int | Sequence[int]


class Graph:
    """Collects nodes and constants in the order in which they are asked for.

    Constants may be given wherever a value may: a Python float becomes a float32 scalar, whole
    numbers become int64 (a scalar, or a vector for a sequence), a tensor keeps its type.
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}

    def __call__(
        self, operator: str, *inputs: Value | Constant, **attributes: int | str | Sequence[int]
    ) -> Value:
        """Add one ONNX operator with one output, and return that."""
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        output = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, names, [output], output, **attributes))
        return Value(output)

    def constant(self, value: Constant) -> Value:
        """A constant; equal ones are stored once."""
        if not isinstance(value, Tensor):
            value = torch.tensor(value)
        array = value.detach().cpu().contiguous().numpy()
        key = str(array.dtype), array.shape, array.tobytes()
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = numpy_helper.from_array(array, name)
        return Value(self._constants[key].name)

    def float(self, value: Value) -> Value:
        """As float32, the type of pixels and features."""
        return self("Cast", value, to=TensorProto.FLOAT)

    def double(self, value: Value) -> Value:
        """As float64, the type of positions."""
        return self("Cast", value, to=TensorProto.DOUBLE)

    def whole(self, value: Value) -> Value:
        """As int64, the type of sizes and indices."""
        return self("Cast", value, to=TensorProto.INT64)

    def size(self, value: Value, dimension: int) -> Value:
        """Size of one dimension, an int64 scalar."""
        return self("Gather", self("Shape", value), dimension)

    def shape(self, *sizes: Value | int) -> Value:
        """Scalars as a shape, for Reshape and Slice."""
        parts = [
            self.constant([size]) if isinstance(size, int) else self("Unsqueeze", size, [0])
            for size in sizes
        ]
        return self("Concat", *parts, axis=0)

    def model(
        self, name: str, inputs: Sequence[onnx.ValueInfoProto], output: onnx.ValueInfoProto
    ) -> onnx.ModelProto:
        """The finished, checked model; `output` names the value that it gives."""
        graph = helper.make_graph(
            self._nodes, name, inputs, [output], list(self._constants.values())
        )
        model = helper.make_model(
            graph,
            producer_name="ccsr",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model, full_check=True)
        return model
