"""
What is wrong with this training?
=================================

Six layers of sigmoids, as one built them long ago. The loss hardly falls. Which layers are to
blame, and what could be tried?
"""

import warnings

import keras
from sklearn.datasets import load_digits

import keras_lcb as lcb

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
hidden = [keras.layers.Dense(32, "sigmoid", name=f"hidden_{depth}") for depth in range(6)]
model = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10, name="head")])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(0.05), loss)

watched = lcb.Diagnosis()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns during training, too
    model.fit(x / 16, y, epochs=5, verbose=0, callbacks=[watched])
print(lcb.diagnose(watched.results))

# %%
# Each layer passes on a fraction of the gradient that it receives.

lcb.plotting.plot_gradient_norms(watched.results)
