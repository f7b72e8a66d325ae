"""How a function of tensors is run on torch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, run as it stands; what needs derivatives turns them on for itself."""
    return torch.no_grad()(function)


def draws_undone() -> contextlib.AbstractContextManager[None]:
    """Sets torch's own generator back afterwards: dropout without a seed draws from it."""
    return torch.random.fork_rng()
