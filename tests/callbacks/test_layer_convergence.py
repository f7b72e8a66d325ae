"""`LayerConvergence` against weights that a plain callback copied, and NumPy."""

from __future__ import annotations

import copy
import threading
import time
import warnings

import keras
import numpy as np
import pytest
from keras import layers

import keras_lcb as lcb
from keras_lcb.analysis import angle_to_end, way_from_start
from keras_lcb.runs import schema
from keras_lcb.training.spool import Spooled
from tests.callbacks.tiny import close, compiled, data, dense, dense_rows, train
from tests.plain_copies import PlainCopies, angles, distances, norms, vectors

BACKEND = keras.backend.backend()
TAKES_SEVERAL = pytest.mark.skipif(
    BACKEND == "torch", reason="Keras has no steps_per_execution on torch"
)


# Definition 2.1, for all kinds of models.


def functional():
    return dense("a", "b", "c"), data(), dense_rows("a", "b", "c")


def sequential():
    model = keras.Sequential(
        [layers.Flatten(), layers.Dense(3, name="a"), layers.ReLU(), layers.Dense(2, name="b")]
    )
    model.build((None, 2, 3))
    return model, data((2, 3)), dense_rows("a", "b")


class Subclassed(keras.Model):
    """Lists its layers against the order of their calls, and owns a weight itself."""

    def __init__(self):
        super().__init__(name="own")
        self.last = layers.Dense(2, name="last")
        self.drop = layers.Dropout(0.1)
        self.first = layers.Dense(4, name="first")

    def build(self, shape):
        self.first.build(shape)
        self.scale = self.add_weight(shape=(4,), initializer="ones", name="scale")
        self.last.build((None, 4))
        self.built = True

    def call(self, x):
        return self.last(self.drop(keras.ops.tanh(self.first(x))) * self.scale)


def subclassed():
    model = Subclassed()
    model.build((None, 6))
    return model, data(), {"own": ["own/scale"], **dense_rows("first", "last")}


def nested_with_a_shared_layer():
    inner = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(5, activation="tanh", name="a"),
            layers.BatchNormalization(name="norm"),
        ],
        name="inner",
    )
    shared = layers.Dense(5, name="shared")
    inputs = keras.Input((6,))
    signal = shared(layers.Dense(5, name="a")(inputs))
    outputs = layers.Dense(2, name="out")(shared(inner(signal)))
    rows = {
        **dense_rows("a", "shared", "inner/a"),
        "inner/norm": ["inner/norm/gamma", "inner/norm/beta"],
        **dense_rows("out"),
    }
    return keras.Model(inputs, outputs), data(), rows


def recurrent():
    inputs = keras.Input((5,), dtype="int32")
    signal = layers.Embedding(7, 4, name="words")(inputs)
    signal = layers.Bidirectional(layers.GRU(3, return_sequences=True, name="gru"), name="both")(
        signal
    )
    outputs = layers.Dense(2, name="out")(layers.LSTM(3, name="lstm")(signal))
    cells = {
        "both/forward_gru": "both/forward_gru/gru_cell",
        "both/backward_gru": "both/backward_gru/gru_cell",
        "lstm": "lstm/lstm_cell",
    }
    parts = ("kernel", "recurrent_kernel", "bias")
    rows = {
        "words": ["words/embeddings"],
        **{name: [f"{cell}/{part}" for part in parts] for name, cell in cells.items()},
        **dense_rows("out"),
    }
    return keras.Model(inputs, outputs), data((5,), whole=7), rows


def attention_and_several_weights():
    inputs = keras.Input((4, 6))
    signal = layers.LayerNormalization(name="norm")(inputs)
    signal = layers.MultiHeadAttention(2, 3, name="attention")(signal, signal)
    signal = layers.SeparableConv1D(5, 2, name="separable")(signal)
    outputs = layers.Dense(2, name="out")(layers.GlobalAveragePooling1D()(signal))
    parts = ("depthwise_kernel", "pointwise_kernel", "bias")
    rows = {
        "norm": ["norm/gamma", "norm/beta"],
        **dense_rows(*(f"attention/{n}" for n in ("query", "key", "value", "attention_output"))),
        "separable": [f"separable/{part}" for part in parts],
        **dense_rows("out"),
    }
    return keras.Model(inputs, outputs), data((4, 6)), rows


@pytest.mark.parametrize(
    "network",
    [
        functional,
        sequential,
        subclassed,
        nested_with_a_shared_layer,
        recurrent,
        attention_and_several_weights,
    ],
    ids=lambda network: network.__name__,
)
def test_a_run_holds_what_definition_2_1_needs(network):
    model, (x, y), rows = network()
    compiled(model, run_eagerly=False)
    convergence, plain = lcb.LayerConvergence(), PlainCopies()
    model.fit(x, y, 4, 3, verbose=0, callbacks=[convergence, plain])
    run = convergence.results

    assert run.layer.values.tolist() == list(rows)
    assert run.step.values.tolist() == [0, 2, 4, 6]
    assert run.parameters.values.tolist() == [
        len(vector) for vector in vectors(model, plain.taken, rows)[0].values()
    ]
    expected = distances(model, plain.taken, rows)
    close(run.distance, expected)
    close(run.normalized_distance, expected / expected[0])
    close(run.angle, angles(model, plain.taken, rows))
    close(run.parameter_norm, norms(model, plain.taken, rows))
    assert run.attrs["provisional"] == 0
    assert run.attrs["reference"] == "final"
    assert set(schema.missing(run)) == {
        f"{name}/{row}"
        for name in ("angle", "angle_to_end")
        for row in rows
        if np.isnan(run.angle.sel(layer=row)).all()
    }
    for row in rows:
        taken = np.stack([v[row] for v in vectors(model, plain.taken, rows)])
        close(run.way_from_start.sel(layer=row), way_from_start(taken))
        kernels = np.stack([v[row] for v in vectors(model, plain.taken, rows, kernels_only=True)])
        if kernels.shape[1]:
            close(run.angle_to_end.sel(layer=row), angle_to_end(kernels), rtol=1e-5)


def test_half_precision_weights_are_compared_in_single_precision():
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(2, dtype="bfloat16", name="low")], name="half"
    )
    compiled(model)
    convergence, plain = lcb.LayerConvergence(), PlainCopies()
    train(model, convergence, plain)
    rows = dense_rows("low")
    close(convergence.results.distance, distances(model, plain.taken, rows))
    close(convergence.results.parameter_norm, norms(model, plain.taken, rows))


def test_an_optimizer_made_of_several():
    model = dense("a", "b")
    sgd, adam = keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.1)
    by_name = keras.optimizers.OptimizerMap(default_optimizer=adam)
    by_name["a/.*"] = sgd
    compiled(model, keras.optimizers.MultiOptimizer(by_name))
    convergence, plain = lcb.LayerConvergence(), PlainCopies()
    train(model, convergence, plain)
    assert convergence.results.step.values.tolist() == [0, 2, 4, 6]
    close(convergence.results.distance, distances(model, plain.taken, dense_rows("a", "b")))


# Frozen layers.


def test_a_frozen_layer_stays_in_the_run_and_never_moves():
    model = dense("a", "b", "c")
    model.get_layer("b").trainable = False
    compiled(model)
    convergence, plain = lcb.LayerConvergence(), PlainCopies()
    train(model, convergence, plain)
    run = convergence.results
    close(run.distance, distances(model, plain.taken, dense_rows("a", "b", "c")))
    assert (run.distance.sel(layer="b") == 0).all()
    assert np.isnan(run.normalized_distance.sel(layer="b")).all()
    assert (run.angle.sel(layer="b") == 0).all()
    assert "ends where it started" in schema.missing(run)["normalized_distance/b"]
    assert run.parameters.sel(layer="b") == 4 * 4 + 4


def test_layers_frozen_and_unfrozen_between_fits_with_a_new_optimizer_each_time():
    model = dense("a", "b", "c")
    convergence, plain = lcb.LayerConvergence(), PlainCopies()
    for frozen in ("a", "c", None):
        for layer in model.layers:
            layer.trainable = layer.name != frozen
        compiled(model)
        train(model, convergence, plain, epochs=1)
    run = convergence.results
    assert run.step.values.tolist() == [0, 2, 4, 6]
    assert run.epoch.values.tolist() == [0, 1, 2, 3]
    rows = dense_rows("a", "b", "c")
    close(run.distance, distances(model, plain.taken, rows))
    close(run.angle, angles(model, plain.taken, rows))
    assert run.angle.sel(layer="a", step=2) == 0
    assert run.distance.sel(layer="c", step=4) == run.distance.sel(layer="c", step=2)


# When records are taken.


@pytest.mark.parametrize(
    ("every", "steps_per_execution", "steps"),
    [
        pytest.param(3, 1, [0, 3, 6, 9, 10], id="n does not divide the epoch"),
        pytest.param(7, 1, [0, 7, 10], id="n is longer than an epoch"),
        pytest.param(1, 1, [*range(11)], id="each update"),
        pytest.param(
            3, 4, [0, 4, 9, 10], id="several steps at once, n smaller", marks=TAKES_SEVERAL
        ),
        pytest.param(5, 4, [0, 5, 10], id="several steps at once, n larger", marks=TAKES_SEVERAL),
    ],
)
def test_every_n_updates(every, steps_per_execution, steps):
    returns = [*range(11)]  # updates at which Keras returns to the host
    options = {}
    if steps_per_execution > 1:
        returns, options = (
            [0, 4, 5, 9, 10],
            {
                "steps_per_execution": steps_per_execution,
                "run_eagerly": False,
            },
        )
    model = compiled(dense("a", "b"), **options)
    convergence, plain = lcb.LayerConvergence(every=every), PlainCopies(each_batch=True)
    train(model, convergence, plain, epochs=2, batches=5)
    run = convergence.results
    assert run.step.values.tolist() == steps
    expected = distances(model, plain.taken, dense_rows("a", "b"))
    close(run.distance, expected[[returns.index(step) for step in steps]])


@pytest.mark.parametrize(
    ("every", "accumulated", "batches", "steps"),
    [("epoch", 2, 5, [0, 2, 5]), (2, 2, 5, [0, 2, 4, 5]), ("epoch", 4, 3, [0, 1])],
)
def test_updates_are_counted_where_gradients_are_accumulated(every, accumulated, batches, steps):
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=accumulated)
    model = compiled(dense("a", "b"), optimizer)
    convergence, plain = lcb.LayerConvergence(every=every), PlainCopies(each_batch=True)
    train(model, convergence, plain, epochs=2, batches=batches)
    run = convergence.results
    assert run.step.values.tolist() == steps
    expected = distances(model, plain.taken, dense_rows("a", "b"))
    close(run.distance, expected[[accumulated * step for step in steps]])


@pytest.mark.skipif(
    BACKEND == "jax", reason="on JAX, `fit` holds the state that `train_on_batch` would change"
)
def test_a_step_that_makes_two_updates():
    model = compiled(dense("a", "b"))
    convergence = lcb.LayerConvergence(every=4)
    x, y = data()
    twice = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: model.train_on_batch(x, y)
    )
    train(model, twice, convergence, epochs=2, batches=8)
    assert convergence.results.step.values.tolist() == [0, 4, 8, 12, 16, 20, 24, 28, 32]


# Endpoints.


def test_final_is_before_and_model_after_averaged_weights_are_swapped_in():
    optimizer = keras.optimizers.SGD(0.3, use_ema=True, ema_momentum=0.8)
    model = compiled(dense("a", "b"), optimizer)
    final, ends = lcb.LayerConvergence(), lcb.LayerConvergence(reference="model", every=4)
    plain = PlainCopies()
    train(model, final, plain, ends)
    rows, after = dense_rows("a", "b"), model.get_weights()
    close(final.results.distance, distances(model, plain.taken, rows))
    assert (final.results.distance[-1] == 0).all()
    assert "averaged" in schema.missing(final.results)["reference"]

    averaged = distances(model, plain.taken, rows, endpoint=after)
    assert ends.results.step.values.tolist() == [0, 4, 6]
    close(ends.results.distance, averaged[[0, 2, 3]])
    assert (averaged[-1] > 1e-3).all()
    assert "reference" not in schema.missing(ends.results)


@pytest.mark.parametrize("first", ["callback", "swap"])
def test_averages_that_would_be_recorded_in_place_of_weights_are_warned_of(first):
    model = compiled(dense("a", "b"), keras.optimizers.SGD(0.3, use_ema=True))
    callbacks = [lcb.LayerConvergence(), keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(model, *(callbacks if first == "callback" else callbacks[::-1]), epochs=1)
    found = [str(each.message) for each in caught if "averages are recorded" in str(each.message)]
    assert len(found) == (first == "swap")
    assert all(each.endswith("Put LayerConvergence before it.") for each in found)


@pytest.mark.parametrize("first", ["callback", "early stopping"])
@pytest.mark.parametrize("every", ["epoch", 4])
def test_final_and_model_where_early_stopping_restores_the_best_weights(first, every):
    model = compiled(dense("a", "b"))
    final = lcb.LayerConvergence(every=every)
    ends = lcb.LayerConvergence(every=every, reference="model")
    plain = PlainCopies()
    # The loss falls, so the first epoch counts as the best and the third is the last.
    stopping = keras.callbacks.EarlyStopping(
        "loss", mode="max", patience=2, restore_best_weights=True
    )
    callbacks = [final, ends, plain]
    callbacks.insert(0 if first == "early stopping" else 3, stopping)
    train(model, *callbacks, epochs=9)
    rows = dense_rows("a", "b")
    steps = [0, 2, 4, 6] if every == "epoch" else [0, 4, 6]
    taken = [plain.taken[step // 2] for step in steps]
    assert final.results.step.values.tolist() == steps
    close(final.results.distance, distances(model, taken, rows))
    assert "restored" in schema.missing(final.results)["reference"]
    close(ends.results.distance, distances(model, taken, rows, endpoint=plain.taken[1]))


def test_model_is_what_one_fit_ends_with_until_the_next_ends():
    model = compiled(dense("a", "b"))
    ends, plain = lcb.LayerConvergence(reference="model"), PlainCopies()
    train(model, ends, plain, epochs=1)
    ends.set_model(model)  # as the next `fit` does
    changed = [weights + 1 for weights in model.get_weights()]
    model.set_weights(changed)
    assert "reference" not in schema.missing(ends.results)
    close(ends.results.distance, distances(model, plain.taken, dense_rows("a", "b")))


def test_a_model_that_was_trained_further_before_its_end_was_read():
    model = compiled(dense("a", "b"))
    ends = lcb.LayerConvergence(reference="model")
    train(model, ends, epochs=1)
    train(model, epochs=1)
    assert "trained further before" in schema.missing(ends.results)["reference"]


# Which layers.


def test_layers_by_name_by_prefix_and_by_function():
    model = compiled(dense("stem", "block1_a", "block1_b", "head"))
    chosen = lcb.LayerConvergence(layers=["head", "block1"])
    grouped = lcb.LayerConvergence(
        layers=lambda layer: None if layer.name == "head" else layer.name[:5]
    )
    plain = PlainCopies()
    train(model, chosen, grouped, plain)
    single = dense_rows("stem", "block1_a", "block1_b", "head")
    block = single["block1_a"] + single["block1_b"]
    for convergence, rows in [
        (chosen, {"block1": block, "head": single["head"]}),
        (grouped, {"stem": single["stem"], "block": block}),
    ]:
        run = convergence.results
        assert run.layer.values.tolist() == list(rows)
        close(run.distance, distances(model, plain.taken, rows))
        close(run.angle, angles(model, plain.taken, rows))
    with pytest.raises(
        ValueError, match="No layer or nested model is called 'steam'.* Nearest: stem"
    ):
        train(model, lcb.LayerConvergence(layers=["steam"]))


# Memory.


def wide():
    keras.utils.set_random_seed(0)
    return compiled(
        keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(60, activation="tanh", name="a"),
                layers.Dense(60, activation="tanh", name="b"),
                layers.Dense(2, name="c"),
            ]
        )
    )


def test_sketched_distances_lie_within_three_standard_errors_of_exact_ones():
    exact = lcb.LayerConvergence(every=1)
    sketches = [
        lcb.LayerConvergence(every=1, memory="sketch", buckets=128, seed=seed) for seed in range(40)
    ]
    train(wide(), exact, *sketches, epochs=1, batches=12)
    expected = exact.results
    assert "distance_standard_error" not in expected
    gaps = []
    for sketched in (callback.results for callback in sketches):
        error = sketched.distance_standard_error
        np.testing.assert_array_equal(sketched.angle, expected.angle)
        np.testing.assert_array_equal(sketched.parameter_norm, expected.parameter_norm)
        # The last layer is no longer than a sketch, so it is kept whole.
        np.testing.assert_array_equal(sketched.distance[:, 2], expected.distance[:, 2])
        assert (error[:, 2] == 0).all() and (error[-1] == 0).all()
        np.testing.assert_allclose(error[:-1, :2] / sketched.distance[:-1, :2], 1 / 16)
        assert (sketched.distance[-1] == 0).all()
        gaps.append(((sketched.distance - expected.distance) / error)[:-1, :2])
    gaps = np.array(gaps)
    assert (abs(gaps) <= 3).mean() >= 0.99
    assert 0.7 < np.sqrt((gaps**2).mean()) < 1.3  # and the standard error is one


def test_exact_records_past_the_budget_are_refused_before_training():
    model = wide()
    weights = model.get_weights()
    size = 4 * model.count_params()
    convergence = lcb.LayerConvergence(budget=10 * size)
    train(model, convergence, epochs=9)  # ten records with the first
    model.set_weights(weights)
    with pytest.raises(ValueError, match=r"11 exact records of 0\.016 MiB .* memory='sketch'"):
        train(model, lcb.LayerConvergence(budget=10 * size), epochs=10)
    for now, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, before)
    with pytest.raises(ValueError, match="over the budget"):
        train(model, lcb.LayerConvergence(every=2, budget=10 * size), epochs=10, batches=2)
    later = lcb.LayerConvergence(budget=10 * size)
    train(model, later, epochs=100, initial_epoch=91)
    assert later.results.sizes["step"] == 10
    train(model, lcb.LayerConvergence(budget=1, reference=weights), epochs=1)  # keeps no weights


@pytest.mark.parametrize(
    ("every", "further", "refused"),
    [
        ("epoch", {"epochs": 4}, {"epochs": 5}),  # 4 records are there, and 8 have room
        ("epoch", {"epochs": 7, "initial_epoch": 3}, {"epochs": 9, "initial_epoch": 4}),
        (2, {"epochs": 4}, {"epochs": 5}),  # after updates 8, 10, …, but 6 is there
        (4, {"epochs": 8}, {"epochs": 10}),  # 0, 4, 6, 8, 12, 16, 20 and 22, but not 24 and 26
    ],
)
def test_records_of_a_further_fit_past_the_budget_are_refused_before_it(every, further, refused):
    model = wide()
    weights = model.get_weights()
    for options in (further, refused):
        convergence = lcb.LayerConvergence(every=every, budget=8 * 4 * model.count_params())
        train(model, convergence)
        model.set_weights(weights)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            if options is further:
                train(model, convergence, **options)
                assert convergence.results.sizes["step"] == 8
            else:
                with pytest.raises(ValueError, match="9 exact records .* over the budget"):
                    train(model, convergence, **options)
    for now, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, before)


def test_records_that_fill_the_budget_exactly_stay_exact():
    model = wide()
    convergence = lcb.LayerConvergence(every=4, budget=4 * 4 * model.count_params())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        train(model, convergence, batches=3)
    assert convergence.results.step.values.tolist() == [0, 4, 8, 9]


@pytest.mark.parametrize("on_device", [False, True])
def test_an_overflow_that_was_not_foreseen_loses_nothing(on_device):
    model = wide()
    x, y = data()

    def batches():
        while True:
            yield x, y

    def stop(batch, logs):
        model.stop_training = batch == 8

    exact = lcb.LayerConvergence(every=1)
    budget = 5 * 4 * model.count_params()
    small = lcb.LayerConvergence(every=1, buckets=256, budget=budget, on_device=on_device)
    plain = PlainCopies(each_batch=True)
    stopping = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
    with pytest.warns(UserWarning, match="5 exact records fill the budget .* to sketches of 256"):
        model.fit(batches(), verbose=0, callbacks=[exact, small, plain, stopping])
    run, expected = small.results, exact.results
    assert run.step.values.tolist() == list(range(10))
    assert (abs(run.distance - expected.distance) <= 4 * run.distance_standard_error).all()
    np.testing.assert_allclose(run.angle, expected.angle, rtol=1e-5 if on_device else 0, atol=1e-7)
    assert schema.settings(run)["LayerConvergence"]["memory"] == "sketch"
    rows = dense_rows("a", "b", "c")
    close(expected.distance, distances(model, plain.taken, rows))
    sketches = 10 * 4 * (256 + 256 + 122)  # of ten records; the last layer is kept whole
    assert _held(small.records) < sketches + 10 * 8 * 4 * 10


def _held(records):
    """Returns the bytes of all arrays that records keep in memory, each array once."""
    values = [value for record in records for value in record.values()]
    arrays = [v.spool.table() if isinstance(v, Spooled) else v for v in values]
    whole = {}
    for array in arrays:
        while isinstance(getattr(array, "base", None), np.ndarray):
            array = array.base
        whole[id(array)] = getattr(array, "nbytes", 8)
    return sum(whole.values())


def test_ways_of_sketches_and_of_given_endpoints():
    model = wide()
    exact, sketched = lcb.LayerConvergence(), lcb.LayerConvergence(memory="sketch", buckets=256)
    train(model, exact, sketched)
    run, expected = sketched.results, exact.results
    close(run.way_from_start, expected.way_from_start, rtol=1e-6)  # the start is known whole
    large = run.parameters > 256
    assert large.any() and np.isnan(run.angle_to_end.sel(layer=large)).all()
    close(run.angle_to_end.sel(layer=~large), expected.angle_to_end.sel(layer=~large))
    missing = schema.missing(run)
    for layer in run.layer.values[large.values]:
        assert "memory='exact'" in missing[f"angle_to_end/{layer}"]
    ends = model.get_weights()
    again, given = wide(), lcb.LayerConvergence(reference=ends)
    train(again, given)
    for name in ("distance", "angle_to_end", "way_from_start"):
        close(given.results[name], expected[name], rtol=1e-5)


def test_snapshots_on_the_device_are_the_same():
    model = compiled(dense("a", "b"))
    host = lcb.LayerConvergence(every=1)
    device = lcb.LayerConvergence(every=1, on_device=True)
    train(model, host, device)
    np.testing.assert_array_equal(device.results.distance, host.results.distance)
    kept = device._records[0]["kept/0"]
    assert keras.ops.is_tensor(kept) and not isinstance(kept, np.ndarray)


def test_sketches_made_on_the_device_are_the_same_and_no_weights_come_to_the_host(monkeypatch):
    model = wide()
    host, device = (
        lcb.LayerConvergence(every=1, memory="sketch", buckets=256, on_device=there)
        for there in (False, True)
    )
    train(model, host, device)
    run, expected = device.results, host.results
    assert (run.parameters > 256).any() and (run.parameters <= 256).any()
    for name in expected.data_vars:
        np.testing.assert_allclose(run[name], expected[name], rtol=1e-5, atol=1e-6, err_msg=name)

    def refuse(_):
        raise AssertionError("weights were copied to the host")

    largest = []
    convert = keras.ops.convert_to_numpy
    monkeypatch.setattr(
        keras.ops, "convert_to_numpy", lambda x: largest.append(int(np.prod(x.shape))) or convert(x)
    )
    for module in ("layer_convergence", "snapshots"):
        monkeypatch.setattr(f"keras_lcb.callbacks.{module}.parameter_vectors", refuse)
    device.measure()
    assert 0 < max(largest) <= 256 * len(run.layer)


def test_a_bias_that_is_not_finite_leaves_the_kernels_angle_known():
    model = wide()
    exact, device = (
        lcb.LayerConvergence(**options)
        for options in ({}, {"memory": "sketch", "buckets": 50, "on_device": True})
    )
    train(model, exact, device)
    weights = model.get_weights()
    bias = next(place for place, values in enumerate(weights) if values.ndim == 1)
    weights[bias][0] = np.inf
    model.set_weights(weights)
    device._unrecorded = None
    found = device._sketched_on_device()
    assert np.isinf(found["parameter_norm"]).sum() == 1
    assert np.isfinite(found["angle"]).all() and np.isfinite(found["kernel_norm"]).all()


def test_layers_are_measured_together_until_they_are_large(monkeypatch):
    monkeypatch.setattr("keras_lcb.callbacks.device_sketches._AT_ONCE", 100)
    model = wide()
    exact, device = (
        lcb.LayerConvergence(**options)
        for options in ({}, {"memory": "sketch", "buckets": 50, "on_device": True})
    )
    train(model, exact, device)
    for name in ("parameter_norm", "angle", "way_from_start"):
        close(device.results[name], exact.results[name], rtol=1e-5)


# Several fits.


def test_fits_go_on_with_one_run_until_reset():
    model = compiled(dense("a", "b"))
    convergence, plain = lcb.LayerConvergence(), PlainCopies()
    train(model, convergence, plain, epochs=2)
    train(model, convergence, plain, epochs=1)
    train(model, convergence, plain, epochs=5, initial_epoch=4)
    run = convergence.results
    assert run.step.values.tolist() == [0, 2, 4, 6, 8]
    assert run.epoch.values.tolist() == [0, 1, 2, 3, 5]
    assert (np.diff(run.wall_time) > 0).all()
    close(run.distance, distances(model, plain.taken, dense_rows("a", "b")))

    with pytest.raises(ValueError, match="holds the run of the model 'chain' and cannot continue"):
        train(compiled(dense("a", "b")), convergence)
    assert convergence.results.sizes["step"] == 5

    convergence.reset()
    with pytest.raises(RuntimeError, match="recorded nothing yet"):
        convergence.results  # noqa: B018
    plain = PlainCopies()
    other = compiled(dense("a", "b"))
    train(other, convergence, plain, epochs=1)
    assert convergence.results.step.values.tolist() == [0, 2]
    close(convergence.results.distance, distances(other, plain.taken, dense_rows("a", "b")))


def test_a_hand_written_loop():
    model = compiled(dense("a", "b"))
    convergence = lcb.LayerConvergence()
    x, y = data()
    with lcb.track(model, convergence) as tracker:
        for _ in range(3):
            loss = float(model.train_on_batch(x, y))
            tracker.record(loss=loss)
        model.train_on_batch(x, y)
    assert convergence.results.step.values.tolist() == [0, 1, 2, 3, 4]
    assert convergence.results.loss[3] == loss


# Results at any time.


class Reader(keras.callbacks.Callback):
    """Reads results after each batch, and copies the weights as they are then."""

    def __init__(self, convergence):
        super().__init__()
        self.convergence = convergence
        self.plain = []
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.plain.append(self.model.get_weights())
        self.seen.append(self.convergence.results)


def test_another_callback_reads_provisional_results_against_the_newest_weights():
    model = compiled(dense("a", "b"))
    convergence, plain = lcb.LayerConvergence(), PlainCopies()
    reader = Reader(convergence)
    train(model, reader, plain, convergence, epochs=2)
    rows = dense_rows("a", "b")
    for run, now in zip(reader.seen, reader.plain, strict=True):
        taken = plain.taken[: run.sizes["step"]]
        assert run.attrs["provisional"] == 1
        close(run.distance, distances(model, taken, rows, endpoint=now))
    assert [run.sizes["step"] for run in reader.seen] == [1, 1, 2, 2]
    assert convergence.results.attrs["provisional"] == 0


def test_another_thread_reads_results_while_training_runs():
    model = compiled(dense("a", "b"))
    convergence = lcb.LayerConvergence(every=1)
    seen, errors, done = [], [], threading.Event()

    def read():
        while not done.is_set():
            try:
                seen.append(convergence.results)
            except RuntimeError as error:
                if "recorded nothing yet" not in str(error):
                    errors.append(error)
            time.sleep(0.005)  # so that the training gets its turn

    reader = threading.Thread(target=read)
    reader.start()
    train(model, convergence, epochs=2, batches=30)
    done.set()
    reader.join()
    assert not errors
    during = [run for run in seen if run.attrs["provisional"]]
    assert during
    for run in during:
        assert (run.distance[-1] == 0).all()


def test_what_a_failed_fit_recorded_stays_and_the_next_goes_on():
    model = compiled(dense("a", "b"))
    convergence, plain = lcb.LayerConvergence(every=2), PlainCopies(each_batch=True)

    def fail(batch, logs):
        if batch == 2:
            raise KeyboardInterrupt

    failing = keras.callbacks.LambdaCallback(on_train_batch_end=fail)
    with pytest.raises(KeyboardInterrupt):
        train(model, convergence, plain, failing, batches=4)
    run, rows = convergence.results, dense_rows("a", "b")
    assert run.attrs["provisional"] == 1
    assert run.step.values.tolist() == [0, 2]
    taken = [plain.taken[0], plain.taken[2]]
    close(run.distance, distances(model, taken, rows, endpoint=model.get_weights()))

    compiled(model)  # a new optimizer, which counts from 0
    train(model, convergence, plain, epochs=1, batches=4)
    run = convergence.results
    assert run.step.values.tolist() == [0, 2, 3, 4, 6, 7]
    assert (np.diff(run.wall_time) > 0).all()
    assert run.attrs["provisional"] == 0
    taken = [plain.taken[place] for place in (0, 2, 3, 4, 6, 7)]
    close(run.distance, distances(model, taken, rows))


# What goes wrong in training.


def test_weights_that_become_nan_are_recorded_as_such():
    model = compiled(dense("a", "b"))
    x, y = data(count=12)
    y[6:8] = np.nan
    convergence, plain = lcb.LayerConvergence(every=1), PlainCopies(each_batch=True)
    model.fit(x, y, 2, verbose=0, shuffle=False, callbacks=[convergence, plain])
    run, rows = convergence.results, dense_rows("a", "b")
    assert run.attrs["first_nonfinite_update"] == 4
    assert run.step.values.tolist() == list(range(7))
    close(run.parameter_norm, norms(model, plain.taken, rows))
    close(run.angle, angles(model, plain.taken, rows))
    assert np.isfinite(run.parameter_norm[:4]).all()
    assert np.isnan(run.parameter_norm[4:]).all()
    assert "not finite" in schema.missing(run)["distance/a"]


def test_infinite_weights_are_recorded_without_warnings():
    model = compiled(dense("a", "b"))
    convergence = lcb.LayerConvergence()

    def overflow(epoch, logs):
        if epoch == 1:
            model.get_layer("a").bias.assign(np.full(4, np.inf))

    changing = keras.callbacks.LambdaCallback(on_epoch_begin=overflow)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        train(model, convergence, changing)
        run = convergence.results
    assert run.attrs["first_nonfinite_update"] == 4
    assert np.isfinite(run.parameter_norm[:2]).all()


def test_a_kernel_that_starts_at_zero_has_no_angle():
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(2, kernel_initializer="zeros", name="a")]
    )
    convergence = lcb.LayerConvergence()
    train(compiled(model), convergence)
    assert np.isnan(convergence.results.angle).all()
    assert "zero at the start" in schema.missing(convergence.results)["angle/a"]


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"memory": "disk"}, "`memory` must be 'exact' or 'sketch'; received 'disk'"),
        ({"buckets": 0}, "`buckets` must be 1 or more; received 0"),
        ({"every": 0}, "1 or more; received 0"),
        ({"every": -1}, "1 or more; received -1"),
        ({"every": "step"}, "'epoch' or a number of updates, 1 or more; received 'step'"),
        ({"every": True}, "received True"),
        ({"every": 2.5}, "received 2.5"),
    ],
)
def test_bad_arguments(arguments, problem):
    with pytest.raises(ValueError, match=problem):
        lcb.LayerConvergence(**arguments)


def test_models_that_cannot_be_tracked():
    convergence = lcb.LayerConvergence()
    with pytest.raises(ValueError, match="is not compiled.*Call `model.compile"):
        convergence.set_model(dense("a", "b"))
    frozen = dense("a", "b")
    frozen.trainable = False
    frozen.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no trainable variables"):
        train(frozen, convergence)


def test_a_callback_can_be_copied():
    template = lcb.LayerConvergence(every=2)
    runs = []
    for _ in range(2):
        convergence = copy.deepcopy(template)
        train(compiled(dense("a", "b")), convergence)
        runs.append(convergence.results)
    assert [run.step.values.tolist() for run in runs] == [[0, 2, 4, 6]] * 2
    with pytest.raises(RuntimeError, match="recorded nothing"):
        template.results  # noqa: B018
