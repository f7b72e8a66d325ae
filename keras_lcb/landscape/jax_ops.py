"""How a function of tensors is compiled on JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled by XLA."""
    return jax.jit(function)
