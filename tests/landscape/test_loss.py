"""The compiled loss and those given in its place, against NumPy; what has no loss is refused."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb.landscape import Objective, curvature
from keras_lcb.runs import schema
from keras_lcb.training.layerwise_model import LayerwiseModel
from tests.models import dense, own_step
from tests.oracle import Network

NETWORK = Network()
X, Y = NETWORK.data(11)


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def penalised():
    """A layer with a penalty, not compiled; its mean squared error, and its penalty."""
    layer = keras.layers.Dense(2, name="a", kernel_regularizer=keras.regularizers.L2(0.3))
    model = keras.Sequential([keras.Input((3,)), layer])
    kernel, bias = layer.get_weights()
    return model, np.mean((X @ kernel + bias - Y) ** 2), 0.3 * np.sum(kernel**2)


def squared(y_true, y_pred):
    return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)


def of_model(model, x, y):
    return keras.ops.mean((model(x) - y) ** 2)


class OwnLoss(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return 3 * super().compute_loss(x, y, y_pred, sample_weight)


class NoTargets(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return keras.ops.mean((y_pred - x) ** 2)


class Wrapper(keras.Model):
    """A part that is built, no `call`, and a loss that stands in the training step only."""

    def __init__(self):
        super().__init__()
        self.part = keras.layers.Dense(3, use_bias=False, name="part")
        self.part.build((None, 3))
        self.built = True

    def train_step(self, *arguments):
        raise NotImplementedError


def reconstruction(model, x):
    return keras.ops.mean((model.part(x) - x) ** 2)


# A loss that is given.


@pytest.mark.parametrize("loss", ["mse", squared, keras.losses.MeanSquaredError()])
@pytest.mark.parametrize("batch_size", [512, 4])
def test_a_loss_as_compile_takes_it(loss, batch_size):
    model, error, penalty = penalised()
    found = Objective(model, X, Y, loss=loss, batch_size=batch_size).loss()
    np.testing.assert_allclose(found, error + penalty, rtol=1e-5)
    assert not model.compiled


def test_it_stands_in_place_of_the_models_own():
    inputs = keras.Input((3,))
    outputs = {name: keras.layers.Dense(2, name=name)(inputs) for name in "pq"}
    model = OwnLoss(inputs, outputs)
    model.compile("sgd", {"p": "mse", "q": "mae"})
    compiled = model._compile_loss
    y = {"p": Y, "q": -Y}
    error = {name: numpy(value) - y[name] for name, value in model(X).items()}
    own = 3 * (np.mean(error["p"] ** 2) + np.mean(abs(error["q"])))
    np.testing.assert_allclose(Objective(model, X, y).loss(), own, rtol=1e-5)
    given = np.mean(abs(error["p"])) + np.mean(error["q"] ** 2)
    objective = Objective(model, X, y, loss={"p": "mae", "q": "mse"}, batch_size=4)
    np.testing.assert_allclose(objective.loss(), given, rtol=1e-5)
    assert model._compile_loss is compiled and not compiled.built


def test_a_function_of_the_model_is_the_whole_loss():
    model, error, _ = penalised()
    np.testing.assert_allclose(Objective(model, X, Y, loss=of_model).loss(), error, rtol=1e-5)
    told = []

    def remembering(training, model, sample_weight):
        raise AssertionError("its first parameter is not `model`")

    def all_of_them(model, x, y, sample_weight, training):
        told.append((tuple(x.shape), tuple(y.shape), tuple(sample_weight.shape), training))
        return keras.ops.mean(sample_weight)

    with pytest.raises(ValueError, match=r"must be `loss\(y_true, y_pred\)`"):
        Objective(model, X, Y, loss=remembering)
    found = Objective(model, X, Y, np.full(11, 2.0), loss=all_of_them, training=True)
    assert found.loss() == 2.0
    assert set(told) == {((11, 3), (11, 2), (11,), True)}


def test_a_model_with_a_train_step_of_its_own_and_no_call():
    model = Wrapper()
    model.compile("sgd")
    with pytest.raises(ValueError, match="`train_step` of its own and no compiled loss.*`loss`"):
        Objective(model, X)
    objective = Objective(model, iter([X[:6], X[6:]]), steps=2, loss=reconstruction)
    (kernel,) = model.get_weights()
    exact = 2 * X.T @ (X @ kernel - X) / X.size
    np.testing.assert_allclose(numpy(objective.gradients()["part"][0]), exact, 1e-4, 1e-6)
    run = curvature(model, X, loss=reconstruction, layers=["part"])
    largest = np.linalg.eigvalsh(2 * X.T @ X / X.size)[-1]
    np.testing.assert_allclose(run.eigenvalue.item(), largest, rtol=1e-4)
    assert schema.settings(run)["curvature"]["loss"] == "reconstruction"


def test_the_step_of_a_layerwise_model_is_not_one_of_its_own():
    inputs = keras.Input((3,))
    model = LayerwiseModel(inputs, keras.layers.Dense(2)(inputs))
    model.compile("sgd")
    with pytest.raises(ValueError, match="compiled without a loss"):
        Objective(model, X)


def test_a_train_step_of_its_own_over_the_compiled_loss():
    plain = dense(NETWORK)
    model = own_step(plain.inputs, plain.outputs[0], factor=2.0)
    model.compile("sgd", "mse")
    exact = NETWORK.loss(NETWORK.weights(), X, Y)
    np.testing.assert_allclose(Objective(model, X, Y).loss(), exact, rtol=1e-5)


# Penalties, and losses without targets.


def test_penalties_alone_are_a_loss_as_for_fit():
    model, _, penalty = penalised()
    model.compile("sgd")
    np.testing.assert_allclose(Objective(model, X, Y).loss(), penalty, rtol=1e-5)


def test_a_loss_that_needs_no_targets():
    inputs = keras.Input((3,))
    model = NoTargets(inputs, keras.layers.Dense(3, use_bias=False)(inputs))
    model.compile("sgd", "mse")
    (kernel,) = model.get_weights()
    exact = np.mean((X @ kernel - X) ** 2)
    np.testing.assert_allclose(Objective(model, X).loss(), exact, rtol=1e-5)


# Refusals.


def test_refuses_a_model_without_a_loss():
    model = dense(NETWORK)
    with pytest.raises(ValueError, match="not compiled.*pass `loss`"):
        Objective(model, X, Y)
    model.compile("adam")
    with pytest.raises(ValueError, match="compiled without a loss.*pass `loss`"):
        Objective(model, X, Y)


def test_refuses_data_without_the_targets_that_the_loss_needs():
    model = dense(NETWORK)
    for options in ({}, {"loss": "mae"}, {"loss": of_model}):
        model.compile(loss="mse")
        for data in (X, map(tuple, [[X]])):
            steps = None if data is X else 1
            with pytest.raises(ValueError, match="no targets.*Pass `y`, or a data set"):
                Objective(model, data, steps=steps, **options)
    own = OwnLoss(model.inputs, model.outputs[0])
    own.compile(loss="mse")
    with pytest.raises(ValueError, match="no targets"):
        Objective(own, X)


class NotReduced(keras.losses.Loss):
    def __init__(self):
        super().__init__(reduction=None)

    def call(self, y_true, y_pred):
        return squared(y_true, y_pred)


@pytest.mark.parametrize("batch_size", [512, 4])
@pytest.mark.parametrize("loss", [keras.losses.MeanSquaredError(reduction="none"), NotReduced()])
def test_refuses_a_loss_that_is_not_reduced(batch_size, loss):
    model, _, _ = penalised()
    with pytest.raises(ValueError, match="received a loss with `reduction='none'`.*Make it with"):
        Objective(model, X, Y, loss=loss, batch_size=batch_size)


def not_scalar(model, x, y):
    return (model(x) - y) ** 2


def nothing(model, x):
    return None


@pytest.mark.parametrize(
    "loss, options, message",
    [
        (not_scalar, {}, r"`not_scalar` must return .*scalar.*\(11, 2\)"),
        (nothing, {}, "must return .*scalar tensor.*NoneType"),
        (of_model, {"sample_weight": np.ones(11)}, "no parameter `sample_weight`"),
        (of_model, {"training": True}, "no parameter `training`"),
        (of_model, {"batch_size": 4}, "function of the model.*batch_size=11"),
        (lambda model, batch: 0.0, {}, "received a function of \\(model, batch\\)"),
        (lambda net, x, y, w: 0.0, {}, r"received a function of \(net, x, y, w\)"),
        ("no such loss", {}, "no such loss"),
    ],
)
def test_refusals(loss, options, message):
    with pytest.raises(ValueError, match=message):
        Objective(dense(NETWORK), X, Y, loss=loss, **options)
