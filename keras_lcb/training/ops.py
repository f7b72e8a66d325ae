"""The tap's few operations that differ between backends, for the backend in use."""

from __future__ import annotations

import importlib

import keras

_SUPPORTED = ("tensorflow", "jax", "torch")


def _backend_module():
    name = keras.backend.backend()
    if name not in _SUPPORTED:
        raise ImportError(
            f"keras_lcb measures training on {', '.join(_SUPPORTED)}; the Keras backend is "
            f"'{name}'. Set the environment variable KERAS_BACKEND before importing keras."
        )
    return importlib.import_module(f"keras_lcb.training.{name}_ops")


_module = _backend_module()
ACCUMULATOR_DTYPE = _module.ACCUMULATOR_DTYPE
squared_norms = _module.squared_norms
differences = _module.differences
read = _module.read
on_host = _module.on_host
clear = _module.clear
accumulate = _module.accumulate
total_shape = _module.total_shape
total_value = _module.total_value
write_row = _module.write_row
gradients = _module.gradients
where_scaled = _module.where_scaled
uncompiled = _module.uncompiled
