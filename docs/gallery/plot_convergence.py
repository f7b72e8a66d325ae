"""
Which layer is first?
=====================

Each line is the distance of a layer to where it ends. It starts at 1 and ends at 0; the layer
whose line falls first is the first to converge.
"""

import keras

import keras_lcb as lcb

keras.utils.set_random_seed(0)
data = lcb.vision.load("digits")
model = lcb.vision.build_cnn(data.shape, data.classes, depth=4)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(0.1), loss)

convergence = lcb.LayerConvergence()
model.fit(data.train, epochs=10, verbose=0, callbacks=[convergence])

# %%
# The callback holds a run, and every figure takes a run.

lcb.plotting.plot_convergence(convergence.results)
