"""What tells nothing about convergence freezes nothing."""

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from tests.freezing.conftest import Weights, data, network, train

BACKEND = keras.backend.backend()
EAGER = BACKEND != "torch"


def eager_to_freeze(**options):
    return lcb.FreezeConverged(patience=1, threshold=5.0, layers=None, **options)


@pytest.mark.parametrize("by", ["weights", "activations"])
def test_epochs_without_an_update_do_not_count(by):
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=12)  # of 4 in an epoch
    model = network(optimizer, run_eagerly=BACKEND == "tensorflow")  # on JAX, this is quicker
    freeze, weights = eager_to_freeze(x=data()[0] if by == "activations" else None), Weights()
    train(model, freeze, weights, epochs=3)
    assert [event["epoch"] for event in freeze.events] == [3, 3, 3]
    assert {event["step"] for event in freeze.events} == {1}
    assert not weights.stay("b", since=2)  # the first update is in the third epoch
    assert freeze.results.step.values.tolist() == [0, 1]


def test_steps_that_the_loss_scaler_skips_do_not_count():
    model = network(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)))
    x, y = data()
    freeze, weights = eager_to_freeze(), Weights()
    model.fit(x, y * np.nan, epochs=3, verbose=0, callbacks=[freeze, weights])
    assert freeze.events == []
    assert [len(paths) for paths in weights.training] == [8, 8, 8]


@pytest.mark.parametrize("first", [False, True])  # among the callbacks
@pytest.mark.parametrize("by", ["weights", "activations"])
def test_epochs_with_the_learning_rate_zero_do_not_count(by, first):
    warm_up = keras.callbacks.LearningRateScheduler(lambda epoch, _: 0.1 if epoch > 1 else 0.0)
    freeze = eager_to_freeze(x=data()[0] if by == "activations" else None)
    callbacks = [freeze, warm_up] if first else [warm_up, freeze]
    train(network(keras.optimizers.SGD(0.1)), *callbacks, epochs=4)
    assert [event["epoch"] for event in freeze.events] == [3, 3, 3]
    changes = freeze.results[freeze._rule.name].sel(layer="a").values
    assert np.isnan(changes[:3]).all()
    assert changes[3] > 0


@pytest.mark.parametrize("by", ["weights", "activations"])
def test_a_layer_whose_own_learning_rate_is_zero_does_not_freeze(by):
    model = lcb.LayerwiseModel.from_model(network(), learning_rate_multipliers={"b": 0.0})
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=EAGER)
    freeze = eager_to_freeze(x=data()[0] if by == "activations" else None)
    train(model, freeze, epochs=3)
    assert [event["layers"] for event in freeze.events] == [["a"], ["a_norm"]]
    assert np.isnan(freeze.results[freeze._rule.name].sel(layer="b").values).all()


def test_epochs_without_evidence_do_not_interrupt_patience():
    rate = keras.callbacks.LearningRateScheduler(lambda epoch, _: 0.1 * (epoch % 2))
    freeze = lcb.FreezeConverged(patience=2, threshold=5.0, layers=None)
    train(network(keras.optimizers.SGD(0.1)), rate, freeze, epochs=5)
    assert [event["epoch"] for event in freeze.events] == [4, 4, 4]


def test_an_event_holds_the_value_at_which_a_unit_froze():
    freeze = eager_to_freeze()
    train(network(keras.optimizers.SGD(0.1)), freeze, epochs=4)
    values = freeze.results.movement.sel(step=4)
    for event in freeze.events:
        value = float(values.sel(layer=event["layers"][0]))
        assert event["value"] == pytest.approx(value)
        assert f": {value:.3g}, below 5 for 1 epoch or" in event["why"]
    assert len(freeze.events) == 3
