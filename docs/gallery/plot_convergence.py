"""
Which layer is first?
=====================

Each line is the distance of a layer to where it ends. It starts at 1 and ends at 0. The layer whose
line falls first converges first.
"""

import keras

import keras_lcb as lcb

keras.utils.set_random_seed(0)
data = lcb.vision.load("digits")
model = lcb.vision.build_cnn(data.shape, data.classes, depth=4)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(0.1), loss)

convergence, gradients = lcb.LayerConvergence(), lcb.GradientNorms()
model.fit(data.train, epochs=12, shuffle=False, verbose=0, callbacks=[convergence, gradients])
run = lcb.collect(convergence, gradients)

# %%
# Every figure takes a run, and draws on the axes that you give it, or on new ones.

lcb.plotting.plot_convergence(run)

# %%
# The same run has more to show. Are the layers with the large gradients the fast ones?

lcb.plotting.plot_rate_vs_gradient(run)
