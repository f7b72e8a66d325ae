"""Similarity along training, against activations that are kept whole and compared in float64."""

from __future__ import annotations

import copy

import keras
import numpy as np
import pytest
from keras import layers

import keras_lcb
from keras_lcb.runs import schema
from keras_lcb.similarity.cka import cka, hsic_vector
from keras_lcb.similarity.representation_similarity import RepresentationSimilarity
from tests.callbacks.tiny import compiled, data, dense, train
from tests.modes import USUAL
from tests.plain_copies import PlainCopies


def probe(count=10, inputs=6):
    return np.random.default_rng(5).normal(size=(count, inputs)).astype("float32")


def of_definition(one, other, sizes):
    """Returns the CKA of whole activations, from mini-batches of these sizes."""
    ends = np.cumsum(sizes)[:-1]
    vectors = []
    for activations in (one, other):
        parts = np.split(np.asarray(activations, "float64").reshape(len(activations), -1), ends)
        vectors.append(hsic_vector([part @ part.T for part in parts]))
    return cka(*vectors)


def test_records_the_similarity_of_whole_activations():
    model, x = compiled(dense("a", "b", "c")), probe(14)
    callback, copies = RepresentationSimilarity(x, batch_size=5), PlainCopies()
    train(model, callback, copies, epochs=3)
    run = callback.results
    assert run.step.values.tolist() == [0, 2, 4, 6]
    assert run.layer.values.tolist() == ["a", "b", "c"]
    whole = keras.Model(model.input, [model.get_layer(name).output for name in "abc"])
    taken = []
    for weights in copies.taken:
        model.set_weights(weights)
        taken.append([keras.ops.convert_to_numpy(output) for output in whole(x)])
    for place, activations in enumerate(taken):
        for layer, now in enumerate(activations):
            for name, other in (("similarity", taken[-1]), ("similarity_to_start", taken[0])):
                truth = of_definition(now, other[layer], [4, 5, 5])
                np.testing.assert_allclose(run[name][place, layer], truth, rtol=1e-4, atol=1e-5)
    assert (run.similarity[0] < 0.999).all()
    np.testing.assert_allclose(run.similarity[-1], 1.0, rtol=1e-12)
    np.testing.assert_allclose(run.similarity_to_start[0], 1.0, rtol=1e-12)
    settings = schema.settings(run)["RepresentationSimilarity"]
    assert settings["samples"] == 14 and settings["batch_size"] == 5


def test_stateful_rnns_are_measured_from_zero_and_keep_their_states():
    """With a learning rate of 0, nothing changes but the states."""
    inputs = keras.Input((5, 3), batch_size=8)
    # On torch, Keras cannot train a stateful LSTM or GRU.
    rnn = layers.SimpleRNN(4, stateful=True, name="rnn")
    model = keras.Model(inputs, layers.Dense(1, name="head")(rnn(inputs)))
    model.compile(keras.optimizers.SGD(0.0), "mse", **USUAL)
    x = np.random.default_rng(0).normal(size=(8, 5, 3)).astype("float32")
    rnn.states[0].assign(np.ones((8, 4)))
    callback = RepresentationSimilarity(x)
    model.fit(x, x[:, 0, :1], batch_size=8, epochs=2, verbose=0, callbacks=[callback])
    np.testing.assert_allclose(callback.results.similarity, 1.0, atol=1e-6)
    states = keras.ops.convert_to_numpy(rnn.states[0])
    assert states.any()
    callback.measure()
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(rnn.states[0]), states)


def test_training_and_model_are_the_same_as_without_it():
    weights = []
    for callbacks in ([], [RepresentationSimilarity(probe(), every=1)]):
        model = compiled(dense("a", "b"), metrics=["mae"])
        names = set(vars(model))
        train(model, *callbacks, epochs=2)
        weights.append([keras.ops.convert_to_numpy(v) for v in model.variables])
        kept = set(vars(model)) - names
    assert callbacks[0].results.step.values.tolist() == [0, 1, 2, 3, 4]
    assert not [name for name in kept if "gram" in name.lower()]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_recording_changes_neither_statistics_nor_random_draws():
    def trained(*callbacks):
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(4, name="a"),
                layers.BatchNormalization(name="n"),
                layers.Dropout(0.5, seed=1),
                layers.Dense(2, name="b"),
            ]
        )
        model.compile("adam", "mse", **USUAL)
        train(model, *callbacks, epochs=2)
        return [keras.ops.convert_to_numpy(v) for v in model.variables]

    callback = RepresentationSimilarity(probe(), every=1, layers=["a", "n"])
    for one, other in zip(trained(callback), trained(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert callback.results.similarity.notnull().all()


def test_a_subclassed_model_that_fit_builds():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = layers.Dense(4, "tanh")
            self.out = layers.Dense(2)

        def call(self, x):
            return self.out(self.hidden(x))

    model = Net()
    model.compile("sgd", "mse", **USUAL)
    callback = RepresentationSimilarity(probe())
    train(model, callback, epochs=2)
    run = callback.results
    assert run.layer.values.tolist() == ["hidden", "out"]
    assert run.step.values.tolist() == [0, 2, 4] and run.similarity.notnull().all()


def test_records_beyond_the_budget_lose_their_similarity_with_a_warning():
    x = probe(8)
    record = 2 * 28 * 4  # layers, pairs of samples, bytes
    model = compiled(dense("a", "b"))
    callback = RepresentationSimilarity(x, every=1, budget=5 * record)
    everything = RepresentationSimilarity(x, every=1)
    with pytest.warns(UserWarning, match="5 records fill the budget of 0.001 MiB"):
        train(model, everything, callback, epochs=6)
    run, whole = callback.results, everything.results
    known = run.similarity.notnull().all("layer").values
    assert run.sizes["step"] == 13
    assert run.step.values[known].tolist() == [0, 4, 6, 9, 12]  # at best, they would be 3 apart
    np.testing.assert_array_equal(run.similarity[known], whole.similarity[known])
    np.testing.assert_array_equal(run.similarity_to_start, whole.similarity_to_start)
    assert "to keep to `budget`" in schema.missing(run)["similarity"]
    kept = [record for record in callback.records if "kept" in record]
    assert sum(record["kept"].nbytes for record in kept) <= 5 * record


@pytest.mark.parametrize("budget", ["2 GiB", None, float("nan"), -1])
def test_a_budget_is_a_number_of_bytes(budget):
    with pytest.raises(ValueError, match=f"must be a number of bytes; received {budget!r}"):
        RepresentationSimilarity(probe(8), budget=budget)


def test_a_budget_below_three_records_is_refused_before_training():
    callback = RepresentationSimilarity(probe(8), budget=600)
    model = compiled(dense("a", "b"))
    with pytest.raises(
        ValueError, match="`budget` must hold 3 records, which take .*; received 0.001 MiB"
    ):
        train(model, callback)
    assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == 0


def test_missing_values_have_a_reason():
    model = compiled(dense("a", "b"))
    model.get_layer("a").kernel.assign(np.zeros((6, 4)))
    callback = RepresentationSimilarity(probe())
    train(model, callback, epochs=1)
    run = callback.results
    assert np.isnan(run.similarity[0]).all() and run.similarity[1].notnull().all()
    assert np.isnan(run.similarity_to_start).all()
    assert "the same for all samples" in schema.missing(run)["similarity/a"]


def test_new_variables_are_read_too():
    model = compiled(dense("a", "b"))
    callback = RepresentationSimilarity(probe(), layers=["a"])
    train(model, callback, epochs=1)
    model.get_layer("a").trainable = False
    compiled(model)
    train(model, callback, epochs=1)
    assert callback.results.similarity.notnull().all()


def test_it_can_be_collected_summarized_and_copied():
    model = compiled(dense("a", "b", "c"))
    callback, convergence = RepresentationSimilarity(probe()), keras_lcb.LayerConvergence()
    train(model, callback, convergence, epochs=4)
    run = keras_lcb.collect(convergence, callback)
    table = keras_lcb.summary(run)
    assert {"time_to_half_similarity", "time_to_similarity", "time_to_half"} <= set(table.columns)
    times = keras_lcb.analysis.time_to_similarity(run)
    np.testing.assert_array_equal(table.time_to_similarity, times)
    twin = copy.copy(callback)
    assert twin.results.identical(callback.results)
    twin.reset()
    train(model, twin, epochs=1)
    assert twin.results.sizes["step"] == 2


def test_targets_of_data_sets_are_ignored():
    x, y = data(count=12)
    model = compiled(dense("a", "b"))
    one, other = (
        RepresentationSimilarity(x),
        RepresentationSimilarity(iter([(x[:5], y[:5]), (x[5:], y[5:])]), steps=2),
    )
    train(model, one, other, epochs=1)
    np.testing.assert_array_equal(one.results.similarity, other.results.similarity)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"x": np.zeros((3, 6))}, "Received 3 samples of one shape, but .* at least 4"),
        ({"batch_size": 3}, "`batch_size` must be a whole number, 4 or more"),
        ({"every": 0}, "`every` must be 'epoch' or a number of updates"),
        ({"x": "images"}, "The data must be arrays whose first axis counts samples"),
    ],
)
def test_settings_that_do_not_work_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RepresentationSimilarity(**({"x": probe()} | arguments))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"x": probe(inputs=5)}, "The model 'chain' cannot be called on the samples"),
        ({"x": probe(), "layers": ["d"]}, "No layer or nested model is called 'd'"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_before_training(arguments, message):
    callback = RepresentationSimilarity(**arguments)
    with pytest.raises(ValueError, match=message):
        train(compiled(dense("a", "b")), callback)


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="compiling takes minutes; names are the same"
)
def test_the_blocks_of_an_application():
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV3Small(
        (32, 32, 3), weights=None, classes=4, include_preprocessing=False
    )
    eager = keras.backend.backend() == "tensorflow"
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=eager)
    x = np.random.default_rng(0).normal(size=(8, 32, 32, 3)).astype("float32")
    callback = RepresentationSimilarity(x, layers="blocks")
    with keras_lcb.track(model, callback):
        model.train_on_batch(x, np.arange(8) % 4)
    run = callback.results
    blocks = ["expanded_conv", *(f"expanded_conv_{number}" for number in range(1, 11))]
    assert run.layer.values.tolist() == ["conv", *blocks, "conv_1", "conv_2", "logits"]
    known = run.similarity.sel(layer=blocks)
    assert known.notnull().all() and ((known > -0.5) & (known <= 1 + 1e-9)).all()
