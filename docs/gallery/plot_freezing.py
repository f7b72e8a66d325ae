"""
Freeze the layers that are done
===============================

Layers freeze one after the other, the shallowest first, at times that a schedule sets. A frozen
layer does not move any more, and drops out of the backward pass.
"""

import keras
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

import keras_lcb as lcb

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
hidden = [keras.layers.Dense(32, "relu", name=f"hidden_{depth}") for depth in range(3)]
model = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10, name="head")])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss)

freeze = lcb.FreezeConverged("cubic", start=0.3)
convergence = lcb.LayerConvergence()
model.fit(x / 16, y, epochs=10, verbose=0, callbacks=[convergence, freeze])
for event in freeze.events:
    print(f"Epoch {event['epoch']}: {', '.join(event['layers'])}")

# %%
# The distance of a frozen layer to its end is 0 from then on.

run = convergence.results
axes = plt.figure(layout="constrained").add_subplot()
lcb.plotting.plot_convergence(run, axes)
for event in freeze.events:
    axes.axvline(event["step"], color="grey", linestyle="dotted")
