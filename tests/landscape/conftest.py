"""On JAX the networks of these tests take long to compile, and next to no time to run."""

from __future__ import annotations

import keras
import pytest


@pytest.fixture(autouse=True, scope="package")
def compiled_quickly():
    """Has XLA leave out most optimisations, which takes 40 % off the time of these tests."""
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    kept = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", kept)
