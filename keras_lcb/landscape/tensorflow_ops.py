"""How a function of tensors is compiled on TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a graph; on CPUs that is faster than XLA, and traced in less time."""
    return tf.function(function, autograph=False)
