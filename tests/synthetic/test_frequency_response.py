"""Shares, centroids, errors and R² in a run, against NumPy's FFT and least squares."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.synthetic import SineSum, build_network, default_target, probe

TARGET = SineSum([(1, 1.0, 0.3), (3, 0.5, -1.0)])
X = TARGET.grid(64)
K = [1, 3]


def trained(residual, response, *, epochs=3, others=(), **options):
    model = build_network(3, 16, residual, seed=1, **options)
    model.compile(keras.optimizers.SGD(0.005, momentum=0.9), "mse", jit_compile=False)
    fit = {"batch_size": 16, "epochs": epochs, "shuffle": False, "verbose": 0}
    model.fit(X, TARGET(X), callbacks=[*others, response], **fit)
    return model


def fourier(values):
    """2·FFT/N at `K`, worked out as a sum."""
    turns = np.exp(-2j * np.pi * np.outer(K, np.arange(len(values))) / len(values))
    return 2 * turns @ values / len(values)


def parts_by_hand(model):
    """What each block adds through the read-out, in NumPy."""
    weights = [keras.ops.convert_to_numpy(v).astype(float) for v in model.weights]
    kernels, biases = weights[::2], weights[1::2]
    blocks, h = [], X
    for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
        block = np.maximum(h @ kernel + bias, 0)
        blocks.append((block @ kernels[-1])[:, 0])
        h = block if len(blocks) == 1 else h + block
    return blocks, biases[-1][0]


def test_residual_shares_and_errors_against_a_forward_pass_in_numpy():
    response = lcb.FrequencyResponse(X, target=TARGET)
    model = trained(True, response)
    run = response.results
    blocks, bias = parts_by_hand(model)
    wanted = fourier(TARGET(X)[:, 0])
    shares = [(fourier(b) * wanted.conj()).real / abs(wanted) ** 2 for b in blocks]
    last = run.isel(step=-1)
    hidden = ["layer_0", "layer_1", "layer_2"]
    np.testing.assert_allclose(last.frequency_share.sel(layer=hidden), shares, atol=1e-5)
    error = abs(fourier(np.sum(blocks, axis=0) + bias) - wanted) / abs(wanted)
    np.testing.assert_allclose(last.frequency_error, error, atol=1e-5)
    energy = abs(np.fft.rfft(blocks)[:, 1:32]) ** 2
    centroid = (energy * np.arange(1, 32)).sum(axis=1) / energy.sum(axis=1)
    np.testing.assert_allclose(last.frequency_centroid.sel(layer=hidden), centroid, rtol=1e-3)
    assert run.frequency.values.tolist() == K
    assert run.step.values.tolist() == [0, 4, 8, 12]


def test_the_read_out_has_no_part_of_its_own_and_the_run_says_why():
    response = lcb.FrequencyResponse(X, target=TARGET)
    trained(True, response, normalization="layer", epochs=1)
    run = response.results
    assert run.layer.values[-1] == "readout"
    missing = lcb.runs.schema.missing(run)
    for name in ("frequency_share", "frequency_centroid"):
        for layer in run.layer.values:
            known = bool(run[name].sel(layer=layer).notnull().all())
            assert known != (f"{name}/{layer}" in missing)
    assert "bias is constant" in missing["frequency_share/readout"]


def test_a_layer_that_is_called_twice_counts_with_both_calls():
    inputs = keras.Input((1,))
    shared = keras.layers.Dense(8, "tanh", name="shared")
    h = keras.layers.Dense(8, "tanh", name="first")(inputs)
    h = h + shared(h)
    model = keras.Model(inputs, keras.layers.Dense(1, name="out")(h + shared(h)))
    model.compile("sgd", "mse")
    response = lcb.FrequencyResponse(X, target=TARGET, functions=True)
    model.fit(X, TARGET(X), verbose=0, callbacks=[response])
    last = response.results.isel(step=-1)
    parts = last.contribution.sum("layer")
    np.testing.assert_allclose(parts, keras.ops.convert_to_numpy(model(X))[:, 0], atol=1e-5)
    wanted = fourier(TARGET(X)[:, 0])
    share = (fourier(last.contribution.sel(layer="shared").values) * wanted.conj()).real / abs(
        wanted
    ) ** 2
    np.testing.assert_allclose(last.frequency_share.sel(layer="shared"), share, atol=1e-5)


def test_shares_miss_one_by_no_more_than_the_error():
    response = lcb.FrequencyResponse(X, target=TARGET)
    trained(True, response)
    run = response.results
    gap = abs(run.frequency_share.sum("layer") - 1)
    assert (gap <= run.frequency_error + 1e-5).all()
    assert (run.frequency_error.isel(step=-1) < run.frequency_error.isel(step=0)).any()


def test_plain_networks_are_probed_now_and_then_and_at_the_end():
    response = lcb.FrequencyResponse(X, every=4, target=TARGET)
    model = trained(False, response, epochs=8)
    run = response.results
    assert "frequency_share" not in run
    assert "plain" in lcb.runs.schema.missing(run)["frequency_share"]
    probed = run.step[run.r2.sel(layer="layer_0").notnull().all("frequency")].values
    assert probed.tolist() == [0, 4, 8, 12, 16, 20, 28, 32]
    expected = probe(model, X, K).r2
    np.testing.assert_allclose(
        run.r2.isel(step=-1).sel(layer=expected.layer.values), expected, atol=1e-6
    )
    wanted = fourier(TARGET(X)[:, 0])
    predicted = fourier(keras.ops.convert_to_numpy(model(X))[:, 0])
    error = abs(predicted - wanted) / abs(wanted)
    np.testing.assert_allclose(run.frequency_error.isel(step=-1), error, atol=1e-5)


@pytest.mark.parametrize("residual", [False, True])
def test_training_is_not_touched(residual):
    weights = trained(residual, keras.callbacks.Callback(), normalization="batch").get_weights()
    watched = trained(
        residual, lcb.FrequencyResponse(X, every=2, target=TARGET), normalization="batch"
    ).get_weights()
    for one, other in zip(weights, watched, strict=True):
        np.testing.assert_array_equal(one, other)


def test_evaluation_mode_uses_moving_statistics():
    response = lcb.FrequencyResponse(X, target=TARGET)
    model = trained(True, response, normalization="batch")
    predicted = fourier(keras.ops.convert_to_numpy(model(X, training=False))[:, 0])
    wanted = fourier(TARGET(X)[:, 0])
    error = abs(predicted - wanted) / abs(wanted)
    np.testing.assert_allclose(response.results.frequency_error.isel(step=-1), error, atol=1e-4)


@pytest.mark.parametrize("residual", [False, True])
def test_it_joins_the_run_of_the_other_callbacks(residual, tmp_path):
    others = [lcb.LayerConvergence(every=4), lcb.GradientNorms()]
    response = lcb.FrequencyResponse(X, every=8, target=TARGET)
    trained(residual, response, others=others)
    run = lcb.collect(*others, response)
    assert run.layer.values.tolist() == ["layer_0", "layer_1", "layer_2", "readout"]
    assert run.step.values.tolist() == [0, 4, 8, 12]
    name = "frequency_share" if residual else "r2"
    assert run[name].sel(layer="layer_1").notnull().all("frequency").values.tolist() == [
        *(True, False, True, True)
    ]
    lcb.save_run(run, tmp_path / "run.nc")
    assert lcb.load_run(tmp_path / "run.nc").identical(run)


def test_without_a_target_only_centroids():
    response = lcb.FrequencyResponse(X, frequencies=K)
    trained(True, response, epochs=1)
    run = response.results
    assert set(run.data_vars) & {"frequency_share", "frequency_error"} == set()
    assert run.frequency_centroid.sel(layer="layer_2").notnull().all()
    assert lcb.runs.schema.missing(run)["frequency_share"] == "No target was given."


@pytest.mark.parametrize("residual", [False, True])
def test_functions_are_kept_when_asked_for(residual):
    response = lcb.FrequencyResponse(X, target=TARGET, functions=True)
    model = trained(residual, response, epochs=1, normalization="batch")
    run = response.results
    predicted = keras.ops.convert_to_numpy(model(X, training=False))[:, 0]
    np.testing.assert_allclose(run.prediction.isel(step=-1), predicted, atol=1e-5)
    np.testing.assert_array_equal(run.target, TARGET(X)[:, 0])
    np.testing.assert_array_equal(run.x, X[:, 0])
    assert ("contribution" in run) == residual
    if residual:
        np.testing.assert_allclose(run.contribution.sum("layer"), run.prediction, atol=1e-9)


def test_noise_is_no_part_of_the_target():
    noisy = SineSum(TARGET.rows, noise=0.5)
    clean, given = (lcb.FrequencyResponse(X, target=t) for t in (TARGET, noisy))
    model = trained(True, clean, epochs=1, others=[given])
    assert model is not None
    np.testing.assert_array_equal(clean.results.frequency_error, given.results.frequency_error)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"x": X[:, 0]}, "shape"),
        ({"x": np.sort(np.random.default_rng(0).normal(size=(64, 1)), axis=0)}, "equally spaced"),
        ({"x": X[::-1]}, "ascending"),
        ({"frequencies": None}, "must be given"),
        ({"frequencies": [0, 1]}, "1 or more"),
        ({"frequencies": [1.5]}, "whole"),
        ({"frequencies": [32]}, "Nyquist"),
        ({"frequencies": [1, 1]}, "duplicates"),
        ({"target": X[:10]}, "one finite number for each point"),
        ({"target": default_target(), "frequencies": [2]}, "no component"),
        ({"every": 0}, "every"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(ValueError, match=words):
        lcb.FrequencyResponse(**({"x": X, "frequencies": K} | options))


def test_a_model_of_another_kind_is_refused_before_training():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(ValueError, match="hidden Dense layer"):
        model.fit(X, X, verbose=0, callbacks=[lcb.FrequencyResponse(X, frequencies=K)])
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


def test_parts_of_other_layers_than_those_of_the_run_are_no_shares():
    """Without them, the shares of a perfect prediction would not sum to 1."""
    inputs = keras.Input((1,))
    hidden = keras.layers.Add(name="skip")([inputs, keras.layers.Dense(4, name="first")(inputs)])
    model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    model.compile("sgd", "mse", jit_compile=False)
    response = lcb.FrequencyResponse(X, target=TARGET)
    model.fit(X, TARGET(X), verbose=0, callbacks=[response])
    run = response.results
    assert "frequency_share" not in run and "r2" in run
    assert (
        "belong to none of the run's layers" in json.loads(run.attrs["missing"])["frequency_share"]
    )


def test_layers_side_by_side_have_shares_but_a_chain_is_needed_without_them():
    inputs = keras.Input((1,))
    sides = [keras.layers.Dense(4, "tanh", name=name)(inputs) for name in "ab"]
    for join, fits in ((keras.layers.Add(), True), (keras.layers.Concatenate(), False)):
        model = keras.Model(inputs, keras.layers.Dense(1)(join(sides)))
        model.compile("sgd", "mse", jit_compile=False)
        response = lcb.FrequencyResponse(X, target=TARGET)
        if fits:
            model.fit(X, TARGET(X), verbose=0, callbacks=[response])
            assert response.results.frequency_share.notnull().any(["step", "frequency"])[:2].all()
        else:
            with pytest.raises(ValueError, match="chain of Dense layers"):
                model.fit(X, TARGET(X), verbose=0, callbacks=[response])


def test_a_plain_network_needs_points_for_its_probe():
    few = TARGET.grid(24)
    for residual in (True, False):
        model = build_network(2, 8, residual)
        model.compile("sgd", "mse")
        response = lcb.FrequencyResponse(few, target=TARGET)
        if residual:
            model.fit(few, TARGET(few), verbose=0, callbacks=[response])
            assert np.isfinite(response.results.frequency_error).all()
        else:
            with pytest.raises(ValueError, match="needs 25 points or more; received 24"):
                model.fit(few, TARGET(few), verbose=0, callbacks=[response])


def test_a_sequential_model_without_input_is_built_as_fit_builds_it():
    ends = []
    for callbacks in ([], [lcb.FrequencyResponse(X, target=TARGET)]):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
        model.compile("sgd", "mse", jit_compile=keras.backend.backend() == "jax")
        model.fit(X, TARGET(X), verbose=0, callbacks=callbacks)
        ends.append(model.get_weights())
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)
    assert callbacks[0].results.sizes["layer"] == 2


def test_more_than_one_output_is_refused_before_training():
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(4), keras.layers.Dense(2, "tanh")]
    )
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="one number for each point"):
        model.fit(X, np.c_[X, X], verbose=0, callbacks=[lcb.FrequencyResponse(X, frequencies=K)])


def test_points_may_be_as_close_as_they_like_and_must_be_equally_spaced():
    lcb.FrequencyResponse(1e-9 * X, frequencies=K)
    lcb.FrequencyResponse(X.astype("float32"), frequencies=K)
    uneven = 1e-9 * np.array([[0.0], [1.0], [5.0], [6.0], [7.0], [9.0]])
    with pytest.raises(ValueError, match="equally spaced"):
        lcb.FrequencyResponse(uneven, frequencies=[1])
