"""How a function of tensors is compiled on TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a graph; on CPUs that is faster than XLA, and traced in less time."""
    return tf.function(function, autograph=False)


def draws_undone() -> contextlib.AbstractContextManager[None]:
    """Nothing to undo: layers draw from states that are variables."""
    return contextlib.nullcontext()
