"""
Measure what you like
=====================

A quantity is measured within the training step, from each gradient. This one is the share of the
gradient's entries that are exactly zero.
"""

import keras
from sklearn.datasets import load_digits

import keras_lcb as lcb


class Zeros(lcb.StepQuantity):
    name, long_name, units = "zeros", "share of zero gradient entries", "1"

    def update(self, state, gradient, before, after):
        zeros = keras.ops.sum(keras.ops.cast(keras.ops.equal(gradient, 0), "float32"))
        return state, (zeros, keras.ops.cast(keras.ops.size(gradient), "float32"))

    def result(self, sums, updates):
        return sums[0] / sums[1]


keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
hidden = [keras.layers.Dense(32, "relu", name=f"hidden_{depth}") for depth in range(3)]
model = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10, name="head")])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

zeros = lcb.StepQuantities(Zeros())
model.fit(x / 16, y, epochs=10, verbose=0, callbacks=[zeros])

# %%
# Some pixels are white in each digit of a batch. The first layer's weights from them receive no
# gradient.

lcb.plotting.plot_quantity(zeros.results, "zeros")
