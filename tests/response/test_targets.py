from __future__ import annotations

import numpy as np
import pytest

from keras_lcb.response.targets import as_functions


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_labels_become_one_function_a_class(shape):
    found = as_functions(np.array([3, 7, 7, 3]).reshape(shape))
    assert found.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]


def test_numbers_and_several_targets_stay():
    y = np.arange(12.0).reshape(3, 2, 2)
    np.testing.assert_array_equal(as_functions(y), y.reshape(3, 4))
    assert as_functions({"a": y, "b": np.array([0, 1, 1])}).shape == (3, 6)
    assert as_functions(np.array([[0, 1], [1, 0], [1, 0]])).shape == (3, 2)  # one-hot already


@pytest.mark.parametrize("y", [[0.0, 1.0, 2.0, 1.0], np.array([0.0, 1.0, 2.0, 1.0])])
def test_the_type_tells_labels_from_numbers_and_not_the_values(y):
    np.testing.assert_array_equal(as_functions(y), [[0.0], [1.0], [2.0], [1.0]])
    assert as_functions(np.asarray(y, int)).shape == (4, 3)


@pytest.mark.parametrize("y", [np.ones(4, dtype=int), np.full((4, 2), 0.5)])
def test_a_constant_is_refused(y):
    with pytest.raises(ValueError, match="`y` is the same for all samples"):
        as_functions(y)
