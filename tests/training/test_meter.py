"""Sums of squares on the device: windows, drains, the ring, and numbers that add up."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb.backend import ops
from keras_lcb.training.meter import NormMeter

RANDOM = np.random.default_rng(0)


@pytest.fixture
def variables():
    return [keras.Variable(np.zeros(shape, "float32")) for shape in ((2, 3), (3,))]


def gradients(scale=1.0):
    return [
        keras.ops.convert_to_tensor((scale * RANDOM.normal(size=shape)).astype("float32"))
        for shape in ((2, 3), (3,))
    ]


def squares(tensors):
    return [float(np.sum(keras.ops.convert_to_numpy(t).astype("float64") ** 2)) for t in tensors]


def feed(meter, variables, gradient, update):
    meter.add_gradients(variables, gradient)
    before = [keras.ops.zeros_like(u) for u in update]
    meter.add_updates(variables, before, update)


def test_sums_and_drains(variables):
    meter = NormMeter(variables)
    window = meter.window()
    fed = [(gradients(), gradients(0.1)) for _ in range(3)]
    for gradient, update in fed:
        feed(meter, variables, gradient, update)
    meter.drain()
    taken = window.take()
    assert (taken.updates, taken.nonfinite, taken.since_nonfinite, taken.skipped) == (3, 0, 0, 0)
    np.testing.assert_allclose(
        taken.gradient_squares, np.sum([squares(g) for g, _ in fed], axis=0), rtol=1e-6
    )
    np.testing.assert_allclose(
        taken.update_squares, np.sum([squares(u) for _, u in fed], axis=0), rtol=1e-6
    )
    meter.drain()
    again = window.take()
    assert again.updates == 0 and not again.gradient_squares.any()


def test_windows_are_read_apart(variables):
    meter = NormMeter(variables, ring_rows=4)
    often, seldom = meter.window(), meter.window()
    for _ in range(3):
        feed(meter, variables, gradients(), gradients())
        meter.drain()
        assert often.take().updates == 1
    taken = seldom.take()
    assert taken.updates == 3 and [len(rows) for rows in taken.rows] == [1, 1, 1]


def test_a_window_that_nobody_holds_is_forgotten(variables):
    meter = NormMeter(variables)
    kept = meter.window()
    meter.window()
    assert meter.windows == [kept]


def test_variables_without_a_gradient(variables):
    meter = NormMeter(variables)
    window = meter.window()
    (gradient,) = gradients()[1:]
    meter.add_gradients(variables[1:], [gradient])
    stranger = keras.Variable(np.zeros(2, "float32"))
    meter.add_gradients([stranger], [keras.ops.ones(2)])  # not followed: no update of ours
    meter.drain()
    taken = window.take()
    assert meter.with_gradient == {1}
    assert taken.updates == 1
    np.testing.assert_allclose(taken.gradient_squares, [0.0, *squares([gradient])], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nonfinite_updates_are_counted_from_the_first(variables, bad):
    meter = NormMeter(variables)
    window = meter.window()
    for scale in (1.0, bad, 1.0, bad):
        feed(meter, variables, gradients(scale), gradients())
    meter.drain()
    assert (window.updates, window.nonfinite, window.since_nonfinite) == (4, 2, 3)
    feed(meter, variables, gradients(), gradients())  # finite again
    meter.drain()
    taken = window.take()
    assert (taken.updates, taken.nonfinite, taken.since_nonfinite) == (5, 2, 4)
    feed(meter, variables, gradients(), gradients())
    meter.drain()
    assert window.take().since_nonfinite == 0


def test_the_ring_keeps_the_newest(variables):
    meter = NormMeter(variables, ring_rows=4)
    window = meter.window()
    fed = [(gradients(), gradients()) for _ in range(6)]
    for gradient, update in fed:
        feed(meter, variables, gradient, update)
    meter.drain()
    taken = window.take()
    (rows,) = taken.rows
    assert taken.lost == 2 and np.isnan(rows[:2]).all()
    expected = [[squares(g), squares(u)] for g, u in fed[2:]]
    np.testing.assert_allclose(rows[2:], expected, rtol=1e-6)


def test_steps_that_only_accumulate_leave_the_ring_as_it_is(variables):
    meter = NormMeter(variables, ring_rows=4)
    window = meter.window()
    nothing = [keras.ops.zeros_like(g) for g in gradients()]
    meter.add_updates(variables, nothing, nothing)
    gradient, update = gradients(), gradients()
    feed(meter, variables, gradient, update)
    for _ in range(2):
        meter.add_updates(variables, nothing, nothing)
    meter.drain()
    (rows,) = window.take().rows
    np.testing.assert_allclose(rows, [[squares(gradient), squares(update)]], rtol=1e-6)


def test_skipped_steps(variables):
    meter = NormMeter(variables)
    window = meter.window()
    meter.add_skipped()
    meter.add_skipped()
    meter.drain()
    taken = window.take()
    assert (taken.updates, taken.skipped) == (0, 2)


def test_long_sums_do_not_drift():
    """2 ** 24 and more equal terms, where a plain single precision sum would stand still."""
    total = keras.Variable(
        np.zeros(ops.total_shape(1)), dtype=ops.ACCUMULATOR_DTYPE, trainable=False, autocast=False
    )
    large = 2.0**24
    for amount in (large, *([1.0] * 50)):
        ops.accumulate(total, keras.ops.cast(np.array([amount]), ops.ACCUMULATOR_DTYPE))
    array = keras.ops.convert_to_numpy(total)
    value = float(ops.total_value(array)[0])
    assert abs(value - (large + 50)) <= 2.0  # to single precision, not 50 off


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_squared_norms_of_half_precision_are_summed_in_single(dtype):
    tensor = keras.ops.cast(keras.ops.full((4096,), 30.0), dtype)
    (square,) = keras.ops.convert_to_numpy(ops.squared_norms([tensor]))
    assert square == pytest.approx(4096 * 900)  # far beyond what float16 holds
