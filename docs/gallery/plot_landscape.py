"""
How flat is the loss around a layer?
====================================

Each layer moves alone, along random directions, while the others stay. Where the loss rises slowly,
the valley is flat, and a layer bears larger steps.
"""

import keras
from sklearn.datasets import load_digits

import keras_lcb as lcb

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
hidden = [keras.layers.Dense(16, "relu", name=f"hidden_{depth}") for depth in range(3)]
model = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10, name="head")])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(0.1), loss)
model.fit(x / 16, y, epochs=5, verbose=0)

objective = lcb.landscape.Objective(model, x[:256] / 16, y[:256])
names = ["hidden_0", "hidden_1", "hidden_2"]
slices = {name: lcb.landscape.loss_slice(objective, layer=name) for name in names}
lcb.plotting.plot_loss_slices(slices)

# %%
# Curvature is what such a line shows at its lowest point, in the direction where it is steepest.

curvature = lcb.landscape.curvature(objective)
print(curvature.eigenvalue.isel(rank=0).to_pandas().round(2))
