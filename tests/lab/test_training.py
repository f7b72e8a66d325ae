"""A lab's training is the synthetic experiment, in pieces."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from keras_lcb.lab.engine.training import Training
from keras_lcb.lab.settings import Settings
from keras_lcb.lab.views.stacking import left_out, stacked
from keras_lcb.lab.views.view import view_of
from keras_lcb.synthetic import run

SETTINGS = Settings(
    depth=2, width=8, updates=100, target="sin(x)", residual=True, learning_rate=0.05
)


def trained(settings, *pieces):
    """The training, advanced by so many records at a time, then to its end."""
    training = Training(settings.config())
    for records in (*pieces, 10_000):
        until = training.records + records
        training.advance(lambda until=until: training.records >= until)
    return training


@pytest.fixture(scope="module")
def whole():
    return trained(SETTINGS)


def test_it_is_the_synthetic_experiment_whatever_the_pieces(whole):
    expected = run(SETTINGS.config())
    pieces = trained(SETTINGS, 1, 3)
    for training in (whole, pieces):
        result = training.run()
        for name in ("normalized_distance", "gradient_norm", "frequency_share", "loss"):
            np.testing.assert_allclose(result[name], expected[name], rtol=1e-4, atol=1e-6)
        assert training.done and training.step == 100
        assert not result.attrs["provisional"]


def test_the_live_view_is_the_run_measured_to_the_newest_weights(whole):
    live, end = whole.view(), view_of(whole.run(), 100)
    assert live.provisional and not end.provisional
    assert live.layers == end.layers and live.carries == end.carries == "share"
    for name in ("steps", "gradient", "loss", "x", "target", "prediction", "contribution"):
        np.testing.assert_allclose(getattr(live, name), getattr(end, name), rtol=1e-5)
    places = np.searchsorted(end.distance_steps, live.distance_steps)
    np.testing.assert_allclose(live.distance, end.distance[places], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(live.carried, end.carried, rtol=1e-5)
    np.testing.assert_allclose(live.error, end.error, rtol=1e-5)


def test_parts_of_a_residual_network_add_up_in_the_view(whole):
    view = whole.view()
    np.testing.assert_allclose(view.contribution.sum(axis=0), view.prediction, atol=1e-5)


def test_the_learning_rate_changes_while_it_trains():
    training = Training(SETTINGS.config())
    training.advance(lambda: training.records >= 2)
    training.learning_rate = 0.01
    training.advance(lambda: False)
    rates = training.run().learning_rate.values
    np.testing.assert_allclose(rates[:3], 0.05)
    np.testing.assert_allclose(rates[3:], 0.01)
    assert training.changes == [(20, 0.01)]
    assert '"learning_rate_changes": [[20, 0.01]]' in training.run().attrs["settings"]


def test_a_loss_that_is_no_number_ends_it():
    wild = dataclasses.replace(SETTINGS, learning_rate=10.0, optimizer="momentum", depth=4)
    training = trained(wild)
    assert training.diverged and training.done and training.step < 100
    view_of(training.run(), 100)


def test_runs_over_seeds_are_one_view_with_a_band(whole):
    other = Training(SETTINGS.config(seed=1))
    other.advance(lambda: False)
    runs = [whole.run(), other.run()]
    both = stacked(runs)
    assert both.seed.values.tolist() == [0, 1] and left_out(runs) == ""
    view = view_of(both, 100)
    low, high = view.spread
    assert view.seeds == 2
    lone = [run.normalized_distance.values for run in runs]
    np.testing.assert_allclose(low, np.minimum(*lone))
    np.testing.assert_allclose(high, np.maximum(*lone))
    np.testing.assert_allclose(view.distance, np.mean(lone, axis=0))


def test_seeds_that_were_stopped_or_diverged_are_no_part_of_the_mean(whole):
    wild = dataclasses.replace(SETTINGS, learning_rate=10.0, optimizer="momentum", depth=4)
    stopped, diverged = Training(SETTINGS.config(seed=1)), Training(wild.config(seed=2))
    stopped.advance(lambda: stopped.records >= 8)
    diverged.advance(lambda: False)
    runs = [diverged.run(), whole.run(), stopped.run()]
    xr.testing.assert_identical(stacked(runs), runs[1])
    first = runs[0].attrs["first_nonfinite_update"]
    assert left_out(runs) == (
        f"Left out: seed 2, which diverged at update {first}; seed 1, which ended at update 80."
    )
    assert stacked(runs[::2]) is runs[2]
    assert left_out(runs[:1]) == "" and stacked(runs[:1]) is runs[0]


def test_a_layer_that_one_seed_knows_no_distance_of_has_none_in_the_mean(whole):
    run = whole.run()
    other = run.assign_attrs(seed=1)
    unmoved = other.assign(normalized_distance=run.normalized_distance.where(run.depth > 0))
    seen = view_of(stacked([run, unmoved]), 100)
    assert np.isnan(seen.half_way[0]) and np.isfinite(seen.half_way[1:]).all()


def test_a_plain_network_shows_what_its_layers_carry():
    training = trained(dataclasses.replace(SETTINGS, residual=False, updates=100))
    view = training.view()
    assert view.contribution is None and view.carries == "r2"
    assert np.isfinite(view.carried[:-1]).all()
