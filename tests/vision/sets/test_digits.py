from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from keras_lcb import vision


def test_digits_are_those_of_scikit_learn():
    data = vision.load("digits", batch_size=100)
    assert (data.shape, data.classes, data.maximum) == ((8, 8, 1), 10, 16)
    images, labels = (
        np.concatenate([pair[part].numpy() for pair in data.validation]) for part in (0, 1)
    )
    digits = load_digits()
    np.testing.assert_array_equal(images[..., 0] * 16, digits.images[-len(images) :])
    np.testing.assert_array_equal(labels, digits.target[-len(images) :])
    assert len(images) == 359
    train = np.concatenate([batch.numpy() for batch, _ in data.train])
    assert train.shape == (1438, 8, 8, 1)
    assert (train.min(), train.max()) == (0, 1)
