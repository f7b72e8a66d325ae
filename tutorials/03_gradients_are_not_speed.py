# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Gradients are not speed
#
# *About 30 minutes. You need notebook 01, and to know what a gradient is.*
#
# A step of gradient descent is the learning rate times the gradient. So the layer with the largest
# gradient should be the fastest one, should it not?

# %%
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow says a lot when it starts

import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_lcb as lcb
from keras_lcb import exercises

SHORT = os.environ.get("KERAS_LCB_QUICK") == "1"  # a short form, for the notebook's own tests

# %% [markdown]
# The settings of this notebook. Come back later, change them, and run everything below again.

# %% tags=["parameters"]
depth = 6
learning_rate = 0.1
seed = 0

# %% [markdown]
# ## Two layers of one parameter each
#
# Paper and pencil first. Let *a* and *b* be the only parameters, and both start at 0:
#
# $$ L(a, b) = \tfrac12 (a - 10)^2 + \tfrac12 (b - 1)^2 $$
#
# The gradient in *a* is ten times that in *b*.
#
# ### Exercise 03.1
#
# How many times as long as *b* does *a* take until half of its way is behind it?

# %%
exercises.check("03.1", ...)

# %% [markdown]
# ### Exercise 03.2
#
# Now both have the same way to go, but the valley is four times as steep in *a*:
#
# $$ L(a, b) = \tfrac12 \cdot 4 (a - 1)^2 + \tfrac12 (b - 1)^2 $$
#
# With a small learning rate, how many times as long as *a* does *b* take until it is half-way?

# %%
exercises.check("03.2", ...)

# %% [markdown]
# The cell below tries both. The dotted line marks half of the way.

# %%
figure, panels = plt.subplots(1, 2, figsize=(12, 3.6), layout="constrained", sharey=True)
for panel, curvature, target in ((panels[0], (1, 1), (10, 1)), (panels[1], (4, 1), (1, 1))):
    curvature, target = np.array(curvature, float), np.array(target, float)
    place, path = np.zeros(2), []
    for _ in range(200):
        path.append(np.abs(target - place) / target)
        place = place - 0.01 * curvature * (place - target)
    for name, way, style in zip("ab", np.transpose(path), ("-", "--"), strict=True):
        panel.plot(way, style, linewidth=2.5, label=name)
    first = curvature * target
    panel.set(title=f"first gradients: {first[0]:g} in a, {first[1]:g} in b", xlabel="updates")
    panel.axhline(0.5, color="grey", linestyle=":")
    panel.legend(frameon=False)
label = panels[0].set_ylabel("distance relative to its initial value")

# %% [markdown]
# The gradient is curvature times way. Speed, measured as the share of the way, only knows the
# curvature. A layer can have a large gradient because its valley is steep, and then it is fast; or
# because it has far to go, and then it is not. In a network there is more to it: the layers change
# each other's valleys while they move.
#
# ## Predict
#
# Next we train a small convolutional network on handwritten digits with plain SGD. Over its layers,
# how will the size of the gradient go with the speed: `"together"`, `"against each other"`, or
# `"no relation"`?

# %%
my_prediction = ...

# %% [markdown]
# ## A network on images
#
# This is all it takes with a model of your own: two callbacks.


# %%
def train(seed):
    """A run; the seed decides about the initial weights and the order of the images."""
    keras.utils.set_random_seed(seed)
    data = lcb.vision.load("digits", seed=seed)
    model = lcb.vision.build_cnn(data.shape, data.classes, depth=depth, seed=seed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(learning_rate), loss)
    convergence, gradients = lcb.LayerConvergence(), lcb.GradientNorms()
    epochs = 2 if SHORT else 20
    model.fit(
        data.train, epochs=epochs, shuffle=False, verbose=0, callbacks=[convergence, gradients]
    )
    return lcb.collect(convergence, gradients)


run = train(seed)
figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.2), layout="constrained")
lcb.plotting.plot_convergence(run, left)
lcb.plotting.plot_gradient_norms(run, right)
figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
points = lcb.plotting.plot_rate_vs_gradient(run, axes)

# %%
found = lcb.analysis.gradient_rate_correlation(run)
strong = "no relation" if not abs(found.spearman) >= 0.5 else None
outcome = strong or ("together" if found.spearman > 0 else "against each other")
print(f"Rank correlation of gradient norm and speed in this run: {found}")
print()
print(exercises.predicted(my_prediction, outcome))

# %% [markdown]
# (We call it "no relation" below ½ in size. That is a convention of this notebook, not a test.)
#
# ### Exercise 03.3
#
# Which hidden layer had the largest gradient over the run (root mean square over all updates)?

# %%
exercises.check("03.3", ..., run=run)

# %% [markdown]
# ### Exercise 03.4
#
# Is the rank correlation of gradient norm and speed positive, negative or zero in `run`? Answer
# `+1`, `-1` or `0`, from the scatter.

# %%
exercises.check("03.4", ..., run=run)

# %% [markdown]
# ## With other seeds
#
# One run is one run. Two more:

# %%
runs = [run, train(seed + 1), train(seed + 2)]
found = lcb.analysis.gradient_rate_correlation(runs)
print("Rank correlation of gradient norm and speed, seed by seed:")
print("  ".join(f"{value:+.2f}" for value in found.spearman_of_runs))
positive = sum(value > 0 for value in found.spearman_of_runs)
print(f"It is positive in {positive} of {len(runs)} runs.")

# %% [markdown]
# If large gradients made layers fast, it would be positive in all of them. Chen, Yuille and Zhou
# (2023, section 3) claim no more than this: there is **no reliable positive correlation** between
# the size of a layer's gradient and its rate of convergence. They do not claim that the correlation
# is negative; nor do we.
#
# ## In the lab
#
# Another network and another task: is it the same there? Predict, press Start, and compare the
# order of the lines in the two pictures. Then try Adam, whose steps hardly depend on the size of
# the gradient at all.

# %%
lab = lcb.lab.DepthLab(
    depth=depth,
    width=64,
    optimizer="momentum",
    learning_rate=0.01,
    target="sin(x) + sin(2*x)/2 + sin(4*x)/4",
    updates=2000,
    seed=seed,
    predict=True,
    show=["preset", "depth", "learning_rate", "optimizer", "seed", "speed"],
    pictures=["distance", "gradient"],
)
lab

# %% [markdown]
# ## What is known, and what is only suggested
#
# - Certain: in a fixed quadratic valley, relative speed depends on curvature and not on how large
#   the gradient is. You did the calculation.
# - Measured here: the correlations above, for one small network, one optimizer, three seeds. (On
#   another machine they are others, even with these seeds: sums are taken in another order there,
#   and the runs grow apart.)
# - Suggested: that the *reliability* of the gradient matters more than its size. Notebook 04 looks
#   at how far a gradient can be trusted.
# - Where gradients really vanish (a deep network of sigmoids: try the preset in the lab), size does
#   matter: a layer that gets next to no gradient does not move.
#
# ## Further reading
#
# - Y. Chen, A. Yuille, Z. Zhou. *Which Layer is Learning Faster?* ICLR 2023, section 3.
# - S. Santurkar, D. Tsipras, A. Ilyas, A. Mądry. *How Does Batch Normalization Help Optimization?*
#   NeurIPS 2018, arXiv 1805.11604: predictiveness of gradients.
