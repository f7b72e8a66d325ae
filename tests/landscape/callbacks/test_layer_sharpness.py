"""Sharpness along training, against curvature measured afterwards; and that it leaves no trace."""

from __future__ import annotations

import copy

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.landscape import curvature
from keras_lcb.runs import schema
from tests.callbacks.tiny import compiled, data, dense

X, Y = data(count=8)


def trained(*callbacks, epochs=3, model=None, **options):
    model = model or compiled(dense("a", "b", "c"), **options)
    model.fit(X, Y, 4, epochs, verbose=0, shuffle=False, callbacks=list(callbacks))
    return model


@pytest.fixture(scope="module")
def recorded():
    sharpness = lcb.LayerSharpness(X, Y, top_k=2, tolerance=1e-4, trace_samples=40)
    model = trained(sharpness, lcb.GradientNorms())
    return model, sharpness.results


def test_names_and_dimensions(recorded):
    _, run = recorded
    assert run.eigenvalue.dims == run.residual.dims == ("step", "layer", "rank")
    assert run.trace.dims == ("step", "layer")
    assert run.layer.values.tolist() == ["a", "b", "c"]
    assert run.step.values.tolist() == [0, 2, 4, 6]
    assert run["rank"].values.tolist() == [1, 2]
    assert run.attrs["mode"] == "evaluation"
    assert not run.eigenvalue.isnull().any()


def test_first_and_last_record_are_the_models_curvature(recorded):
    model, run = recorded
    for place, at in ((0, compiled(dense("a", "b", "c"))), (-1, model)):
        exact = curvature(at, X, Y, layers=["a", "b", "c"], top_k=2, tolerance=1e-5)
        now = run.isel(step=place)
        np.testing.assert_allclose(now.eigenvalue, exact.eigenvalue, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(
            now.scaled_eigenvalue, exact.scaled_eigenvalue, rtol=1e-4, atol=1e-6
        )
        error = 5 * now.trace_standard_error + 1e-5
        assert (abs(now.trace - exact.trace) <= error).all()


def test_residuals_are_within_the_tolerance(recorded):
    assert (recorded[1].residual <= 1e-4).all()


def test_training_goes_as_without_it(recorded):
    model, _ = recorded
    plain = trained()
    for one, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert _names(model.optimizer) == _names(plain.optimizer)


def _names(optimizer):
    # Keras numbers optimizers as they are made, and begins the paths with that.
    return [variable.path.partition("/")[2] for variable in optimizer.variables]


def test_later_records_begin_where_the_last_ended(monkeypatch):
    sharpness = lcb.LayerSharpness(X, Y, layers=["b"], tolerance=0.05)
    taken = []
    sharpness.measure = _counting(sharpness.measure, taken, monkeypatch)
    trained(sharpness, optimizer=keras.optimizers.SGD(1e-3))
    assert len(taken) == 4
    assert max(taken[1:]) <= taken[0]
    assert max(taken[1:]) <= 3


def _counting(function, taken, monkeypatch):
    from keras_lcb.landscape.host_search import HostSearch

    calls = []
    receive = HostSearch.receive

    def counted(self, products):
        calls.append(1)
        receive(self, products)

    def measured():
        calls.clear()
        record = function()
        taken.append(len(calls))
        return record

    monkeypatch.setattr(HostSearch, "receive", counted)
    return measured


class Bowl(keras.layers.Layer):
    """Multiplies inputs by numbers that can be set, and with them the curvature above it."""

    def build(self, shape):
        self.scale = self.add_weight(shape=shape[1:], initializer="ones", trainable=False)

    def call(self, inputs):
        return inputs * self.scale


def turned(steeper, records, at):
    """Eigenvalues and residuals where one direction becomes `steeper` times the steepest."""
    size, scales = 200, np.ones(200)
    bowl, start = Bowl(), keras.Input((size,))
    line = keras.layers.Dense(1, use_bias=False, name="line")
    model = keras.Model(start, line(bowl(start)))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.diag([3.0] + (size - 1) * [1.0]) * np.sqrt(size / 2)  # the Hessian is diag(9, 1, ...)
    scales[1] = 3.0 * np.sqrt(steeper)

    class Turn(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == at:
                bowl.scale.assign(scales)

    sharpness = lcb.LayerSharpness(x, np.zeros((size, 1)))
    model.fit(x, np.zeros((size, 1)), size, records, verbose=0, callbacks=[Turn(), sharpness])
    run = sharpness.results
    return run.eigenvalue.values[:, 0, 0], run.residual.values[:, 0, 0]


def test_what_becomes_steepest_is_found_by_and_by():
    """Even a direction that nothing leads to, in records of one product and much tolerance."""
    eigenvalues, residuals = turned(steeper=3.0, records=20, at=5)
    np.testing.assert_allclose(eigenvalues[1:6], 9.0, rtol=0.02)
    np.testing.assert_allclose(eigenvalues[16:], 27.0, rtol=0.02)
    assert (residuals <= 0.1).all()


def test_a_record_where_little_has_changed_takes_one_product(monkeypatch):
    sharpness = lcb.LayerSharpness(X, Y, layers=["b"])
    taken = []
    sharpness.measure = _counting(sharpness.measure, taken, monkeypatch)
    trained(sharpness, optimizer=keras.optimizers.SGD(0.0))
    assert taken[-1] == 1


def test_works_beside_other_callbacks_and_in_files(tmp_path):
    sharpness, norms = lcb.LayerSharpness(X, Y, every=2), lcb.GradientNorms()
    convergence = lcb.LayerConvergence()
    trained(convergence, norms, sharpness, epochs=2)
    run = lcb.collect(convergence, norms, sharpness)
    assert {"eigenvalue", "gradient_norm", "distance"} <= set(run.data_vars)
    assert run.step.values.tolist() == [0, 2, 4]
    lcb.save_run(run, tmp_path / "run.nc")
    assert lcb.load_run(tmp_path / "run.nc").equals(run)


def test_one_run_over_several_fits_compiles_once():
    sharpness = lcb.LayerSharpness(X, Y)
    model = trained(sharpness, epochs=1)
    objective = sharpness._objective
    trained(sharpness, epochs=1, model=model)
    assert sharpness._objective is objective
    assert sharpness.results.step.values.tolist() == [0, 2, 4]
    model.compile("sgd", "mae", run_eagerly=model.run_eagerly)
    trained(sharpness, epochs=1, model=model)
    assert sharpness._objective is not objective
    run = sharpness.results
    assert run.step.values.tolist() == [0, 2, 4, 6], "the count goes on with another optimizer"
    exact = curvature(model, X, Y, layers=["a"], tolerance=1e-5)
    np.testing.assert_allclose(run.eigenvalue[-1, 0], exact.eigenvalue[0], rtol=0.02)


def test_frozen_layers_are_left_out_and_said_to_be():
    model = dense("a", "b", "c")
    model.get_layer("b").trainable = False
    sharpness = lcb.LayerSharpness(X, Y)
    trained(sharpness, epochs=1, model=compiled(model))
    run = sharpness.results
    assert np.isnan(run.eigenvalue.sel(layer="b")).all()
    assert np.isfinite(run.eigenvalue.sel(layer=["a", "c"])).all()
    assert "frozen" in schema.missing(run)["eigenvalue/b"]


def test_a_training_that_diverges_goes_on():
    sharpness = lcb.LayerSharpness(X, Y)
    model = compiled(dense("a", "b", "c"), optimizer=keras.optimizers.SGD(1e30))
    trained(sharpness, epochs=2, model=model)
    run = sharpness.results
    assert np.isfinite(run.eigenvalue.isel(step=0)).all()
    assert np.isnan(run.eigenvalue.isel(step=-1)).all()
    assert "NaN or infinite" in schema.missing(run)["eigenvalue"]


def test_can_be_copied_before_and_after_training():
    sharpness = lcb.LayerSharpness(X, Y, layers=["b"])
    copy.deepcopy(sharpness)
    trained(sharpness, epochs=1)
    again = copy.copy(sharpness)
    assert again.results.identical(sharpness.results)
    assert again._made is None, "reading results compiles nothing"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "1 or more"),
        ({"every": 0}, "`every` must be"),
        ({"trace_samples": 1}, "no standard error"),
        ({"tolerance": 2}, "between 0 and 1"),
    ],
)
def test_refuses_settings(options, message):
    with pytest.raises(ValueError, match=message):
        lcb.LayerSharpness(X, Y, **options)


def test_refuses_before_training():
    with pytest.raises(ValueError, match="same number of samples"):
        trained(lcb.LayerSharpness(X, Y[:-1]))
    with pytest.raises(ValueError, match="No layer or nested model is called 'd'"):
        trained(lcb.LayerSharpness(X, Y, layers=["d"]))
    with pytest.raises(ValueError, match="'c' has 10 parameters"):
        trained(lcb.LayerSharpness(X, Y, top_k=11))


# Data sets, and other losses.


def endless():
    while True:
        yield X[:5], Y[:5]
        yield X[5:], Y[5:]


def loader(**options):
    import torch

    tensors = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    return torch.utils.data.DataLoader(tensors, 4, **options)


def test_records_of_a_data_set_are_those_of_its_samples():
    runs = []
    for given, steps in (((X, Y), None), ((endless(),), 2), ((loader(shuffle=True),), None)):
        sharpness = lcb.LayerSharpness(*given, steps=steps, tolerance=1e-4)
        trained(sharpness, epochs=1)
        runs.append(sharpness.results)
        assert schema.settings(runs[-1])["LayerSharpness"]["samples"] == 8
    for run in runs[1:]:
        np.testing.assert_allclose(run.eigenvalue, runs[0].eigenvalue, rtol=1e-3)


def test_what_was_read_serves_for_all_records():
    """After freezing, and in copies, where a generator has nothing left to give."""
    sharpness = lcb.LayerSharpness(iter([(X, Y)]), steps=1, layers=["c"])
    model = trained(sharpness, epochs=1)
    model.get_layer("a").trainable = False
    trained(sharpness, epochs=1, model=compiled(model))
    exact = curvature(model, X, Y, layers=["c"], tolerance=1e-5)
    np.testing.assert_allclose(sharpness.results.eigenvalue[-1], exact.eigenvalue, rtol=0.02)
    fresh = copy.copy(sharpness)
    fresh.reset()
    trained(fresh, epochs=1)
    assert fresh.results.sizes["step"] == 2


def test_a_shuffled_loader_is_trained_on_in_the_order_of_training_without_it():
    import torch

    weights = []
    for probe in (False, True):
        model, batches = compiled(dense("a", "b", "c")), loader(shuffle=True)
        torch.manual_seed(1)
        callbacks = [lcb.LayerSharpness(batches)] if probe else []
        model.fit(batches, epochs=2, verbose=0, shuffle=False, callbacks=callbacks)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def tripled(model, x, y):
    return 3 * keras.ops.mean((model(x) - y) ** 2)


def test_a_loss_in_place_of_the_compiled_one():
    plain = lcb.LayerSharpness(X, Y, tolerance=1e-4)
    given = lcb.LayerSharpness(X, Y, tolerance=1e-4, loss=tripled)
    trained(plain, given, epochs=1)
    expected = 3 * plain.results.eigenvalue
    np.testing.assert_allclose(given.results.eigenvalue, expected, rtol=1e-3)
    assert schema.settings(given.results)["LayerSharpness"]["measured_loss"] == "tripled"


def test_refuses_data_before_training():
    with pytest.raises(ValueError, match="Pass `steps`"):
        lcb.LayerSharpness(endless())
    model = compiled(dense("a", "b", "c"))
    before = model.get_weights()
    with pytest.raises(ValueError, match="no targets"):
        trained(lcb.LayerSharpness(X), model=model)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
