"""A siamese network that tells whether two inputs are alike, by a margin loss on distances."""

from typing import Any

import keras
from keras import layers, ops

from battery.models import normal, whole
from battery.trainings import Training


def margin_loss(alike: Any, distance: Any) -> Any:
    near = alike * ops.square(distance)
    return near + (1 - alike) * ops.square(ops.maximum(1.0 - distance, 0.0))


def distance(vectors: Any) -> Any:
    difference = ops.sum(ops.square(vectors[0] - vectors[1]), axis=1, keepdims=True)
    return ops.sqrt(ops.maximum(difference, 1e-7))


def make() -> Training:
    tower_in = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, activation="tanh")(tower_in)
    x = layers.Dense(5, "tanh")(layers.Flatten()(layers.BatchNormalization()(x)))
    tower = keras.Model(tower_in, x, name="tower")
    left, right = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    apart = layers.Lambda(distance, output_shape=(1,))([tower(left), tower(right)])
    outputs = layers.BatchNormalization(name="scaled")(apart)
    model = keras.Model([left, right], outputs)
    model.compile(keras.optimizers.RMSprop(0.01), margin_loss, jit_compile=False)
    x = [normal(16, 8, 8, 1), normal(16, 8, 8, 1, seed=1)]
    return Training(model, {"x": x, "y": whole(2, 16, 1).astype("float32")})
