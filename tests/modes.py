"""How Keras runs a training step: the ways that the backend in use has, for `parametrize`.

Without compiling, JAX and torch run as they do eagerly, and Keras takes several steps at once
on TensorFlow and JAX only.
"""

from __future__ import annotations

import shutil

import keras
import pytest

BACKEND = keras.backend.backend()
# Arguments of `compile` for the backend's usual way.
USUAL = {"jit_compile": BACKEND == "jax"}
NEEDS_COMPILER = pytest.mark.skipif(
    BACKEND == "torch" and not any(map(shutil.which, ("g++", "clang++"))),
    reason="torch compiles with a C++ compiler, and there is none here",
)


def modes(steps, *, eager=True, compiled=True, one=True):
    """Return arguments of `compile`, each with its name.

    Args:
        steps: How many are taken at once, where several are.
        eager: Whether to have the eager mode.
        compiled: Whether to have those that XLA or torch's compiler compiles.
        one: Whether to have those that take one step at a time.
    """
    several = {"steps_per_execution": steps}
    known = {
        "eager": ({"run_eagerly": True}, eager and one),
        "graph": ({"jit_compile": False}, BACKEND == "tensorflow" and one),
        "xla": ({"jit_compile": True}, compiled and one),
        f"{steps} steps": ({"jit_compile": False} | several, BACKEND == "tensorflow"),
        f"{steps} steps in xla": ({"jit_compile": True} | several, compiled and BACKEND != "torch"),
    }
    return [
        pytest.param(mode, id=name, marks=NEEDS_COMPILER if "xla" in name else ())
        for name, (mode, wanted) in known.items()
        if wanted
    ]
