"""The gradient tap by itself: which is used when, what it refuses, how it opens and closes."""

from __future__ import annotations

import keras
import pytest

from keras_lcb.training.tap import check_optimizer, tap_of
from tests.models import dense
from tests.oracle import Network

NETWORK = Network((3, 4, 2))
X, Y = NETWORK.data(8)


@pytest.fixture
def model():
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def test_a_model_keeps_its_tap(model):
    assert tap_of(model, model.optimizer) is tap_of(model, model.optimizer)


def test_another_compilation_optimizer_or_freezing_needs_another_tap(model):
    first = tap_of(model, model.optimizer)
    window = first.meter.window()
    model.compile(model.optimizer, "mae")
    second = tap_of(model, model.optimizer)
    model.get_layer("a").trainable = False
    third = tap_of(model, model.optimizer)
    fourth = tap_of(model, keras.optimizers.SGD(0.1))
    assert len({id(tap) for tap in (first, second, third, fourth)}) == 4
    assert fourth.meter.windows == [window]  # readers go along


def test_the_plain_training_function_comes_back(model):
    model.train_on_batch(X, Y)
    plain = model.train_function
    tap = tap_of(model, model.optimizer)
    tap.open()
    tapped = model.train_function
    assert tapped is not plain
    tap.close()
    assert model.train_function is plain
    tap.open()
    assert model.train_function is tapped  # not made anew
    model.make_train_function()  # what every `fit` does first
    assert model.train_function is plain
    assert "make_train_function" not in vars(model)


def test_a_training_function_made_anew_outdates_the_tapped_one(model):
    tap = tap_of(model, model.optimizer)
    tap.open()
    tapped = model.train_function
    tap.close()
    model.make_train_function(force=True)
    tap.open()
    assert model.train_function is not tapped
    forced = model.train_function
    model.make_train_function(force=True)  # by a callback in the middle of a `fit`
    assert model.train_function is not forced
    model.train_on_batch(X, Y)
    assert "apply" not in vars(model.optimizer)


def test_opening_and_closing_twice_does_no_harm(model):
    tap = tap_of(model, model.optimizer)
    tap.close()
    tap.open()
    tap.open()
    tap.close()
    tap.close()
    assert "apply" not in vars(model.optimizer)


def test_a_tap_that_keeps_each_update_goes_on_doing_so(model):
    tap = tap_of(model, model.optimizer)
    tap.keep_each_update(16)
    meter = tap.meter
    tap.keep_each_update(8)
    assert tap.meter is meter and meter.ring_rows == 16
    model.compile(model.optimizer, "mae")
    assert tap_of(model, model.optimizer).meter.ring_rows == 16


@pytest.mark.parametrize("scaled", [False, True])
def test_the_optimizer_is_built_as_it_builds_itself(scaled):
    def variables(tapped):
        keras.utils.clear_session(free_memory=False)
        model = dense(NETWORK)
        optimizer = keras.optimizers.Adam(0.1)
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.compile(optimizer, "mse")
        if tapped and not keras.backend.backend() == "tensorflow":
            model.fit(X, Y, epochs=0, verbose=0)  # builds it
        if tapped:
            tap_of(model, optimizer)
        model.fit(X, Y, verbose=0)
        return [v.path for v in optimizer.variables]

    assert variables(True) == variables(False)


def test_what_cannot_be_tapped(model):
    with pytest.raises(ValueError, match="not compiled"):
        check_optimizer(model, None)
    with pytest.raises(ValueError, match="Use an optimizer of keras.optimizers"):
        check_optimizer(model, object())
