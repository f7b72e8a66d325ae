"""Contrastive learning: two noisy views of a sample should have similar projections."""

from typing import Any

import keras
from keras import layers, ops

from battery.models import normal
from battery.trainings import Training


def cross_entropy_of_pairs(_: Any, projections: Any) -> Any:
    """Returns the normalized temperature-scaled cross entropy of the pairs of a batch."""
    first, second = ops.split(ops.normalize(projections, axis=-1), 2, axis=-1)
    similar = ops.matmul(first, ops.transpose(second)) / 0.1
    own = ops.diagonal(similar)
    return ops.logsumexp(similar, axis=1) - own + ops.logsumexp(similar, axis=0) - own


def make() -> Training:
    inputs = keras.Input((6,))
    encoder = keras.Sequential([layers.Dense(12, "relu"), layers.Dense(8)], name="encoder")
    projection = keras.Sequential([layers.Dense(8, "relu"), layers.Dense(4)], name="projection")
    views = [layers.GaussianNoise(0.2, seed=seed)(inputs) for seed in (1, 2)]
    model = keras.Model(inputs, layers.Concatenate()([projection(encoder(v)) for v in views]))
    model.compile(keras.optimizers.Adam(0.01), cross_entropy_of_pairs, jit_compile=False)
    return Training(model, {"x": normal(16, 6), "y": normal(16, 8)})
