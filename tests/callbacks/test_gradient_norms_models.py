"""Norms of models beyond a chain of dense layers, checked with finite differences."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import GradientNorms
from tests import oracle
from tests.models import dense, own_step
from tests.oracle import Network


def fit(model, x, y, batch_size, **options):
    norms = GradientNorms(per_update=True, **options)
    model.fit(x, y, batch_size, 2, shuffle=False, verbose=0, callbacks=[norms])
    return norms.results


def check(run, expected, rtol=1e-5):
    np.testing.assert_allclose(run.gradient_norm_per_update, expected.gradient_norms, rtol=rtol)
    np.testing.assert_allclose(run.update_norm_per_update, expected.update_norms, rtol=rtol)


def by_differences(loss, weights, batches, layers, rate=0.1):
    def gradients(weights, *batch):
        return oracle.finite_differences(lambda w: loss(w, *batch), weights, step=1e-5)

    weights = [w.astype("float64") for w in weights]
    return oracle.train(gradients, weights, batches, oracle.sgd(rate), layers)


@pytest.mark.parametrize("batch_size, length", [(4, 5), (1, 1)])
@pytest.mark.parametrize("clip", [None, 0.05])
def test_rows_of_an_embedding_that_come_twice(batch_size, length, clip, fast_mode):
    random = np.random.default_rng(0)
    x = random.integers(0, 6, size=(8, length))
    x[:, -1] = x[:, 0]  # a row twice in one example, and others twice in a batch
    y = random.normal(size=(8, 2)).astype("float32")
    inputs = keras.Input((length,), dtype="int32")
    signal = keras.layers.Embedding(6, 3, name="rows", embeddings_initializer="normal")(inputs)
    outputs = keras.layers.Dense(2, name="head")(keras.layers.Flatten()(signal))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.1, global_clipnorm=clip), "mse", **fast_mode)

    def loss(weights, x, y):
        rows, kernel, bias = weights
        return np.mean((rows[x].reshape(len(x), -1) @ kernel + bias - y) ** 2)

    batches = oracle.batches(x, y.astype("float64"), size=batch_size, epochs=2)
    expected = by_differences(loss, model.get_weights(), batches[:1], [[0], [1, 2]])
    run = fit(model, x, y, batch_size)
    np.testing.assert_allclose(
        run.gradient_norm_per_update[0], expected.gradient_norms[0], rtol=1e-5
    )
    assert run.role.values.tolist() == ["embedding", "head"]


def test_several_outputs_and_a_shared_layer(fast_mode):
    random = np.random.default_rng(0)
    x = random.normal(size=(8, 3)).astype("float32")
    targets = [random.normal(size=(8, 2)).astype("float32") for _ in range(2)]
    inputs = keras.Input((3,))
    shared = keras.layers.Dense(3, "tanh", name="shared")
    signal = shared(shared(inputs))
    outputs = [keras.layers.Dense(2, name=name)(signal) for name in ("left", "right")]
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.1), ["mse", "mse"], loss_weights=[1.0, 0.3], **fast_mode)

    def loss(weights, x, left, right):
        kernel, bias, *heads = weights
        signal = np.tanh(np.tanh(x @ kernel + bias) @ kernel + bias)
        errors = [
            np.mean((signal @ heads[at] + heads[at + 1] - target) ** 2)
            for at, target in ((0, left), (2, right))
        ]
        return errors[0] + 0.3 * errors[1]

    doubles = [array.astype("float64") for array in (x, *targets)]
    batches = oracle.batches(*doubles, size=4, epochs=2)
    expected = by_differences(loss, model.get_weights(), batches, [[0, 1], [2, 3], [4, 5]])
    run = fit(model, x, targets, 4)
    run = run.sel(layer=["shared", "left", "right"])  # Keras calls the right one first
    assert run.role.values.tolist() == ["hidden", "head", "head"]
    check(run, expected)


def test_convolution_normalization_and_recurrence(fast_mode):
    """Against differences of Keras' own loss: loose, for they are in single precision."""
    keras.utils.set_random_seed(0)
    block = keras.Sequential(
        [
            keras.Input((4, 2)),
            keras.layers.Conv1D(1, 2, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
        ],
        name="block",
    )
    inputs = keras.Input((4, 2))
    signal = keras.layers.SimpleRNN(1, name="rnn", unroll=True)(block(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, name="head")(signal))
    random = np.random.default_rng(0)
    x = random.normal(size=(4, 4, 2)).astype("float32")
    y = 3 * random.normal(size=(4, 1)).astype("float32")
    places = {v.path: at for at, v in enumerate(model.trainable_variables)}
    layers = [
        [at for path, at in places.items() if name in path]
        for name in ("conv", "norm", "rnn", "head")
    ]

    def loss(weights):
        for variable, weight in zip(model.trainable_variables, weights, strict=True):
            variable.assign(weight)
        predicted = keras.ops.convert_to_numpy(model(x, training=True)).astype("float64")
        return float(np.mean((predicted - y) ** 2))

    weights = [keras.ops.convert_to_numpy(v).astype("float64") for v in model.trainable_variables]
    slopes = oracle.finite_differences(loss, weights, step=1e-2)
    loss(weights)
    model.compile(keras.optimizers.SGD(0.1), "mse", **fast_mode)
    run = fit(model, x, y, 4)
    assert run.layer.values.tolist() == ["block/conv", "block/norm", "rnn", "head"]
    np.testing.assert_allclose(
        run.gradient_norm_per_update[0], oracle.layer_norms(slopes, layers), rtol=2e-2
    )


def test_a_training_step_of_the_models_own(fast_mode):
    network = Network()
    x, y = network.data(16)
    plain = dense(network)
    model = own_step(plain.input, plain.output, factor=3.0)
    model.compile(keras.optimizers.SGD(0.1), "mse", **fast_mode)

    def gradients(weights, x, y):
        return [3.0 * g for g in network.gradients(weights, x, y)]

    batches = oracle.batches(x, y, size=4, epochs=2)
    rule = oracle.sgd(0.1)
    expected = oracle.train(gradients, network.weights(), batches, rule, network.layers)
    check(fit(model, x, y, 4), expected)


def test_layers_read_as_one(fast_mode):
    network = Network()
    x, y = network.data(16)
    model = dense(network)
    model.compile(keras.optimizers.SGD(0.1), "mse", **fast_mode)
    groups = {"a": "body", "b": "body", "c": None}
    expected = oracle.train(
        network.gradients,
        network.weights(),
        oracle.batches(x, y, size=4, epochs=2),
        oracle.sgd(0.1),
        [[0, 1, 2, 3]],
    )
    run = fit(model, x, y, 4, layers=lambda layer: groups[layer.name])
    assert run.layer.values.tolist() == ["body"]
    check(run, expected)
