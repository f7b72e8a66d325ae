"""A generative adversarial network: two models, each with an optimizer, in one `train_step`."""

from typing import Any

import keras
from keras import layers, ops

from battery.models import normal
from battery.trainings import Training

BACKENDS = ("tensorflow",)


class Adversarial(keras.Model):
    def __init__(self, generator: keras.Model, critic: keras.Model) -> None:
        super().__init__()
        self.generator, self.critic = generator, critic
        self.noise = keras.random.SeedGenerator(5)

    def compile(self, of_generator: Any, of_critic: Any) -> None:
        super().compile(jit_compile=False)
        self.of_generator, self.of_critic = of_generator, of_critic

    def train_step(self, images: Any) -> dict[str, Any]:
        import tensorflow as tf

        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        count = images.shape[0]
        code = keras.random.normal((count, 3), seed=self.noise)
        with tf.GradientTape() as tape:
            told = ops.concatenate([self.critic(self.generator(code)), self.critic(images)])
            truth = ops.concatenate([ops.zeros((count, 1)), ops.ones((count, 1))])
            of_critic = loss(truth, told)
        variables = self.critic.trainable_variables
        self.of_critic.apply(tape.gradient(of_critic, variables), variables)
        with tf.GradientTape() as tape:
            of_generator = loss(ops.ones((count, 1)), self.critic(self.generator(code)))
        variables = self.generator.trainable_variables
        self.of_generator.apply(tape.gradient(of_generator, variables), variables)
        return {"loss": of_critic, "generator_loss": of_generator}


def make() -> Training:
    generator = keras.Sequential(
        [keras.Input((3,)), layers.Dense(8, "relu"), layers.Dense(4)], name="generator"
    )
    critic = keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(1)], name="critic"
    )
    model = Adversarial(generator, critic)
    model.compile(keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.02))
    return Training(model, {"x": normal(16, 4)})
