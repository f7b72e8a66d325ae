"""Private names of Keras: that they are there, and what is said when they are not."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb.backend import internals


def things():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    yield "layer", model.layers[0]
    yield "model", model
    yield "operation", model.layers[0]
    yield "symbolic tensor", model.outputs[0]
    model.compile(loss="mse")
    yield "compiled loss", internals.compiled_loss(model)
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


def test_a_compiled_loss_is_copied_and_replaced_for_a_while():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert internals.compiled_loss(model) is None
    model.compile(loss="mse")
    own, x, y = internals.compiled_loss(model), np.ones((3, 2)), np.full((3, 1), 2.0)
    copy = internals.copy_of_compiled_loss(own)
    assert copy is not own and not own.built
    predicted = keras.ops.convert_to_numpy(model(x))
    mean = float(np.mean((predicted - y) ** 2))
    assert float(copy(y, predicted)) == pytest.approx(mean, rel=1e-6)
    assert internals.reductions_of(copy) == {"sum_over_batch_size"}
    twice = internals.new_compiled_loss(lambda true, out: 2 * (true - out) ** 2, None)
    compute = internals.loss_function_of(model)
    with internals.with_compiled_loss(model, twice):
        doubled = float(compute(x=x, y=y, y_pred=predicted))
    assert internals.compiled_loss(model) is own
    assert doubled == pytest.approx(2 * float(compute(x=x, y=y, y_pred=predicted)), rel=1e-6)


def test_masks_and_the_operations_of_a_graph_are_seen():
    inputs = keras.Input((3,))
    masked = keras.layers.Embedding(4, 2, mask_zero=True)
    outputs = masked(inputs)
    assert internals.operation_behind(outputs) == (masked, (inputs,))
    assert internals.has_mask(masked(np.array([[0, 1, 2]])))
    assert not internals.has_mask(keras.layers.Embedding(4, 2)(np.array([[0, 1, 2]])))


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
