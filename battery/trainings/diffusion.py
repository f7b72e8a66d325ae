"""A denoising diffusion model, whose weights are averaged over updates (EMA)."""

from typing import Any

import keras
from keras import layers, ops

from battery.models import normal
from battery.trainings import Training


class Diffusion(keras.Model):
    """Returns by how much the predicted noise is off."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__()
        self.normalizer = layers.Normalization()
        self.network = network
        self.noise = keras.random.SeedGenerator(7)

    def call(self, images: Any, training: bool = False) -> Any:
        images = self.normalizer(images)
        noise = keras.random.normal(ops.shape(images), seed=self.noise)
        share = keras.random.uniform((ops.shape(images)[0], 1), seed=self.noise)
        angle = share * (0.5 * 3.14159265)
        noisy = ops.cos(angle) * images + ops.sin(angle) * noise
        return self.network([noisy, share]) - noise


def make() -> Training:
    image, share = keras.Input((6,)), keras.Input((1,))
    x = layers.Concatenate()([image, layers.Dense(4, ops.sin)(share)])
    x = layers.Dense(16, "swish")(x)
    x = layers.Dense(6)(layers.Add()([x, layers.Dense(16, "swish")(x)]))
    model = Diffusion(keras.Model([image, share], x, name="network"))
    x = normal(16, 6)
    model.normalizer.adapt(x)
    model(x[:1])
    optimizer = keras.optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, "mae", jit_compile=False)
    return Training(model, {"x": x, "y": 0 * x})
