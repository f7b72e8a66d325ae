"""What a model's layers are called with: one symbolic call, which computes no numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras


class CallTrace:
    """The order of first calls, and which layer made which tensor from which."""

    def __init__(self) -> None:
        self.order: list[int] = []
        self.outputs: list[Any] = []
        self._producer: dict[int, tuple[int, list[Any]]] = {}
        self._called: set[int] = set()
        self._kept_alive: list[Any] = []  # an id is unique only while its tensor lives

    def enter(self, layer: keras.layers.Layer) -> None:
        """Notes that a call of the layer begins."""
        if id(layer) not in self._called:
            self._called.add(id(layer))
            self.order.append(id(layer))

    def leave(self, layer: keras.layers.Layer, inputs: Any, outputs: Any) -> None:
        """Notes what the layer made of what."""
        sources = _tensors(inputs)
        for tensor in _tensors(outputs):
            self._kept_alive.append(tensor)
            # The innermost layer that returns a tensor made it; those around it pass it on.
            self._producer.setdefault(id(tensor), (id(layer), sources))

    def heads(self, owners: set[int]) -> set[int]:
        """The owners that an output of the model comes from, through layers without variables."""
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


def trace_calls(model: keras.Model, layers: Iterable[keras.layers.Layer]) -> CallTrace:
    """Calls a model symbolically, and notes which of the layers are called, and with what.

    Args:
        model: A built model.
        layers: Those to watch.

    Raises:
        ValueError: If the shapes of its inputs are not known. What the model's `call` raises comes
            through.
    """
    trace = CallTrace()

    def call(*args: Any, **kwargs: Any) -> Any:
        outputs = model(*args, **kwargs)
        trace.outputs = _tensors(outputs)
        return outputs

    args, kwargs = input_specification(model)
    with _calls_noted(layers, trace):
        keras.src.backend.compute_output_spec(call, *args, **kwargs)
    return trace


@contextlib.contextmanager
def _calls_noted(layers: Iterable[keras.layers.Layer], trace: CallTrace) -> Iterator[None]:
    """Has each layer's `call` report to `trace`; by instance, so that no other model notices."""
    patched = []
    try:
        for layer in layers:
            if "call" in vars(layer):  # wrapped by somebody else: leave it
                continue
            object.__setattr__(layer, "call", _noted(layer, layer.call, trace))
            patched.append(layer)
        yield
    finally:
        for layer in patched:
            object.__delattr__(layer, "call")


def _noted(layer: keras.layers.Layer, call: Callable[..., Any], trace: CallTrace) -> Any:
    def noted(*args: Any, **kwargs: Any) -> Any:
        trace.enter(layer)
        outputs = call(*args, **kwargs)
        trace.leave(layer, (args, kwargs), outputs)
        return outputs

    return noted


def input_specification(model: keras.Model) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Symbolic inputs of the shapes that a model was built with.

    Returns:
        Positional and keyword arguments for a call.

    Raises:
        ValueError: If the shapes are not known.
    """
    if getattr(model, "_functional", None) is not None or hasattr(model, "_inputs_struct"):
        structure = getattr(model, "_inputs_struct", None)
        if structure is None:
            structure = model._functional._inputs_struct
        return (keras.tree.map_structure(_like, structure),), {}
    shapes = dict(model._build_shapes_dict or {})
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
