"""The states of stateful RNNs, which Keras does not list among the variables of a model."""

from __future__ import annotations

import keras

from keras_lcb.backend import internals


def rnn_states(model: keras.Model) -> list[keras.Variable]:
    """Returns the states that stateful RNNs in a model carry from one batch to the next.

    Those that Keras lists among the model's variables are left out.

    Example:
    >>> rnn = keras.layers.SimpleRNN(2, stateful=True)
    >>> model = keras.Sequential([keras.Input((5, 3), batch_size=4), rnn])
    >>> [tuple(state.shape) for state in rnn_states(model)]
    [(4, 2)]
    """
    listed = {id(variable) for variable in model.variables}
    of_layers = [getattr(layer, "states", None) for layer in internals.flattened(model)]
    states = [s for s in keras.tree.flatten(of_layers) if isinstance(s, keras.Variable)]
    # A `Bidirectional` layer repeats the states of the two layers in it.
    return list({id(state): state for state in states if id(state) not in listed}.values())
