"""What a finding advises to write can be written as it is."""

import keras
import numpy as np

import keras_lcb as lcb
from keras_lcb.diagnosis.advice import multipliers


def test_the_code_for_a_learning_rate_of_its_own_trains():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="line")])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = np.ones((4, 2), "float32")
    model.fit(x, x[:, 0], verbose=0)
    names = {"lcb": lcb, "model": model}
    exec(multipliers(("line",), 0.1).code, names)
    layerwise = names["layerwise"]
    assert np.isfinite(layerwise.fit(x, x[:, 0], verbose=0).history["loss"]).all()
    assert layerwise.learning_rate_multipliers["line"] == 0.1
