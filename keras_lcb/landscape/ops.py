"""What differs between backends where a loss is a function of tensors."""

from __future__ import annotations

import importlib

import keras

from keras_lcb.training.ops import gradients, read

_module = importlib.import_module(f"keras_lcb.landscape.{keras.backend.backend()}_ops")
compiled = _module.compiled
draws_undone = _module.draws_undone

__all__ = ["compiled", "draws_undone", "gradients", "read"]
