"""A Wasserstein GAN with gradient penalty: three updates of the critic for one of the generator."""

from typing import Any

import keras
from keras import ops

from battery.models import normal
from battery.trainings import Training
from battery.trainings import generative_adversarial_network as gan

BACKENDS = ("tensorflow",)


class Wasserstein(gan.Adversarial):
    def train_step(self, images: Any) -> dict[str, Any]:
        import tensorflow as tf

        for _ in range(3):
            code = keras.random.normal((images.shape[0], 3), seed=self.noise)
            with tf.GradientTape() as tape:
                made = self.generator(code)
                loss = ops.mean(self.critic(made)) - ops.mean(self.critic(images))
                loss += 10.0 * self._penalty(images, made)
            variables = self.critic.trainable_variables
            self.of_critic.apply(tape.gradient(loss, variables), variables)
        with tf.GradientTape() as tape:
            of_generator = -ops.mean(self.critic(self.generator(code)))
        variables = self.generator.trainable_variables
        self.of_generator.apply(tape.gradient(of_generator, variables), variables)
        return {"loss": loss, "generator_loss": of_generator}

    def _penalty(self, images: Any, made: Any) -> Any:
        import tensorflow as tf

        share = keras.random.uniform((images.shape[0], 1), seed=self.noise)
        between = share * images + (1 - share) * made
        with tf.GradientTape() as tape:
            tape.watch(between)
            told = self.critic(between)
        norms = ops.sqrt(ops.sum(ops.square(tape.gradient(told, between)), axis=1) + 1e-12)
        return ops.mean(ops.square(norms - 1.0))


def make() -> Training:
    parts = gan.make().model
    model = Wasserstein(parts.generator, parts.critic)
    model.compile(keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.02))
    return Training(model, {"x": normal(16, 4)}, one_update=False)
