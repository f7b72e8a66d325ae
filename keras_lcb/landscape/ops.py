"""What differs between backends where a loss is a function of tensors."""

from __future__ import annotations

import importlib

import keras

from keras_lcb.backend.ops import read

_module = importlib.import_module(f"keras_lcb.landscape.{keras.backend.backend()}_ops")
compiled = _module.compiled
draws_undone = _module.draws_undone
value_and_gradients = _module.value_and_gradients

__all__ = ["compiled", "draws_undone", "read", "value_and_gradients"]
