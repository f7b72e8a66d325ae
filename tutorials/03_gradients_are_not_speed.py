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
# *About 45 minutes. You need notebook 01, and to know what a derivative is.*
#
# A step of gradient descent is the learning rate times the gradient. So the layer with the largest
# gradient should be the fastest one. Is it?
#
# Exercises have three levels: ★ *read it off*, ★★ *work it out*, ★★★ *find out by an experiment of
# your own*.

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
# These are the settings of this notebook. Come back later, change them, and run everything below
# again.

# %% tags=["parameters"]
depth = 6
learning_rate = 0.1
seed = 0

# %% [markdown]
# ## Two layers of one weight each
#
# Take a pencil and a sheet of paper first. Let the weights *a* and *b* be two "layers", both with
# the value 0 at the start, and let the loss be
#
# $$ L(a, b) = \tfrac12 (a - 10)^2 + \tfrac12 (b - 1)^2 $$
#
# At the start, the gradient with respect to *a* is ten times as large as that with respect to *b*.
#
# ### Exercise 03.1 · ★★ work it out
#
# Divide the time that *a* takes to come half of its way by the time that *b* takes. What is the
# result?

# %%
exercises.check("03.1", ...)

# %% [markdown]
# ### Exercise 03.2 · ★★ work it out
#
# Now both have the same way to go, but the valley is four times as steep in *a*:
#
# $$ L(a, b) = \tfrac12 \cdot 4 (a - 1)^2 + \tfrac12 (b - 1)^2 $$
#
# With a small learning rate, divide the time that *b* takes to come half of its way by the time that
# *a* takes. What is the result?

# %%
exercises.check("03.2", ...)

# %% [markdown]
# The next cell tries both. The dotted line marks half of the way.

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
# ### Explain · 03.a
#
# On the left, the larger gradient does not make *a* faster. On the right, it does. Why?

# %%
my_explanation = ...
exercises.explain("03.a", my_explanation)

# %% [markdown]
# In such a valley, the gradient is the curvature times the way that is still to go. Speed is measured
# as a part of the way, so it depends on the curvature only. A layer can have a large gradient because
# its valley is steep, and then it is fast. Or it can have one because it has far to go, and then it
# is not.

# %% [markdown]
# ## Two layers, one after the other
#
# In a network, layers are not independent: each one works with what the other returns. The smallest
# such network has two weights in a row, *f*(*x*) = *b* · *a* · *x*. The shallow layer is *a*, the
# deep one *b*. Let it learn to multiply by 3.5, from inputs with mean square 1. Then the loss is
#
# $$ L(a, b) = \tfrac12 (ab - 3.5)^2 $$
#
# It starts with *a* = 1 and *b* = ¼. Write *e* = 3.5 − *ab* for what is still missing. With very small
# steps, gradient descent becomes a motion in time:
#
# $$ \dot a = e\,b, \qquad \dot b = e\,a $$
#
# Each layer's speed is proportional to the *other* layer's weight. Multiply the first equation by
# *a* and the second by *b*: the right sides are now equal. So *a*² − *b*² never changes while the
# network learns.
#
# ### Exercise 03.3 · ★★ work it out
#
# Training ends where *ab* = 3.5, and there *a* = 2. How far has *b* gone, from its start to its end?

# %%
exercises.check("03.3", ...)

# %% [markdown]
# ### Which one is first?
#
# Predict before you read on: which of the two is half-way first, `"a"` (the shallow layer, which is
# larger at the start) or `"b"` (the deep one)? And if they start with *a* = ¼ and *b* = 1?

# %%
my_first = ...
my_first_when_exchanged = ...

# %% [markdown]
# This small network can be solved exactly. Look at the ratio *r* = *b*/*a*, and write *s* for the
# number to be learned (3.5) and *D* for *a*² − *b*². From the two equations above follows
#
# $$ \dot r = s\,(r_* - r)\,\Bigl(r + \frac{1}{r_*}\Bigr) $$
#
# where $r_* = b_*/a_*$ is the ratio at the end. This is the equation of logistic growth, so the time
# at which the ratio has a given value is known:
#
# $$ t(r) = \frac{1}{a_*^2 + b_*^2} \ln \frac{(r + 1/r_*)\,(r_* - r_0)}{(r_* - r)\,(r_0 + 1/r_*)} $$
#
# (Saxe, McClelland and Ganguli (2014) solve deeper linear networks in this way.) The next cell
# compares this formula with gradient descent in small steps.


# %%
def half_way_on_paper(a, b, s):
    """Returns the times at which a and b are half-way, for a > b > 0 and a·b < s."""
    D = a**2 - b**2
    a_end = np.sqrt((D + np.sqrt(D**2 + 4 * s**2)) / 2)
    b_end = s / a_end

    def time(r):
        end, start = b_end / a_end, b / a
        grown = (r + 1 / end) * (end - start) / ((end - r) * (start + 1 / end))
        return np.log(grown) / (a_end**2 + b_end**2)

    a_half, b_half = (a + a_end) / 2, (b + b_end) / 2
    return time(np.sqrt(a_half**2 - D) / a_half), time(b_half / np.sqrt(b_half**2 + D))


def descend(a, b, s, rate=0.001, steps=800):
    """Gradient descent on (ab - s)^2 / 2: the distances of a and b to their ends, from 1 to 0."""
    path = [(a, b)]
    for _ in range(steps):
        missing = s - a * b
        a, b = a + rate * missing * b, b + rate * missing * a
        path.append((a, b))
    path = np.array(path)
    D = path[0, 0] ** 2 - path[0, 1] ** 2
    a_end = np.sqrt((D + np.sqrt(D**2 + 4 * s**2)) / 2)
    end = np.array([a_end, s / a_end])
    return (end - path) / (end - path[0])


figure, panels = plt.subplots(1, 2, figsize=(12, 3.6), layout="constrained", sharey=True)
for panel, start in zip(panels, ((1, 0.25), (0.25, 1)), strict=True):
    distance = descend(*start, s=3.5)
    for name, way, style in zip("ab", distance.T, ("-", "--"), strict=True):
        panel.plot(0.001 * np.arange(len(way)), way, style, linewidth=2.5, label=name)
    panel.set(title=f"a = {start[0]:g} and b = {start[1]:g} at the start", xlabel="time")
    panel.axhline(0.5, color="grey", linestyle=":")
    panel.legend(frameon=False)
label = panels[0].set_ylabel("distance relative to its initial value")

tried = 0.001 * (descend(1, 0.25, s=3.5) > 0.5).sum(axis=0)
for name, worked_out, seen in zip("ab", half_way_on_paper(1, 0.25, 3.5), tried, strict=True):
    print(f"{name} is half-way at time {worked_out:.3f} on paper, {seen:.3f} by gradient descent")
print(exercises.predicted(my_first, "b"))
print(exercises.predicted(my_first_when_exchanged, "a"))

# %% [markdown]
# The weight that is smaller at the start is first. This is so for all starts with 0 < *b* < *a* and
# *ab* < *s*, and it can be shown in a few lines. Since *a*² − *b*² is the same now and at the end,
#
# $$ (a_* - a)(a_* + a) = (b_* - b)(b_* + b) $$
#
# Divide this by the same equation at the start. With *d* for the distances from 1 to 0,
#
# $$ \frac{d_a}{d_b} = \frac{b_* + b}{a_* + a} \cdot \frac{a_* + a_0}{b_* + b_0} $$
#
# At the start this is 1. It grows with time: in the first fraction the numerator grows at the rate
# *ea* and the denominator at the slower rate *eb*, and the denominator is the larger one. So
# $d_a > d_b$ at each later time: *b* is ahead all the way.
#
# ### Explain · 03.b
#
# Say in your own words why one of the two layers is first, and whether its place in the network has
# to do with it.

# %%
my_explanation = ...
exercises.explain("03.b", my_explanation)

# %% [markdown]
# Here, gradient and speed do go together: the smaller weight has the larger gradient *and* is the
# faster one, although it also has the longer way. So we have seen both: a gradient that tells the
# speed, and one that does not. What happens in a larger network has to be measured.
#
# ## Predict
#
# Next we train a small convolutional network on handwritten digits with plain SGD. When you compare
# its layers, will the size of the gradient and the speed go `"together"`, `"against each other"`, or
# is there `"no relation"`?

# %%
my_prediction = ...

# %% [markdown]
# ## A network on images
#
# With a model of your own you would do the same: pass two callbacks to `fit`.


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

# %% [markdown]
# In the scatter, each point is a layer. Further right means a larger gradient (on a logarithmic
# axis), higher means faster. The points are not far apart in height: compare them with 0.
#
# A layer with more weights mostly has a larger gradient. So the correlation beneath the title is
# over the filled points only: the convolutions that have as many weights as one another.

# %%
found = lcb.analysis.gradient_rate_correlation(run)
strong = "no relation" if not abs(found.spearman) >= 0.5 else None
outcome = strong or ("together" if found.spearman > 0 else "against each other")
print(f"Rank correlation of gradient norm and speed in this run: {found}")
print()
print(exercises.predicted(my_prediction, outcome))

# %% [markdown]
# (Here we say "no relation" if the correlation lies between −½ and ½. This is only a convention of
# this notebook.)
#
# ### Exercise 03.4 · ★ read it off
#
# Which hidden layer had the largest gradient over the run (root mean square over all updates)?

# %%
exercises.check("03.4", ..., run=run)

# %% [markdown]
# ### Exercise 03.5 · ★ read it off
#
# Look at the scatter only. Is the rank correlation of gradient norm and speed positive, negative or
# zero in `run`? Answer `+1`, `-1` or `0`.

# %%
exercises.check("03.5", ..., run=run)

# %% [markdown]
# ## With other seeds
#
# One run proves little. Here are two more:

# %%
runs = [run, train(seed + 1), train(seed + 2)]
found = lcb.analysis.gradient_rate_correlation(runs)
print("Rank correlation of gradient norm and speed, seed by seed:")
print("  ".join(f"{value:+.2f}" for value in found.spearman_of_runs))
positive = sum(value > 0 for value in found.spearman_of_runs)
print(f"It is positive in {positive} of {len(runs)} runs.")

# %% [markdown]
# ### Explain · 03.c
#
# What do these correlations say about gradients and speed in this network, and what do they not say?

# %%
my_explanation = ...
exercises.explain("03.c", my_explanation)

# %% [markdown]
# If large gradients made layers fast, we would expect a positive number in most runs, though by chance
# not in every one. Chen, Yuille and Zhou (2023, section 3) claim only this: there is **no reliable
# positive correlation** between the size of a layer's gradient and its rate of convergence. They do
# not claim that the correlation is negative, and neither do we.
#
# ## In the lab
#
# Is it the same for another network and another task? The lab trains a network like that of notebook
# 01. Predict, press Start, and compare the order of the lines in the two pictures.

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
# ### Exercise 03.6 · ★★★ find out
#
# Set **Depth** to 10 and leave all else as it is. Predict, press Start, and wait until training has
# ended. Which hidden layer is half-way first, and which one has the largest gradient norm over the
# run? Is it the same layer?

# %%
my_layers = {"fastest": ..., "largest gradient": ...}
exercises.check("03.6", my_layers, run=lab.run)

# %% [markdown]
# Then try Adam. The size of its steps hardly depends on the size of the gradient.
#
# ## What is known, and what is only suggested
#
# - *Certain*: in a fixed quadratic valley, relative speed depends on the curvature and not on the
#   size of the gradient. In a chain of two weights, the one that starts smaller is first. You did the
#   calculations.
# - *Not shown by them*: that the layers of larger networks are fast for these reasons. The hidden
#   layers there start at about the same size.
# - *Measured here*: the correlations above, for one small network, one optimizer and three seeds. (On
#   another machine they differ somewhat even with these seeds: numbers are added in another order
#   there, and the small differences grow during training.)
# - *Suggested*: that it matters more how far a gradient can be *trusted* than how large it is.
#   Notebook 04 looks into this.
# - Where gradients really vanish (a deep network of sigmoids: try this preset in the lab), size does
#   matter: a layer that receives almost no gradient does not move.
#
# ## Further reading
#
# - Y. Chen, A. Yuille, Z. Zhou. *Which Layer is Learning Faster?* ICLR 2023, section 3.
# - A. M. Saxe, J. L. McClelland, S. Ganguli. *Exact Solutions to the Nonlinear Dynamics of Learning
#   in Deep Linear Neural Networks.* ICLR 2014, arXiv 1312.6120.
# - S. Santurkar, D. Tsipras, A. Ilyas, A. Mądry. *How Does Batch Normalization Help Optimization?*
#   NeurIPS 2018, arXiv 1805.11604: predictiveness of gradients.
