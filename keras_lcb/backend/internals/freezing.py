"""The flags `trainable`, which layers, variables and TensorFlow each have."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras

from keras_lcb.backend.internals.layers import flattened, own_variables


@contextlib.contextmanager
def trained_as(
    layers: Iterable[keras.Layer], trains: Callable[[keras.Variable], bool]
) -> Iterator[None]:
    """Sets the flags `trainable` of layers and variables within this context.

    The setters of Keras, which have side effects, are avoided.

    Args:
        layers: The model and all its layers.
        trains: A function that returns whether a variable is trainable within the context.
    """
    layers = list(layers)
    kept = [
        (thing, thing._trainable) for layer in layers for thing in (layer, *own_variables(layer))
    ]
    try:
        for layer in layers:
            for variable in own_variables(layer):
                variable._trainable = trains(variable)
        for layer in layers:  # a layer that contains a trainable one must be trainable, too
            below = [layer, *flattened(layer)]
            own = [variable for each in below for variable in own_variables(each)]
            if own:
                layer._trainable = any(variable._trainable for variable in own)
        yield
    finally:
        for thing, flag in kept:
            thing._trainable = flag


def freeze(
    model: keras.Model, variables: Iterable[keras.Variable], layers: Iterable[keras.Layer]
) -> Callable[[], None]:
    """Sets the flags `trainable` of variables, and of the layers that hold nothing else, to False.

    Args:
        model: The model.
        variables: What is to be frozen.
        layers: Layers to be frozen besides, such as those that own moving statistics only.

    Returns:
        What sets all flags as they were.
    """
    variables = list(variables)
    everything = flattened(model)
    kept = [(v, v.trainable) for v in variables]
    kept_of_layers = [(layer, layer._trainable) for layer in everything]
    _set_flags(variables, [False] * len(variables))
    for layer in everything:  # not by the setter, which sets the flags of all layers below
        own = [v for each in (layer, *flattened(layer)) for v in own_variables(each)]
        if own and not any(v.trainable for v in own):
            layer._trainable = False
    for layer in layers:
        layer._trainable = False

    def thaw() -> None:
        _set_flags([v for v, _ in kept], [flag for _, flag in kept])
        for layer, flag in kept_of_layers:
            layer._trainable = flag

    return thaw


def config_as_now(model: keras.Model) -> dict[str, Callable[[], Any]]:
    """Returns a replacement for `get_config` that goes on to write the present flags of layers.

    A model that is loaded from a file makes optimizer slots only for what its flags let train, and
    can take over the saved slots only if that is the same as when they were made.
    """
    get_config, everything = model.get_config, flattened(model)
    flags = [layer._trainable for layer in everything]

    @functools.wraps(get_config)  # also the mark by which Keras knows a method of its own
    def with_those_flags() -> Any:
        present = [layer._trainable for layer in everything]
        _set_layers(everything, flags)
        try:
            return get_config()
        finally:
            _set_layers(everything, present)

    return {"get_config": with_those_flags}


def _set_layers(layers: Sequence[keras.Layer], flags: Sequence[bool]) -> None:
    for layer, flag in zip(layers, flags, strict=True):
        layer._trainable = flag


def _set_flags(variables: Sequence[keras.Variable], flags: Sequence[bool]) -> None:
    for variable, flag in zip(variables, flags, strict=True):
        variable.trainable = flag
        if keras.backend.backend() == "tensorflow":
            # TensorFlow's gradient tape reads TensorFlow's own flag, not that of Keras.
            for value in getattr(variable.value, "values", (variable.value,)):
                value._trainable = flag
