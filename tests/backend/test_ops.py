"""Values on their way between device and host."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb.backend import ops


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int32"])
def test_a_variable_is_read_and_cleared(dtype):
    variable = keras.Variable(np.array([[1, 2], [3, 4]]), dtype=dtype, trainable=False)
    first = np.array(ops.on_host(variable), "float64")
    assert first.tolist() == [[1, 2], [3, 4]]
    variable.assign_add(keras.ops.ones((2, 2), dtype))
    assert np.array(ops.on_host(variable), "float64").tolist() == [[2, 3], [4, 5]]
    ops.clear(variable)
    assert np.array(ops.on_host(variable), "float64").tolist() == [[0, 0], [0, 0]]
    assert keras.backend.standardize_dtype(variable.dtype) == dtype


def test_a_tensor_is_read():
    assert ops.on_host(keras.ops.convert_to_tensor([1.5, 2.0])).tolist() == [1.5, 2.0]


def test_what_was_read_stays_when_the_variable_is_cleared():
    variable = keras.Variable(np.ones(3, "float32"), trainable=False)
    kept = ops.on_host(variable)
    ops.clear(variable)
    assert kept.tolist() == [1, 1, 1]


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow has tf.distribute"
)
def test_a_variable_of_a_strategy_is_read_and_cleared():
    import tensorflow as tf

    for strategy in (tf.distribute.OneDeviceStrategy("CPU:0"), tf.distribute.MirroredStrategy()):
        with strategy.scope():
            variable = keras.Variable(np.array([1.0, 2.0]), dtype="float32")
        assert ops.on_host(variable).tolist() == [1, 2]
        ops.clear(variable)
        assert ops.on_host(variable).tolist() == [0, 0]
