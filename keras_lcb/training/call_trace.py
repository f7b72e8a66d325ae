"""The order in which a model calls its layers, from one symbolic call without numbers."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import keras
import numpy as np

from keras_lcb.backend import internals


class CallObserver(Protocol):
    """The interface of an object that is told when layers are called."""

    def enter(self, layer: keras.layers.Layer) -> None:
        """Is called when a call of the layer begins."""

    def leave(self, layer: keras.layers.Layer, inputs: Any, outputs: Any) -> None:
        """Is called when the call ends."""


class CallTrace:
    """The order in which layers were first called, and which layer computed each tensor."""

    def __init__(self) -> None:
        self.order: list[int] = []
        self.outputs: list[Any] = []
        self._producer: dict[int, tuple[int, list[Any]]] = {}
        self._called: set[int] = set()
        self._kept_alive: list[Any] = []  # an id is unique only while its tensor lives

    def enter(self, layer: keras.layers.Layer) -> None:
        """Records that a call of the layer begins."""
        if id(layer) not in self._called:
            self._called.add(id(layer))
            self.order.append(id(layer))

    def leave(self, layer: keras.layers.Layer, inputs: Any, outputs: Any) -> None:
        """Records that the layer computed `outputs` from `inputs`."""
        sources = _tensors(inputs)
        for tensor in _tensors(outputs):
            self._kept_alive.append(tensor)
            # The innermost layer that returns a tensor computed it. It also leaves first.
            self._producer.setdefault(id(tensor), (id(layer), sources))

    def join(self, other: CallTrace) -> None:
        """Appends the trace of another part of the model."""
        self.order.extend(each for each in other.order if each not in self._called)
        self._called.update(other._called)
        self.outputs.extend(other.outputs)
        self._producer = {**other._producer, **self._producer}
        self._kept_alive.extend(other._kept_alive)

    def heads(self, owners: set[int]) -> set[int]:
        """Returns the layers that compute the model's outputs.

        From each output, the search goes back through layers that are not in `owners`.

        Args:
            owners: The `id` of each layer that owns trainable variables.

        Returns:
            The `id` of each layer found; the layer that was called last if none was found.
        """
        found: set[int] = set()
        visited: set[int] = set()
        queue = list(self.outputs)
        while queue:
            tensor = queue.pop()
            if id(tensor) in visited or id(tensor) not in self._producer:
                continue
            visited.add(id(tensor))
            layer, sources = self._producer[id(tensor)]
            if layer in owners:
                found.add(layer)
            else:
                queue.extend(sources)
        called = [identity for identity in self.order if identity in owners]
        return found or set(called[-1:])


def _tensors(nested: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(nested) if hasattr(leaf, "shape")]


def trace_calls(model: keras.Layer, layers: Iterable[keras.layers.Layer]) -> CallTrace:
    """Calls a model symbolically, and records which layers it calls, and with what.

    Args:
        model: A built model, or a layer.
        layers: The layers to watch.

    Raises:
        ValueError: If the shapes of the model's inputs are not known. Errors in the model's own
            `call` are raised unchanged.
    """
    trace = CallTrace()

    def call(*args: Any, **kwargs: Any) -> Any:
        outputs = model(*args, **kwargs)
        trace.outputs = _tensors(outputs)
        return outputs

    args, kwargs = input_specification(model)
    with calls_noted(layers, trace), _random_numbers_as_they_were():
        internals.output_spec(call, *args, **kwargs)
    return trace


@contextlib.contextmanager
def _random_numbers_as_they_were() -> Iterator[None]:
    """Sets the generators of Python, NumPy and torch back, from which a `call` may draw numbers.

    Symbolic calls do not change those of Keras.
    """
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        with _torch_generators_as_they_were():
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)


def _torch_generators_as_they_were() -> contextlib.AbstractContextManager[None]:
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.random.fork_rng(devices=range(torch.cuda.device_count()))


def read_graph(model: keras.Layer) -> CallTrace | None:
    """Reads from a Functional model's graph what `trace_calls` would note, without any call.

    This saves a symbolic call, which takes long for a large model.

    Returns:
        The trace; `None` if the graph does not show all calls, as with layers that call others.
    """
    if not _graph_tells_all(model):
        return None
    trace = CallTrace()
    trace.enter(model)
    graph = internals.graph_of(model)
    _replay(graph, trace)
    trace.outputs = _tensors(internals.outputs_of(graph))
    return trace


def _graph_tells_all(model: keras.Layer) -> bool:
    graph = internals.graph_of(model)
    if graph is None or "call" in vars(model) or not internals.is_plain_graph(model):
        return False
    return all(
        not isinstance(operation, keras.Layer)
        or (internals.is_from_keras(operation) and not internals.sublayers(operation))
        or _graph_tells_all(operation)
        for operation, _, _ in internals.steps_of_graph(graph)
    )


def _replay(graph: Any, trace: CallTrace) -> None:
    for operation, sources, outputs in internals.steps_of_graph(graph):
        trace.enter(operation)
        inner = internals.graph_of(operation) if isinstance(operation, keras.Layer) else None
        if inner is None:
            trace.leave(operation, sources, outputs)
            continue
        _replay(inner, trace)
        # Inside a nested model, other tensors stand for its inputs and outputs.
        for within, outside in zip(_tensors(internals.inputs_of(inner)), sources, strict=True):
            trace.leave(operation, [outside], [within])
        for outside, within in zip(outputs, _tensors(internals.outputs_of(inner)), strict=True):
            trace.leave(operation, [within], [outside])


@contextlib.contextmanager
def calls_noted(layers: Iterable[keras.layers.Layer], trace: CallObserver) -> Iterator[None]:
    """Makes each layer's `call`, and `quantized_call` of quantized layers, report to `trace`."""
    with contextlib.ExitStack() as stack:
        for layer in layers:
            names = [name for name in ("call", "quantized_call") if name not in vars(layer)]
            noted = {name: _noted(layer, getattr(layer, name), trace) for name in names}
            stack.enter_context(internals.replaced(layer, noted))
        yield


def _noted(layer: keras.layers.Layer, call: Callable[..., Any], trace: CallObserver) -> Any:
    def noted(*args: Any, **kwargs: Any) -> Any:
        trace.enter(layer)
        outputs = call(*args, **kwargs)
        trace.leave(layer, (args, kwargs), outputs)
        return outputs

    return noted


def input_specification(model: keras.Layer) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns symbolic inputs of the shapes for which a model was built.

    Returns:
        Positional and keyword arguments for a call of the model.

    Raises:
        ValueError: If the shapes are not known.
    """
    graph = internals.graph_of(model)
    if graph is not None:
        return (keras.tree.map_structure(_like, internals.inputs_of(graph)),), {}
    shapes = internals.shapes_built_with(model)
    if not shapes:
        raise ValueError("the shapes of its inputs are not known")
    if len(shapes) == 1:
        return (_from_shape(next(iter(shapes.values()))),), {}
    return (), {name.removesuffix("_shape"): _from_shape(shape) for name, shape in shapes.items()}


def _like(tensor: Any) -> keras.KerasTensor:
    return keras.KerasTensor(tensor.shape, dtype=tensor.dtype)


def _from_shape(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {key: _from_shape(value) for key, value in shape.items()}
    if isinstance(shape, (list, tuple)) and not all(
        dimension is None or isinstance(dimension, int) for dimension in shape
    ):
        return type(shape)(_from_shape(value) for value in shape)
    return keras.KerasTensor(tuple(shape), dtype=keras.config.floatx())
