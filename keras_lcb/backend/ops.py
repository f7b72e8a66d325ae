"""The few operations that differ between backends, for the backend in use."""

from __future__ import annotations

import importlib
from types import ModuleType

import keras

_SUPPORTED = ("tensorflow", "jax", "torch")


def _backend_module() -> ModuleType:
    name = keras.backend.backend()
    if name not in _SUPPORTED:
        raise ImportError(
            f"keras_lcb supports the Keras backends {', '.join(_SUPPORTED)}; received '{name}'. "
            "Set the environment variable KERAS_BACKEND before importing keras."
        )
    return importlib.import_module(f"keras_lcb.backend.{name}_ops")


_module = _backend_module()
ACCUMULATOR_DTYPE = _module.ACCUMULATOR_DTYPE
CAN_TRACE_ANEW = _module.CAN_TRACE_ANEW
END_OF_DATA = _module.END_OF_DATA
after = _module.after
squared_norms = _module.squared_norms
squared_distances = _module.squared_distances
read = _module.read
have_values = _module.have_values
on_host = _module.on_host
clear = _module.clear
accumulate = _module.accumulate
total_shape = _module.total_shape
total_value = _module.total_value
write_row = _module.write_row
gradients = _module.gradients
dense = _module.dense
where = _module.where
scale_steps = _module.scale_steps
outside_graph = _module.outside_graph
is_chief = _module.is_chief
processes = _module.processes
trace_in_force = _module.trace_in_force
VariableMaker = _module.VariableMaker
Reduced = _module.Reduced
uncompiled = _module.uncompiled
