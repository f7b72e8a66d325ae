"""How a function of tensors is compiled, on the backend in use."""

from __future__ import annotations

import importlib

import keras

from keras_lcb.training.ops import gradients, read

_module = importlib.import_module(f"keras_lcb.landscape.{keras.backend.backend()}_ops")
compiled = _module.compiled

__all__ = ["compiled", "gradients", "read"]
