"""The loss over a data set as a function of weights, against training by hand and plain Keras."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest

from keras_lcb.landscape.around import Around
from keras_lcb.landscape.objective import Objective
from keras_lcb.landscape.samples import read
from tests.models import dense
from tests.oracle import Network

NETWORK = Network()
TWO = {"a": [0, 1], "b": [2, 3], "c": [4, 5]}


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def close(found, expected, rtol=1e-5):
    np.testing.assert_allclose(numpy(found), expected, rtol=rtol, atol=1e-6)


def compiled(**options):
    model = dense(NETWORK)
    model.compile(loss="mse", **options)
    return model


@pytest.mark.parametrize("batch_size", [512, 7, 5])
def test_loss_and_gradients_are_those_of_one_batch(batch_size):
    x, y = NETWORK.data(14)
    weight = np.linspace(0.5, 2, 14)
    objective = Objective(compiled(), x, y, weight, batch_size=batch_size)
    assert objective.chunks == {512: 1, 7: 2, 5: 3}[batch_size]
    own = NETWORK.weights()
    close(objective.loss(), NETWORK.loss(own, x, y, weight))
    exact = NETWORK.gradients(own, x, y, weight)
    found = objective.gradients()
    assert list(found) == list(TWO)
    for name, places in TWO.items():
        for tensor, place in zip(found[name], places, strict=True):
            close(tensor, exact[place])


def test_one_layer_moves_alone():
    x, y = NETWORK.data(9)
    objective = Objective(compiled(), x, y, batch_size=4)
    elsewhere = NETWORK.weights(seed=5)
    moved = [*NETWORK.weights()[:2], *elsewhere[2:4], *NETWORK.weights()[4:]]
    close(objective.loss(elsewhere[2:4], layer="b"), NETWORK.loss(moved, x, y))
    found = objective.gradients(elsewhere[2:4], layer="b")
    assert list(found) == ["b"]
    for tensor, exact in zip(found["b"], NETWORK.gradients(moved, x, y)[2:4], strict=True):
        close(tensor, exact)
    close(objective.loss(elsewhere), NETWORK.loss(elsewhere, x, y))


def test_follows_the_model_and_compiles_once():
    x, y = NETWORK.data(6)
    model = compiled()
    objective = Objective(model, x, y)
    traced = []

    def program(around, own):
        traced.append(1)
        return around.loss(own)

    first = objective.compiled(program)()
    model.set_weights(NETWORK.weights(seed=5))
    second = objective.compiled(program)()
    assert len(traced) == 1 or keras.backend.backend() == "torch"
    close(first, NETWORK.loss(NETWORK.weights(), x, y))
    close(second, NETWORK.loss(NETWORK.weights(seed=5), x, y))


def two_outputs():
    keras.utils.set_random_seed(2)
    inputs = keras.Input((3,))
    signal = keras.layers.Dense(4, kernel_regularizer=keras.regularizers.L2(0.3))(inputs)
    signal = keras.layers.BatchNormalization()(keras.layers.Dropout(0.5)(signal))
    ends = [keras.layers.Dense(1, name="p")(signal), keras.layers.Dense(2, name="q")(signal)]
    model = keras.Model(inputs, dict(zip("pq", ends, strict=True)))
    losses, weights = {"p": "mse", "q": "mae"}, {"p": 2.0, "q": 0.5}
    # On TensorFlow an eager step is the quickest to be had for a single one.
    eager = keras.backend.backend() == "tensorflow"
    model.compile("adam", losses, loss_weights=weights, run_eagerly=eager)
    return model


def labels(count):
    random = np.random.default_rng(0)
    x = random.normal(size=(count, 3))
    return x, {"p": random.normal(size=(count, 1)), "q": random.normal(size=(count, 2))}


@pytest.mark.parametrize("batch_size", [32, 3])
def test_several_outputs_and_penalties(batch_size):
    model = two_outputs()
    x, y = labels(11)
    found = Objective(model, x, y, batch_size=batch_size).loss()
    predicted = {name: numpy(value) for name, value in model(x).items()}
    kernel = model.layers[1].get_weights()[0]
    expected = (
        2.0 * np.mean((predicted["p"] - y["p"]) ** 2)
        + 0.5 * np.mean(abs(predicted["q"] - y["q"]))
        + 0.3 * np.sum(kernel**2)
    )
    close(found, expected)


def test_nothing_of_the_model_changes():
    model = two_outputs()
    x, y = labels(8)
    loss = model._compile_loss
    metrics = len(model.metrics)
    before = [numpy(v) for v in model.variables + model.optimizer.variables]
    objective = Objective(model, x, y, training=True)
    first = objective.loss()
    objective.gradients(layer="p")
    assert first == objective.loss(), "the same seed states draw the same masks"
    assert model._compile_loss is loss and not loss.built
    assert len(model.metrics) == metrics and not model.optimizer.built
    for one, other in zip(before, model.variables + model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, numpy(other))
    model.fit(x, y, verbose=0)  # and nothing keeps it from training


def test_training_mode_takes_the_statistics_of_the_batch():
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(1, name="d")(keras.layers.BatchNormalization()(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(loss="mse")
    x, y = 5 + 3 * np.random.default_rng(0).normal(size=(40, 3)), np.zeros((40, 1))
    kernel = model.get_layer("d").get_weights()[0]
    normal = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3)
    close(Objective(model, x, y, training=True).loss(), np.mean((normal @ kernel) ** 2), 1e-4)
    close(Objective(model, x, y).loss(), np.mean((x @ kernel) ** 2 / (1 + 1e-3)), 1e-4)
    with pytest.raises(ValueError, match="batch_size=40"):
        Objective(model, x, y, training=True, batch_size=8)


def test_frozen_layers_are_no_rows():
    model = compiled()
    model.get_layer("b").trainable = False
    x, y = NETWORK.data(4)
    objective = Objective(model, x, y)
    assert [row.name for row in objective.layers] == ["a", "c"]
    exact = NETWORK.gradients(NETWORK.weights(), x, y)
    close(objective.gradients(layer="c")["c"][0], exact[4])
    close(objective.gradients()["a"][1], exact[1])
    model.get_layer("b").trainable = True
    with pytest.raises(ValueError, match="Make a new objective"):
        objective.loss()


def test_repeated_rows_of_an_embedding():
    inputs = keras.Input((3,), dtype="int32")
    table = keras.layers.Embedding(5, 2, name="table")
    outputs = keras.layers.Dense(1, use_bias=False)(keras.layers.Flatten()(table(inputs)))
    model = keras.Model(inputs, outputs)
    model.compile(loss="mse")
    x, y = np.array([[0, 0, 1], [4, 0, 4]]), np.array([[1.0], [2.0]])
    rows, kernel = model.get_weights()
    expected = np.zeros_like(rows)
    error = rows[x].reshape(2, 6) @ kernel - y
    for sample in range(2):
        for place in range(3):
            expected[x[sample, place]] += error[sample] * kernel[2 * place : 2 * place + 2, 0]
    for batch_size in (2, 1):
        objective = Objective(model, x, y, batch_size=batch_size)
        close(objective.gradients(layer="table")["table"][0], expected)


def test_refusals():
    x, y = NETWORK.data(6)
    with pytest.raises(ValueError, match="not compiled"):
        Objective(dense(NETWORK), x, y)
    with pytest.raises(ValueError, match="not built"):
        Objective(keras.Sequential([keras.layers.Dense(1)]), x, y)
    with pytest.raises(ValueError, match="x 6, y 5"):
        Objective(compiled(), x, y[:5])
    with pytest.raises(ValueError, match="batch_size"):
        Objective(compiled(), x, y, batch_size=0)
    objective = Objective(compiled(), x, y)
    with pytest.raises(ValueError, match="Nearest: b|The model has: a, b, c"):
        objective.loss(layer="bb")
    with pytest.raises(ValueError, match=r"\(5, 4\)"):
        objective.loss(NETWORK.weights()[:2], layer="b")


def root_mean_square(y, predicted):
    return keras.ops.sqrt(keras.ops.mean((y - predicted) ** 2))


def test_refuses_chunks_where_they_would_not_be_exact():
    x, y = NETWORK.data(6)
    summed = dense(NETWORK)
    summed.compile(loss=keras.losses.MeanSquaredError(reduction="sum"))
    Objective(summed, x, y)
    with pytest.raises(ValueError, match="the reduction sum"):
        Objective(summed, x, y, batch_size=2)
    for whole in (lambda y, p: keras.ops.sum((y - p) ** 2), root_mean_square):
        joined = dense(NETWORK)
        joined.compile(loss=whole)
        Objective(joined, x, y)
        with pytest.raises(ValueError, match="not the mean over its samples"):
            Objective(joined, x, y, batch_size=2)
    penalised = dense(NETWORK, activity_regularizer="l2")
    penalised.compile(loss="mse")
    with pytest.raises(ValueError, match="activity"):
        Objective(penalised, x, y, batch_size=2)


def classifier(loss, outputs=1):
    inputs = keras.Input((2,))
    ends = [keras.layers.Dense(3, name=f"end{place}")(inputs) for place in range(outputs)]
    model = keras.Model(inputs, ends if outputs > 1 else ends[0])
    model.compile(loss=loss)
    return model


def ignoring(**options):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **options)


@pytest.mark.parametrize(
    "loss",
    [
        ignoring(ignore_class=0),
        [ignoring(), ignoring(ignore_class=2)],
        functools.partial(keras.losses.sparse_categorical_crossentropy, ignore_class=2),
    ],
    ids=["one", "second of two", "function"],
)
def test_refuses_chunks_of_a_loss_that_ignores_a_class(loss):
    """A chunk's loss is a mean over its samples of other classes, whose number differs."""
    outputs = 2 if isinstance(loss, list) else 1
    x, y = np.ones((8, 2)), np.zeros(8, "int32")
    model, y = classifier(loss, outputs), [y] * outputs if outputs > 1 else y
    Objective(model, x, y)
    with pytest.raises(ValueError, match="`ignore_class`.*batch_size=8"):
        Objective(model, x, y, batch_size=4)


def balanced(y, predicted):
    """The mean over samples with weights whose sum differs from chunk to chunk."""
    weight = keras.ops.where(y > 0.5, 10.0, 1.0)
    return keras.ops.sum(weight * (y - predicted) ** 2) / keras.ops.sum(weight)


@pytest.mark.parametrize("ones", [2, 6, 24, 31])
def test_sorted_targets_do_not_hide_that_a_loss_is_no_mean(ones):
    """The first chunk has one class only, and there the loss is a mean."""
    y = (np.arange(32) >= 32 - ones).astype("float32")[:, None]
    x = np.random.default_rng(0).normal(size=(32, 3))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(loss=balanced)
    Objective(model, x, y)
    with pytest.raises(ValueError, match="not the mean over its samples"):
        Objective(model, x, y, batch_size=16)
    model.compile(loss="mse")
    Objective(model, x, y, batch_size=16)


def masking():
    """Returns a model with a mask, its inputs and targets, and a weight for each time step."""
    random = np.random.default_rng(0)
    tokens = random.integers(1, 5, (6, 4))
    tokens[:, 3:] = 0
    embedding = keras.layers.Embedding(5, 2, mask_zero=True, name="rows")
    model = keras.Sequential([keras.Input((4,)), embedding, keras.layers.Dense(1, name="d")])
    weight = random.random((6, 4)).astype("float32")
    return model, tokens, random.normal(size=(6, 4, 1)).astype("float32"), weight


def in_place(y_true, y_pred):
    """Loss functions of Keras change no data, but those of a user may."""
    if keras.backend.backend() == "torch":
        y_true *= 2
    else:
        y_true = 2 * y_true
    return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)


def of_model(model, x, y, sample_weight):
    return keras.losses.MeanSquaredError()(y, model(x), sample_weight)


@pytest.mark.parametrize("loss", ["mse", in_place, of_model])
def test_no_evaluation_changes_the_data(loss):
    """On torch, Keras multiplies weights of steps by the mask in place."""
    model, tokens, y, weight = masking()
    given = read(tokens, y, weight)  # as callbacks keep them
    objective = Objective(model, given, loss=loss)
    predicted = numpy(model(tokens))
    error = ((2 if loss is in_place else 1) * y - predicted)[..., 0] ** 2
    shown = tokens > 0
    expected = np.sum(error * weight * shown) / np.sum(shown)
    for _ in range(3):
        np.testing.assert_allclose(objective.loss(), expected, rtol=1e-5)
    once = numpy(objective.gradients(layer="d")["d"][0])
    close(objective.gradients(layer="d")["d"][0], once)
    for kept, own in zip(given.parts[0], (tokens, y, weight), strict=True):
        np.testing.assert_array_equal(kept, own)


@pytest.mark.parametrize("batch_size", [10, 1])  # few chunks, and many
def test_gradients_of_convolutions_in_chunks(batch_size):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(40, 4, 4, 1)), random.normal(size=(40, 1))
    parts = [keras.layers.Conv2D(2, 3, activation="tanh"), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((4, 4, 1)), *parts, keras.layers.Dense(1)])
    model.compile(loss="mse")

    def gradients(batch_size):
        compiled = Objective(model, x, y, batch_size=batch_size).compiled(Around.gradients)
        return list(map(numpy, compiled()))

    for chunked, whole in zip(gradients(batch_size), gradients(40), strict=True):
        np.testing.assert_allclose(chunked, whole, rtol=1e-4, atol=1e-6)
