from __future__ import annotations

import numpy as np
import pytest

from keras_lcb.landscape.samples import read
from keras_lcb.similarity.batches import mini_batches


@pytest.mark.parametrize(
    "samples, most, sizes",
    [
        (8, 4, [4, 4]),
        (9, 4, [4, 5]),  # the smallest size is also 4
        (10, 5, [5, 5]),
        (64, 30, [21, 21, 22]),
        (7, None, [7]),
        (3, None, None),
    ],
)
def test_sizes_differ_by_one_at_most(samples, most, sizes):
    data = read({"a": np.arange(samples), "b": np.zeros((samples, 2))})
    if sizes is None:
        with pytest.raises(ValueError, match="Received 3 samples of one shape, but .* at least 4"):
            mini_batches(data, most, least=4)
        return
    batches = mini_batches(data, most, least=4)
    assert [len(batch["a"]) for batch in batches] == sizes
    np.testing.assert_array_equal(np.concatenate([b["a"] for b in batches]), np.arange(samples))


def test_samples_of_different_shapes_are_in_different_batches():
    data = read(iter([np.zeros((5, 2)), np.zeros((5, 3)), np.zeros((5, 2))]), steps=3)
    assert [batch.shape for batch in mini_batches(data, 6, 4)] == [(5, 2), (5, 2), (5, 3)]


@pytest.mark.parametrize("most", [3, 4.0, True, "all"])
def test_an_invalid_size_is_refused(most):
    with pytest.raises(ValueError, match="`batch_size` must be a whole number, 4 or more"):
        mini_batches(read(np.zeros((8, 2))), most, least=4)
