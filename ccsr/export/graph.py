"""An ONNX graph is written as a program: its values are names, its operators are calls."""

import math
from collections import ChainMap
from collections.abc import Callable, Iterator, Sequence
from itertools import count
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

_NEUTRAL = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0, "Div": 1.0}  # second inputs that change nothing


class Graph:
    """Collects nodes and constants in the order in which they are asked for, equal ones once.

    Args:
        outer: the graph whose branch this is, see :meth:`choose`.

    What changes nothing, such as a product with 1, is left out: a runtime that drops such a node
    itself must find its name in branches too, and warns where it cannot.

    Constants may be given wherever a value may: a Python float becomes a float32 scalar, whole
    numbers become int64 (a scalar, or a vector for a sequence), a tensor keeps its type.
    """

    def __init__(self, outer: "Graph | None" = None) -> None:
        known = outer._nodes.maps if outer else []
        self._nodes: ChainMap[str, onnx.NodeProto] = ChainMap({}, *known)
        self._constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = (
            outer._constants if outer else {}
        )
        self._scalars: dict[str, float] = outer._scalars if outer else {}
        self._numbers: Iterator[int] = outer._numbers if outer else count()

    def __call__(self, operator: str, *inputs: Value | Constant, **attributes: Any) -> Value:
        """Add one ONNX operator with one output, and return that."""
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        if len(names) == 2 and self._scalars.get(names[1]) == _NEUTRAL.get(operator, math.nan):
            return Value(names[0])
        key = repr((operator, names, attributes))
        if key not in self._nodes:
            output = f"{operator.lower()}_{next(self._numbers)}"
            self._nodes[key] = helper.make_node(operator, names, [output], **attributes)
        return Value(self._nodes[key].output[0])

    def choose(
        self,
        condition: Value,
        then: Callable[["Graph"], Value],
        otherwise: Callable[["Graph"], Value],
    ) -> Value:
        """Add two ways to features, (N, C, H, W), of which a runtime takes one.

        Args:
            condition: a bool scalar.
            then: adds its operators to the graph that it is given, whose values are this one's too.
            otherwise: likewise, where the condition is false.
        """
        branches = {}
        for name, add in (("then_branch", then), ("else_branch", otherwise)):
            inner = Graph(self)
            result = add(inner)
            output = helper.make_tensor_value_info(
                f"{name}_{next(self._numbers)}", TensorProto.FLOAT, [None] * 4
            )
            nodes, _ = inner._needed(result, output)
            branches[name] = helper.make_graph(nodes, name, [], [output])
        name = f"if_{next(self._numbers)}"
        self._nodes[name] = helper.make_node("If", [condition], [name], **branches)
        return Value(name)

    def constant(self, value: Constant) -> Value:
        """Make a number or a tensor a constant of the graph, equal ones once."""
        if not isinstance(value, Tensor):
            value = torch.tensor(value)
        array = value.detach().cpu().contiguous().numpy()
        key = str(array.dtype), array.shape, array.tobytes()
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = numpy_helper.from_array(array, name)
            if not array.ndim:
                self._scalars[name] = float(array)
        return Value(self._constants[key].name)

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
        nodes, needed = self._needed(result, output)
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

    def _needed(
        self, result: Value, output: onnx.ValueInfoProto
    ) -> tuple[list[onnx.NodeProto], set[str]]:
        """List the graph's own nodes that `result` needs, and name all values that they need.

        `result` gets the name of `output`.
        """
        nodes = [helper.make_node("Identity", [result], [output.name])]
        needed = {str(result)}
        for node in reversed([*self._nodes.maps[0].values()]):
            if node.output[0] in needed:
                nodes.insert(0, node)
                needed |= _read(node)
        return nodes, needed


def _read(node: onnx.NodeProto) -> set[str]:
    """Name the values that a node reads, in its branches too; some are made within these."""
    branches = (each.g for each in node.attribute if each.type == onnx.AttributeProto.GRAPH)
    return set(node.input).union(*(_read(each) for branch in branches for each in branch.node))
