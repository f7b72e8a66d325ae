"""Compiles and differentiates functions of tensors, on the backend that Keras uses."""

from __future__ import annotations

import importlib

import keras

from keras_lcb.backend.ops import read

_module = importlib.import_module(f"keras_lcb.landscape.{keras.backend.backend()}_ops")
compiled = _module.compiled
draws_undone = _module.draws_undone
gradients_in_turn = _module.gradients_in_turn
loops_are_slow = _module.loops_are_slow
mapped = _module.mapped
repeated = _module.repeated
value_and_gradients = _module.value_and_gradients

__all__ = [
    "compiled",
    "draws_undone",
    "gradients_in_turn",
    "loops_are_slow",
    "mapped",
    "read",
    "repeated",
    "value_and_gradients",
]
