"""Formulas and modules of the model become ONNX operators, as `torch.fx` follows them.

What the model computes is written once: the graph gets the model's own functions of positions and
offsets, and its encoders, decoders and activations, whatever their structure.
"""

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, fx, nn

from ccsr.export.graph import Constant, Graph, Value
from ccsr.export.operators import ARITHMETIC, LAYERS, MODULES

_EXPECTED = "expected convolutions, activations, sums, products and joins of channels"


def add_function(
    graph: Graph,
    function: Callable[..., Any],
    *values: Value,
    number: Callable[[float], Constant] = float,
) -> Value:
    """Add a function of tensors that is made of arithmetic, comparisons and the like.

    Args:
        graph: gets the operators.
        function: of as many tensors as there are values.
        values: what it is applied to.
        number: makes constants of the type of the values from the function's numbers.

    Raises:
        ValueError: if it computes anything for which no ONNX operator is known.
    """
    name = getattr(function, "__name__", str(function))
    return _followed(graph, name, function, values, number)


def add_module(graph: Graph, module: nn.Module, x: Value, name: str = "") -> Value:
    """Add a module of convolutions, activations, sums, products and joins of channels.

    Args:
        graph: gets the operators.
        module: a function of one tensor.
        x: what it is applied to.
        name: by which errors call it; that of its class if not given.

    Raises:
        ValueError: if it computes anything else.
    """
    return _followed(graph, name or type(module).__name__, nn.Sequential(module), [x], float)


class _Proxy(fx.Proxy):
    """Tells `x += y`, which changes all that x stands for, from `x = x + y`."""

    def __iadd__(self, other: Any) -> Any:
        return self._changed(operator.iadd, other)

    def __isub__(self, other: Any) -> Any:
        return self._changed(operator.isub, other)

    def __imul__(self, other: Any) -> Any:
        return self._changed(operator.imul, other)

    def __itruediv__(self, other: Any) -> Any:
        return self._changed(operator.itruediv, other)

    def _changed(self, function: Callable[[Any, Any], Any], other: Any) -> Any:
        return self.tracer.create_proxy("call_function", function, (self, other), {})


class _Tracer(fx.Tracer):
    """Follows modules down to functions, but for the few that are more than these."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        is_of_torch = super().is_leaf_module(m, module_qualified_name)
        return is_of_torch and isinstance(m, (*MODULES,))

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)


def _followed(
    graph: Graph,
    name: str,
    function: nn.Module | Callable[..., Any],
    inputs: Sequence[Value],
    number: Callable[[float], Constant],
) -> Value:
    tracer = _Tracer()
    try:
        nodes = list(tracer.trace(function).nodes)
    except (fx.proxy.TraceError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"cannot export {name}: what it does depends on what it is given, {_EXPECTED} ({error})"
        ) from error
    left = iter(inputs)
    values: dict[fx.Node, Value | Tensor] = {}
    for place, node in enumerate(nodes):
        arguments, named = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
        if node.op == "output":
            (result,) = arguments
            break
        if node.op == "placeholder":
            values[node] = next(left)
        elif node.op == "get_attr":
            values[node] = operator.attrgetter(node.target)(tracer.root)
        elif node.op == "call_module":
            layer = tracer.root.get_submodule(node.target)
            kind = next(each for each in MODULES if isinstance(layer, each))
            values[node] = _added(graph, name, kind, [layer, *arguments], named, number)
        elif all(isinstance(values[each], Tensor) for each in node.all_input_nodes):
            values[node] = _computed(node.target, arguments, named)
        elif _changes_in_place(node) and _is_used(node.all_input_nodes[0], nodes[place + 1 :]):
            raise ValueError(
                f"cannot export {name}: {_called(node.target)} changes in place what is used once "
                "more: give it inplace=False, or write x = x + y instead of x += y"
            )
        else:
            values[node] = _added(graph, name, node.target, arguments, named, number)
    if not isinstance(result, str):
        raise ValueError(f"cannot export {name}: expected one tensor that it makes of another")
    return Value(result)


def _computed(target: Any, arguments: Sequence[Any], named: dict[str, Any]) -> Tensor:
    """Compute what follows from weights alone."""
    function = target if callable(target) else getattr(Tensor, target)
    result: Tensor = function(*arguments, **named)
    return result


def _added(
    graph: Graph,
    name: str,
    target: Any,
    arguments: Sequence[Any],
    named: dict[str, Any],
    number: Callable[[float], Constant],
) -> Value:
    """Add the operators of a function, a method or a module of PyTorch."""

    def constant(value: Any) -> Any:
        return number(value) if isinstance(value, int | float) else value

    function = ARITHMETIC.get(target)
    if function:
        arguments = [constant(each) for each in arguments]
        named = {key: constant(each) for key, each in named.items()}
    else:
        function = LAYERS.get(target) or MODULES.get(target)
    if function is None:
        raise ValueError(
            f"cannot export {name}: no ONNX operator is known for {_called(target)}, {_EXPECTED}"
        )
    try:
        inspect.signature(function).bind(graph, *arguments, **named)
        return function(graph, *arguments, **named)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"cannot export {name}: no ONNX operator is known for {_called(target)} of these "
            f"arguments: {error}"
        ) from error


def _changes_in_place(node: fx.Node) -> bool:
    """Say whether what a function is given is another thing afterwards."""
    called = _called(node.target)
    return bool(
        node.target in (operator.iadd, operator.isub, operator.imul, operator.itruediv)
        or (called.endswith("_") and not called.endswith("__"))
        or any(each is True for each in (*node.args, node.kwargs.get("inplace")))
    )


def _is_used(node: fx.Node, later: Sequence[fx.Node]) -> bool:
    return not node.users.keys().isdisjoint(later)


def _called(target: Any) -> str:
    return target if isinstance(target, str) else str(target.__name__)
