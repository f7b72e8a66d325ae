"""Models that several optimizers train in one step of their own, on each backend that has that."""

from __future__ import annotations

import keras

BACKEND = keras.backend.backend()


def new_pair(**options):
    """Returns a generator and a discriminator, and a model around them with its own step.

    The discriminator `disc` makes `disc_steps` updates a batch, the generator `gen` one.

    Args:
        **options: Those of `Pair`.
    """
    generator = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, "tanh", name="g1"),
            keras.layers.Dense(2, name="g2"),
        ],
        name="gen",
    )
    discriminator = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(4, "tanh", name="d1"),
            keras.layers.Dense(1, name="d2"),
        ],
        name="disc",
    )
    return Pair(generator, discriminator, **options)


class Pair(keras.Model):
    """Trains two models on opposite losses, each with an optimizer of its own.

    Args:
        generator: The one that makes samples.
        discriminator: The one that tells them from real ones.
        disc_steps: Updates of the discriminator a batch.
        where: Where the optimizers are: "attributes", "a dictionary", or "a closure".
        real_step: A function of a batch that makes all updates, on a backend.
    """

    def __init__(self, generator, discriminator, disc_steps=1, where="attributes"):
        super().__init__()
        self.gen, self.disc = generator, discriminator
        self.disc_steps = disc_steps
        self.where = where

    def compile(self, for_gen, for_disc):
        super().compile()  # Keras makes an optimizer that is never used
        if self.where == "attributes":
            self.for_gen, self.for_disc = for_gen, for_disc
        elif self.where == "a dictionary":
            self.optimizers = {"gen": for_gen, "disc": for_disc}
        self.get_optimizers = lambda: (for_gen, for_disc)

    def call(self, inputs):
        return self.disc(self.gen(inputs))

    def losses_of(self, noise, real):
        """The discriminator's loss and the generator's."""
        ops = keras.ops
        fake_score, real_score = self.disc(self.gen(noise)), self.disc(real)
        of_disc = ops.mean((fake_score - 1.0) ** 2) + ops.mean((real_score + 1.0) ** 2)
        return of_disc, ops.mean((fake_score + 1.0) ** 2)

    def train_step(self, data):
        noise, real = data[:2]
        for_gen, for_disc = self.get_optimizers()
        for _ in range(self.disc_steps):
            of_disc = self._update(0, for_disc, self.disc, noise, real)
        of_gen = self._update(1, for_gen, self.gen, noise, real)
        return {"disc_loss": of_disc, "gen_loss": of_gen}

    def _update(self, which, optimizer, part, noise, real):
        variables = part.trainable_variables
        if BACKEND == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                loss = self.losses_of(noise, real)[which]
            optimizer.apply(tape.gradient(loss, variables), variables)
        else:
            import torch

            self.zero_grad()
            loss = self.losses_of(noise, real)[which]
            loss.backward()
            with torch.no_grad():
                optimizer.apply([v.value.grad for v in variables], variables)
        return loss
