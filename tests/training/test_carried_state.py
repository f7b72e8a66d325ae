"""What becomes of the tap's own variables when a step fails."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import LayerwiseModel, StepQuantities
from keras_lcb.quantities import FirstGradient
from tests.models import dense
from tests.oracle import Network, batches, train

NETWORK = Network((3, 4, 2))
BATCH, RATE = 4, 0.1
STEPS = 1 if keras.backend.backend() == "torch" else 4  # in one execution


class Batches(keras.utils.PyDataset):
    """Data that cannot be read at one batch."""

    def __init__(self, x, y, bad=None):
        super().__init__()
        self.x, self.y, self.bad = x, y, bad

    def __len__(self):
        return len(self.x) // BATCH

    def __getitem__(self, number):
        if number == self.bad:
            raise OSError("the disk has failed")
        part = slice(BATCH * number, BATCH * (number + 1))
        return self.x[part], self.y[part]


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_training_goes_on_after_a_step_that_failed(factor, tmp_path):
    """On JAX, the step before the one that fails has used up the values that it received."""
    x, y = NETWORK.data(8 * BATCH)
    model = LayerwiseModel.from_model(dense(NETWORK))
    model.learning_rate_multipliers[model.layers[-1].name] = factor
    model.compile(keras.optimizers.SGD(RATE), "mse", steps_per_execution=STEPS)
    model.save_weights(tmp_path / "start.weights.h5")
    first = StepQuantities(FirstGradient())
    with pytest.raises(Exception, match="the disk has failed"):  # of a type of the backend's own
        model.fit(Batches(x, y, bad=6), shuffle=False, verbose=0, callbacks=[first])
    model.load_weights(tmp_path / "start.weights.h5")
    model.fit(Batches(x, y), shuffle=False, verbose=0, callbacks=[first])

    def rule(weights, gradients):
        rates = [RATE] * 2 + [factor * RATE] * 2
        return [w - r * g for w, r, g in zip(weights, rates, gradients, strict=True)]

    by_hand = train(
        NETWORK.gradients, NETWORK.weights(), batches(x, y, size=BATCH), rule, NETWORK.layers
    )
    for found, expected in zip(model.get_weights(), by_hand.weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    found = first.results.first_gradient.values[-1]
    np.testing.assert_allclose(found, by_hand.gradient_norms[0], rtol=1e-5)
