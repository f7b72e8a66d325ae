"""The tap by itself: when it is used, and how it lets go."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import GradientNorms, StepQuantities
from keras_lcb.quantities import GradientNorm
from keras_lcb.training.layers import tracked_layers
from keras_lcb.training.reader import Reader
from keras_lcb.training.tap import tap_of
from tests.models import dense
from tests.oracle import Network

NETWORK = Network((3, 4, 2))
X, Y = NETWORK.data(8)


@pytest.fixture
def model():
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def opened(model):
    tap = tap_of(model)
    tap.follow()
    tap.attach(Reader([GradientNorm()], tracked_layers(model).layers))
    tap.open()
    tap.prepare()
    return tap


def test_a_model_keeps_its_tap(model):
    assert tap_of(model) is tap_of(model)


def test_the_plain_training_function_comes_back(model):
    model.train_on_batch(X, Y)
    plain = model.train_function
    tap = opened(model)
    stand_in = model.train_function
    assert stand_in is not plain
    tap.close()
    assert model.train_function is plain
    opened(model)
    assert model.train_function == stand_in
    model.make_train_function()  # what every `fit` does first
    assert model.train_function is plain
    assert "make_train_function" not in vars(model)


def test_opening_and_closing_twice_does_no_harm(model):
    tap = tap_of(model)
    tap.close()
    opened(model)
    tap.open()
    tap.close()
    tap.close()
    assert "apply" not in vars(model.optimizer)


def test_a_training_function_forced_in_the_midst_of_fit_is_measured_too(model):
    class Force(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.make_train_function(force=True)

    norms = GradientNorms(per_update=True)
    model.fit(X, Y, batch_size=2, verbose=0, callbacks=[norms, Force()])
    assert np.isfinite(norms.results.gradient_norm[1:]).all() and norms.results.step[-1] == 4
    assert "apply" not in vars(model.optimizer)


def test_one_function_serves_each_set_of_quantities(model):
    def functions():
        return [id(known.function) for known in tap_of(model)._functions._known]

    for callbacks in ([GradientNorms()], [StepQuantities(GradientNorm())], [GradientNorms()]):
        model.fit(X, Y, verbose=0, callbacks=callbacks)
    made = functions()
    assert len(made) == 2
    model.fit(X, Y, verbose=0, callbacks=[GradientNorms()])
    assert functions() == made


@pytest.mark.parametrize("scaled", [False, True])
def test_the_optimizer_is_built_as_it_builds_itself(scaled):
    def variables(*callbacks):
        keras.utils.clear_session(free_memory=False)
        model = dense(NETWORK)
        optimizer = keras.optimizers.Adam(0.1)
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.compile(optimizer, "mse")
        model.fit(X, Y, verbose=0, callbacks=callbacks)
        return [v.path for v in optimizer.variables]

    assert variables(GradientNorms()) == variables()


def test_a_training_that_fails_leaves_nothing_behind(model):
    class Fail(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyError

    with pytest.raises(KeyError):
        model.fit(X, Y, verbose=0, callbacks=[GradientNorms(), Fail()])
    model.fit(X, Y, verbose=0)
    assert "apply" not in vars(model.optimizer)
    assert model.train_function is not tap_of(model)._stand_in
    assert np.isfinite(model.get_weights()[0]).all()
