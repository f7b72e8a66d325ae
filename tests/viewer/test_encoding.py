import base64

import numpy as np
import pytest

from keras_lcb.viewer.encoding import INFINITE, NOT_A_NUMBER, STEPS, encoded


def decoded(form):
    """Another reading of the format, as its docstring describes it."""
    content = base64.b64decode(form["data"])
    if "low" not in form:
        return np.frombuffer(content, "<f4").reshape(form["shape"])
    changes = np.frombuffer(content, np.uint8).reshape(form["shape"])
    codes = np.cumsum(changes, axis=0) % 256
    values = form["low"] + codes / STEPS * (form["high"] - form["low"])
    values = np.exp(values) if form["log"] else values
    values = np.where(codes == INFINITE, np.inf, values)
    return np.where(codes == NOT_A_NUMBER, np.nan, values)


def test_float32_comes_back_exactly():
    values = np.array([[1.0, np.nan], [np.inf, -np.inf], [1e-30, -7.25]])
    np.testing.assert_array_equal(decoded(encoded(values)), values.astype(np.float32))


@pytest.mark.parametrize(
    "values", [np.linspace(-3, 8, 1000), np.array([[0.1, 0.5], [0.2, 0.3]]), np.full((3, 2), 7.0)]
)
def test_bytes_are_within_half_a_step(values):
    form = encoded(values, "byte")
    assert not form["log"]
    step = (form["high"] - form["low"]) / STEPS
    np.testing.assert_allclose(decoded(form), values, atol=0.5001 * step, rtol=0)
    assert form["low"] <= values.min() and form["high"] >= values.max()


def test_wide_positive_values_keep_their_relative_size():
    values = np.geomspace(1e-6, 1e3, 500)
    form = encoded(values, "byte")
    assert form["log"]
    half_a_step = 0.5001 * np.log(1e9) / STEPS
    np.testing.assert_allclose(np.log(decoded(form)), np.log(values), atol=half_a_step + 1e-4)


def test_what_is_not_finite_stays_so():
    values = np.array([[1.0, np.nan], [np.inf, 2.0]])
    np.testing.assert_array_equal(np.isnan(decoded(encoded(values, "byte"))), np.isnan(values))
    assert decoded(encoded(values, "byte"))[1, 0] == np.inf
    nothing = encoded(np.full((2, 2), np.nan), "byte")
    assert np.isnan(decoded(nothing)).all()


def test_a_value_that_does_not_change_costs_nothing_but_zeros():
    form = encoded(np.array([[0.0, 1.0]] * 50), "byte")
    assert not any(base64.b64decode(form["data"])[2:])
