"""Which runs and layers are compared, and how NaN of one origin is told from that of another."""

import numpy as np
import pytest

from keras_lcb.analysis.compared import (
    compared_layers,
    has_diverged,
    without_distance,
)


@pytest.fixture
def frozen(run_factory):
    run = run_factory()
    run["distance"][:, 1] = 0.0
    run["normalized_distance"][:, 1] = np.nan
    return run


@pytest.fixture
def diverged(run_factory):
    """As LayerConvergence records it: the endpoint is NaN, and so is every distance."""
    run = run_factory(attrs={"first_nonfinite_update": 20})
    run["distance"][:] = run["normalized_distance"][:] = np.nan
    return run


def test_a_layer_that_never_moved_is_told_from_one_that_diverged(run_factory, frozen, diverged):
    assert without_distance(run_factory()) == {}
    assert without_distance(frozen) == {"layer_1": "never moved"}
    assert set(without_distance(diverged).values()) == {"not finite"}
    for name in ("distance", "normalized_distance"):
        assert without_distance(frozen.drop_vars(name)) == {"layer_1": "never moved"}
        assert set(without_distance(diverged.drop_vars(name)).values()) == {"not finite"}
    assert not has_diverged(frozen) and has_diverged(diverged)


def test_infinite_distances_are_not_finite_whatever_the_attributes_say(run_factory):
    run = run_factory()
    run["distance"][-1, 0] = np.inf
    run["normalized_distance"][:, 0] = np.nan
    assert without_distance(run) == {"layer_0": "not finite"} and has_diverged(run)


def test_a_layer_that_the_reference_lacks_neither_moved_nor_diverged(run_factory):
    run = run_factory()
    run["distance"][:, 2] = run["normalized_distance"][:, 2] = np.nan
    assert without_distance(run) == {"layer_2": "no distance recorded"}
    assert not has_diverged(run)


def test_a_run_that_diverges_on_its_way_to_a_given_endpoint(run_factory):
    run = run_factory(attrs={"first_nonfinite_update": 70})
    assert not has_diverged(run), "gradients only"
    run["distance"][-2:] = run["normalized_distance"][-2:] = np.nan
    assert has_diverged(run) and without_distance(run) == {}
    assert not has_diverged(run.assign_attrs(first_nonfinite_update=-1)), "a gap"


def test_layers_are_compared_that_moved_in_all_runs_but_the_diverged(run_factory, frozen, diverged):
    layers, left_out = compared_layers([diverged, run_factory(), frozen], None)
    assert layers == ["layer_0", "layer_2"] and left_out == {"layer_1": "never moved"}
    layers, left_out = compared_layers([diverged], ("hidden",))
    assert layers == []
    assert left_out == {"layer_0": "not finite", "layer_1": "not finite", "layer_2": "head"}
