import keras
import numpy as np

import keras_lcb as lcb
from keras_lcb.quantities import UpdateRatio
from tests import oracle

NETWORK = oracle.Network()
RATE = 0.1
VARIABLES = {"block1": range(4), "block1_b": range(2, 4), "head": range(4, 6)}


def model_of(weights):
    layers = [
        keras.layers.Dense(width, activation, name=name)
        for width, activation, name in zip(
            NETWORK.sizes[1:], ("tanh", "tanh", None), ("block1_a", "block1_b", "head"), strict=True
        )
    ]
    model = keras.Sequential([keras.Input((NETWORK.sizes[0],)), *layers])
    model.set_weights(weights)
    model.compile(keras.optimizers.SGD(RATE), "mse")
    return model


def test_a_group_of_layers_is_measured_as_one_vector():
    """In records and in single updates, also if a layer belongs to two groups."""
    x, y = NETWORK.data(12)
    ratio = lcb.StepQuantities(UpdateRatio(), layers=list(VARIABLES), per_update=True)
    model = model_of(NETWORK.weights())
    model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=[ratio])
    sizes = []

    def rule(weights, gradients):
        sizes.append(oracle.layer_norms(weights, VARIABLES.values()))
        return oracle.sgd(RATE)(weights, gradients)

    batches = oracle.batches(x, y, size=4, epochs=2)
    by_hand = oracle.train(
        NETWORK.gradients, NETWORK.weights(), batches, rule, list(VARIABLES.values())
    )
    squares = by_hand.update_norms**2, np.array(sizes) ** 2
    moved, weights = (each.reshape(2, 3, 3).sum(axis=1) for each in squares)
    run = ratio.results.sel(layer=list(VARIABLES))
    np.testing.assert_allclose(run.update_ratio[1:], np.sqrt(moved / weights), rtol=1e-5)
    np.testing.assert_allclose(
        run.update_ratio_per_update, np.sqrt(squares[0] / squares[1]), rtol=1e-5
    )


def test_a_step_from_zero():
    model = model_of([np.zeros_like(w) for w in NETWORK.weights()])
    x, y = NETWORK.data(4)
    ratio = lcb.StepQuantities(UpdateRatio())
    model.fit(x, y, epochs=2, verbose=0, callbacks=[ratio])
    # Only the last bias has a gradient, RATE · mean of y, and again a smaller one.
    assert (ratio.results.update_ratio[1] == 0).all()
    head = ratio.results.update_ratio.sel(layer="head")
    assert 0 < head[2] < 1
