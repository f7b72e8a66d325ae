"""A variational autoencoder, whose encoder adds the Kullback-Leibler divergence to the loss."""

from typing import Any

import keras
from keras import layers, ops

from battery.models import normal
from battery.trainings import Training


class Sampling(layers.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seed_generator = keras.random.SeedGenerator(3)

    def call(self, inputs: Any) -> Any:
        mean, log_variance = inputs
        divergence = 0.5 * ops.mean(ops.square(mean) + ops.exp(log_variance) - log_variance - 1)
        self.add_loss(divergence)
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_variance) * noise


def make() -> Training:
    image = keras.Input((8, 8, 1))
    x = layers.Dense(16, "relu")(layers.Flatten()(image))
    code = Sampling()([layers.Dense(2, name="mean")(x), layers.Dense(2, name="log_variance")(x)])
    encoder = keras.Model(image, code, name="encoder")
    latent = keras.Input((2,))
    x = layers.Dense(64, "sigmoid")(layers.Dense(16, "relu")(latent))
    decoder = keras.Model(latent, layers.Reshape((8, 8, 1))(x), name="decoder")
    model = keras.Sequential([image, encoder, decoder])
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
    x = normal(16, 8, 8, 1)
    return Training(model, {"x": x, "y": x})
