"""How Keras runs a training step, and which of these ways the backend in use has."""

from __future__ import annotations

import shutil

import keras
import pytest

MODES = {
    "eager": {"run_eagerly": True},
    "graph": {"jit_compile": False},
    "xla": {"jit_compile": True},
    "seven steps": {"jit_compile": False, "steps_per_execution": 7},
    "seven steps in xla": {"jit_compile": True, "steps_per_execution": 7},
}
_WHY_NOT = {
    "tensorflow": {},
    # JAX without compilation is the eager mode under another name, and Keras unrolls the steps.
    "jax": {"graph": "eager, on JAX", "seven steps": "eager, on JAX"},
    "torch": {
        "graph": "eager, on torch",
        "seven steps": "Keras has no steps_per_execution on torch",
        "seven steps in xla": "Keras has no steps_per_execution on torch",
    },
}[keras.backend.backend()]
if keras.backend.backend() == "torch" and not any(map(shutil.which, ("g++", "clang++"))):
    _WHY_NOT["xla"] = "torch compiles with a C++ compiler, and none was found"


@pytest.fixture(params=MODES)
def mode(request):
    """Arguments of `compile`, for each way of running a step."""
    if request.param in _WHY_NOT:
        pytest.skip(_WHY_NOT[request.param])
    return MODES[request.param]


@pytest.fixture
def quick_mode(mode):
    """Every mode but those that compile for seconds: one thorough test of these is enough."""
    slow = {"jax": "run_eagerly", "torch": "jit_compile"}.get(keras.backend.backend(), "")
    if mode.get(slow):
        pytest.skip("compiles for long, and is tested elsewhere")
    return mode


@pytest.fixture
def fast_mode():
    """Arguments of `compile` for the backend's usual way."""
    return {"jit_compile": keras.backend.backend() == "jax"}
