"""A recommender: embeddings of users and films, whose product predicts a rating."""

from typing import Any

import keras
from keras import layers, ops

from battery.models import normal, whole
from battery.trainings import Training


class Recommender(keras.Model):
    def __init__(self, users: int, films: int, width: int) -> None:
        super().__init__()
        options = {"embeddings_initializer": "he_normal", "embeddings_regularizer": "l2"}
        self.user = layers.Embedding(users, width, **options)
        self.user_bias = layers.Embedding(users, 1)
        self.film = layers.Embedding(films, width, **options)
        self.film_bias = layers.Embedding(films, 1)

    def call(self, pairs: Any) -> Any:
        users, films = pairs[:, 0], pairs[:, 1]
        product = ops.sum(self.user(users) * self.film(films), axis=1, keepdims=True)
        return ops.sigmoid(product + self.user_bias(users) + self.film_bias(films))


def make() -> Training:
    model = Recommender(12, 9, 4)
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
    pairs = whole(9, 16, 2)
    model(pairs[:1])
    return Training(model, {"x": pairs, "y": normal(16, 1)})
