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
