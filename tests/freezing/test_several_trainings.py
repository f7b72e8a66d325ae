"""One callback in several trainings, several callbacks in one, and trainings that start later."""

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from tests.freezing.conftest import Weights, data, network, train
from tests.freezing.test_freeze_converged import freeze_linear


def test_a_training_that_starts_later_begins_with_the_factors_of_that_epoch():
    freeze = freeze_linear()  # `a` freezes after 3 epochs, `b` after 4
    train(network(), freeze, initial_epoch=3)
    factors = freeze.results.update_factor.isel(step=0)
    expected = [0.5 * (1 + np.cos(np.pi * min(3 / end, 1))) for end in (3, 4, 6)]
    np.testing.assert_allclose(factors.sel(layer=["a", "b", "c"]), expected, atol=1e-6)
    assert [(e["layers"], e["epoch"], e["step"]) for e in freeze.events] == [
        (["a", "a_norm"], 3, 0),
        (["b"], 4, 4),
    ]


def test_what_a_record_calls_frozen_does_not_move_in_the_next_update():
    freeze, weights = freeze_linear(), Weights()
    model = network(keras.optimizers.SGD(0.1))
    moved = []
    for _ in range(2):
        train(model, freeze, weights, epochs=4)
        moved.append(not weights.stay("a", since=1))
    run = freeze.results
    assert run.frozen.sel(layer="a").values.tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(run.update_factor.sel(layer="a", step=16), 1)
    assert [event["epoch"] for event in freeze.events if "a" in event["layers"]] == [2, 6]
    assert all(moved)


def test_a_schedule_goes_on_in_epochs_without_an_update():
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=8)
    model = network(optimizer, run_eagerly=keras.backend.backend() == "tensorflow")
    freeze = freeze_linear()
    train(model, freeze, epochs=4)  # with updates at the end of the second and fourth
    assert freeze.results.step.values.tolist() == [0, 1, 2]
    assert freeze.results.frozen.sel(layer="b").values.tolist() == [0, 1, 1]  # since epoch 3


@pytest.mark.parametrize("by", ["weights", "activations"])
def test_what_another_training_moved_is_no_movement_of_an_epoch(by):
    model = network(keras.optimizers.SGD(0.1))
    x = data()[0] if by == "activations" else None
    freeze = lcb.FreezeConverged(threshold=1e-9, x=x)
    train(model, freeze, epochs=1)
    train(model, epochs=3)
    model.optimizer.learning_rate = 1e-4
    train(model, freeze, epochs=1)
    changes = freeze.results[freeze._rule.name].sel(layer="a").values
    assert freeze.results.step.values.tolist() == [0, 4, 16, 20]
    assert np.isnan(changes[2])  # of that time nothing is known
    assert changes[3] < 0.05 * changes[1]


def test_a_second_callback_on_the_same_model_is_refused_before_training():
    model, weights = network(), Weights()
    with pytest.raises(ValueError, match="two FreezeConverged"):
        train(model, freeze_linear(), weights, lcb.FreezeConverged())
    assert weights.kept == []
    train(model, lcb.FreezeConverged(), epochs=1)  # after the other has left
    train(model, freeze_linear(), epochs=2)


def test_a_process_that_goes_on_past_the_last_record_keeps_what_is_frozen(tmp_path):
    def freeze():
        options = {"patience": 1, "threshold": 5.0, "layers": None}
        return lcb.FreezeConverged(**options, backup=tmp_path / "freeze")

    killed, first = network(keras.optimizers.SGD(0.1)), freeze()
    train(killed, first, epochs=2)
    train(killed, epochs=1)  # as if the model was saved between two records
    killed.save_weights(tmp_path / "model.weights.h5")
    resumed, again, weights = network(keras.optimizers.SGD(0.1)), freeze(), Weights()
    resumed.optimizer.build(resumed.trainable_variables)
    resumed.load_weights(tmp_path / "model.weights.h5")
    train(resumed, again, weights, epochs=2)
    assert again.results.step.values.tolist() == [0, 4, 8, 12, 16, 20]
    assert again.results.frozen.sel(layer="b").values.tolist() == [0, 1, 1, 1, 1, 1]
    assert again.events == first.events
    assert weights.stay("b", since=1)
