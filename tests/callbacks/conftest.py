"""How the tests of callbacks run a training step; see `tests.modes`."""

from __future__ import annotations

import pytest

from tests.modes import BACKEND, USUAL, modes


@pytest.fixture(params=modes(7))
def mode(request):
    """Arguments of `compile`, for each way of running a step."""
    return request.param


# One thorough test is enough of the modes that compile for seconds: the eager one on JAX, which
# compiles operation by operation, and that of torch's compiler.
@pytest.fixture(params=modes(7, eager=BACKEND != "jax", compiled=BACKEND != "torch"))
def quick_mode(request):
    """Every mode but those that compile for seconds."""
    return request.param


@pytest.fixture
def fast_mode():
    """Arguments of `compile` for the backend's usual way."""
    return dict(USUAL)
