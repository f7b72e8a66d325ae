"""Private names of Keras: that they are there, and what is said when they are not."""

from __future__ import annotations

import keras
import pytest

from keras_lcb.backend import internals


def things():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    yield "layer", model.layers[0]
    yield "model", model
    for kind in (
        keras.optimizers.SGD,
        keras.optimizers.Adam,
        keras.optimizers.AdamW,
        keras.optimizers.Lion,
        keras.optimizers.Muon,
        keras.optimizers.RMSprop,
        keras.optimizers.Adafactor,
        keras.optimizers.Ftrl,
    ):
        yield "optimizer", kind()
    yield "loss scaler", keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())


def test_this_keras_has_all_of_them():
    for kind, thing in things():
        assert internals.missing_names(kind, thing) == [], kind


def test_a_missing_name_is_named():
    class Strange:
        _variables = _iterations = _trainable_variables = None

    missing = internals.missing_names("optimizer", Strange())
    assert missing == ["_backend_update_step", "_update_model_variables_moving_average"]
    with pytest.raises(ValueError, match="Strange has no `_backend_update_step`.* an optimizer"):
        internals.check("optimizer", Strange())


def test_an_attribute_is_replaced_for_a_while_and_put_back():
    optimizer = keras.optimizers.SGD()
    own = object()
    with internals.replaced(optimizer, {"apply": own, "something": 1}):
        assert optimizer.apply is own and optimizer.something == 1
        with internals.replaced(optimizer, {"apply": None}):
            assert optimizer.apply is None
        assert optimizer.apply is own
    assert "apply" not in vars(optimizer) and not hasattr(optimizer, "something")
    with pytest.raises(KeyError):
        with internals.replaced(optimizer, {"apply": own}):
            raise KeyError
    assert "apply" not in vars(optimizer)
