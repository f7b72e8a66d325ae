"""Keras models of the networks that `tests.oracle` trains by hand."""

from __future__ import annotations

import keras

from tests.oracle import Arrays, Network


def dense(network: Network, weights: Arrays | None = None, **layer_options) -> keras.Model:
    """The network as a Functional model with the layers `a`, `b`, `c`, …."""
    inputs = outputs = keras.Input((network.sizes[0],))
    last = len(network.sizes) - 2
    for depth, width in enumerate(network.sizes[1:]):
        outputs = keras.layers.Dense(
            width,
            activation=None if depth == last else "tanh",
            name="abcdefgh"[depth],
            **layer_options,
        )(outputs)
    model = keras.Model(inputs, outputs)
    model.set_weights(network.weights() if weights is None else weights)
    return model


def own_step(inputs, outputs, factor: float) -> keras.Model:
    """A model with a training step of its own, which multiplies the loss by a factor."""
    return _OWN_STEPS[keras.backend.backend()](inputs, outputs, factor)


def _tensorflow_step(inputs, outputs, factor):
    import tensorflow as tf

    class OwnStep(keras.Model):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = factor * self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return {"loss": loss}

    return OwnStep(inputs, outputs)


def _jax_step(inputs, outputs, factor):
    import jax

    class OwnStep(keras.Model):
        def train_step(self, state, data):
            trained, others, of_optimizer, metrics = state
            x, y = data[:2]

            def loss_of(trained):
                predicted, after = self.stateless_call(trained, others, x, training=True)
                return factor * self.compute_loss(x=x, y=y, y_pred=predicted), after

            (loss, after), gradients = jax.value_and_grad(loss_of, has_aux=True)(trained)
            trained, of_optimizer = self.optimizer.stateless_apply(of_optimizer, gradients, trained)
            return {"loss": loss}, (trained, after, of_optimizer, metrics)

    return OwnStep(inputs, outputs)


def _torch_step(inputs, outputs, factor):
    import torch

    class OwnStep(keras.Model):
        def train_step(self, data):
            x, y = data[:2]
            self.zero_grad()
            loss = factor * self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
            loss.backward()
            with torch.no_grad():
                gradients = [v.value.grad for v in self.trainable_variables]
                self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss}

    return OwnStep(inputs, outputs)


_OWN_STEPS = {"tensorflow": _tensorflow_step, "jax": _jax_step, "torch": _torch_step}
