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


def _tensors(size):
    """Data on which sums in single precision go wrong, each in its own way."""
    random = np.random.default_rng(0)
    peak = 1 + random.random(size) / 2
    peak[: max(1, size // 100_000)] = 1e4
    yield np.full(size, 0.1)  # rounds in the same direction each time
    yield peak  # all others are small beside the first
    yield np.sort(random.random(size))[::-1]
    yield random.normal(size=size)


def _compiled(function):
    """Both as it is, and as XLA compiles it, where the backend can."""
    yield function
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        yield tf.function(function)
        yield tf.function(function, jit_compile=True)
    if keras.backend.backend() == "jax":
        import jax

        yield jax.jit(function)


@pytest.mark.parametrize("size", [7, 512, 4096, 100_000, 3_000_000])
def test_squared_norms_are_right_to_single_precision(size):
    arrays = [array.astype("float32") for array in _tensors(size)]
    columns = [array.reshape(-1, 8).T for array in arrays if size % 8 == 0]
    for function in _compiled(lambda tensors: ops.squared_norms(tensors)):
        for group in filter(None, (arrays, columns, arrays[:1])):
            tensors = [keras.ops.convert_to_tensor(array) for array in group]
            found = np.sqrt(keras.ops.convert_to_numpy(function(tensors)).astype("float64"))
            expected = [np.sqrt(np.sum(array.astype("float64") ** 2)) for array in group]
            np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("size", [7, 4096, 100_000])
def test_squared_distances_are_right_to_single_precision(size):
    before = [array.astype("float32") for array in _tensors(size)]
    after = [array + np.float32(0.01) * array[::-1] for array in before]
    expected = [
        np.sqrt(np.sum((a.astype("float64") - b.astype("float64")) ** 2))
        for a, b in zip(after, before, strict=True)
    ]
    for function in _compiled(lambda a, b: ops.squared_distances(a, b)):
        tensors = [[keras.ops.convert_to_tensor(v) for v in each] for each in (after, before)]
        found = np.sqrt(keras.ops.convert_to_numpy(function(*tensors)).astype("float64"))
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_squared_and_subtracted_in_single(dtype):
    large = keras.ops.cast(keras.ops.full((4096,), 30.0), dtype)
    (square,) = keras.ops.convert_to_numpy(ops.squared_norms([large]))
    assert square == pytest.approx(4096 * 900)  # far beyond what float16 holds
    before = keras.ops.cast(keras.ops.full((8,), 1.0), dtype)
    after = keras.ops.cast(keras.ops.full((8,), 256.0), dtype)
    (square,) = keras.ops.convert_to_numpy(ops.squared_distances([after], [before]))
    assert square == pytest.approx(8 * 255**2)  # bfloat16 would round the difference to 256


def test_tensors_of_all_kinds_keep_their_places():
    shapes = [(3, 2), (2,), (3, 2), (), (70, 300), (2,), (2,), ()]
    random = np.random.default_rng(0)
    arrays = [random.normal(size=shape).astype("float32") for shape in shapes]
    halves = [(array / 2).astype("float32") for array in arrays]
    tensors = [[keras.ops.convert_to_tensor(a) for a in each] for each in (arrays, halves)]
    squares = np.array([np.sum(array.astype("float64") ** 2) for array in arrays])
    for function in _compiled(lambda t: ops.squared_norms(t)):
        found = keras.ops.convert_to_numpy(function(tensors[0]))
        np.testing.assert_allclose(found, squares, rtol=1e-6)
    for function in _compiled(lambda a, b: ops.squared_distances(a, b)):
        found = keras.ops.convert_to_numpy(function(*tensors))
        np.testing.assert_allclose(found, squares / 4, rtol=1e-6)


def test_long_sums_do_not_drift():
    """2 ** 24 and more equal terms, where a plain single precision sum would stand still."""
    total = keras.Variable(
        np.zeros(ops.total_shape((1,))),
        dtype=ops.ACCUMULATOR_DTYPE,
        trainable=False,
        autocast=False,
    )
    large = 2.0**24
    for amount in (large, *([1.0] * 50)):
        ops.accumulate(total, keras.ops.cast(np.array([amount]), ops.ACCUMULATOR_DTYPE))
    value = float(ops.total_value(keras.ops.convert_to_numpy(total))[0])
    assert abs(value - (large + 50)) <= 2.0  # to single precision, not 50 off


def test_a_step_along_part_of_the_way():
    shapes, factors = [(3, 2), (2,), (3, 2), (30, 40), ()], [0.0, 1.0, 0.5, 0.25, 1.0]
    random = np.random.default_rng(0)
    before = [random.normal(size=shape).astype("float32") for shape in shapes]
    variables = [keras.Variable(b + np.float32(1)) for b in before]
    ends = [np.array(ops.on_host(v)) for v in variables]
    ops.scale_steps(
        variables,
        [keras.ops.convert_to_tensor(b) for b in before],
        keras.ops.convert_to_tensor(factors[::-1]),
        list(range(len(shapes)))[::-1],
    )
    for variable, start, end, factor in zip(variables, before, ends, factors, strict=True):
        found = ops.on_host(variable)
        if factor in (0.0, 1.0):
            np.testing.assert_array_equal(found, end if factor else start)
        else:
            np.testing.assert_allclose(found, start + factor * (end - start), rtol=1e-6)
