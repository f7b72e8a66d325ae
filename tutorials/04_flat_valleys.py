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
# # 04 · Flat valleys
#
# *About 50 minutes. You need notebook 03; eigenvalues help.*
#
# Why should shallow layers be faster? One proposal is that they lie in flatter valleys of the loss,
# where the gradient can be trusted for longer and larger steps are safe. In this notebook you measure
# the valleys yourself, and see when the proposal holds.
#
# Exercises have three levels: ★ *read it off*, ★★ *work it out*, ★★★ *find out by an experiment of
# your own*.

# %%
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow says a lot when it starts

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import keras_lcb as lcb
from keras_lcb import exercises, landscape, synthetic

SHORT = os.environ.get("KERAS_LCB_QUICK") == "1"  # a short form, for the notebook's own tests

# %% [markdown]
# These are the settings of this notebook. Come back later, change them, and run everything below
# again.

# %% tags=["parameters"]
depth = 5
learning_rate = 0.01
seed = 0

# %% [markdown]
# ## A valley with one weight
#
# Let *w* be a single weight with the loss L = ½ · 4*w*². Its second derivative is 4; we call it the
# *curvature* λ. A step of gradient descent with the learning rate η takes *w* to *w* − η · 4*w*.
#
# ### Exercise 04.1 · ★★ work it out
#
# If η is small, *w* comes closer to 0 with each step. From which learning rate on does it no longer
# do so?

# %%
exercises.check("04.1", ...)

# %% [markdown]
# With many weights, the second derivatives form a matrix, the *Hessian*. Its eigenvalues are the
# curvatures along the axes of the valley. The steepest axis is the first to become unstable.
#
# ### Exercise 04.2 · ★★ work it out
#
# Write a function that takes the Hessian of a quadratic valley (a symmetric matrix) and returns the
# learning rate from which on gradient descent is unstable.


# %%
def limit(hessian):
    return ...


exercises.check("04.2", limit if limit(np.eye(2)) is not ... else ...)

# %% [markdown]
# ## Predict
#
# A plain network learns sin *x* + ½ sin 2*x* + ¼ sin 4*x*. Early in training, we look at one hidden
# layer at a time, and keep the weights of all others fixed. Which layer has the *smallest* curvature?

# %%
my_prediction = ...  # such as "layer_2"

# %% [markdown]
# ## Measure
#
# For each hidden layer we measure three things, on all of the training data:
#
# - **the change of the gradient**: follow the layer's gradient for one step of size 0.1, and compute
#   the gradient again. By how much has it changed, relative to its size? Near 0, the gradient can be
#   trusted for the whole step. (Chen et al. call this the *predictiveness* of the gradient.)
# - **the curvature λ**: the largest eigenvalue of the layer's part of the Hessian.
# - **the largest stable learning rate**, found by trying: the layer moves alone for 30 steps. In the
#   end the loss must be lower than before, and none of the last 15 steps may have raised it. Beside it
#   stands 2/λ, which would be exact in a quadratic valley.
#
# A fourth column, λ‖θ‖²/*n*, is explained further below.

# %%
target = synthetic.SineSum([(1, 1.0, 0.0), (2, 0.5, 0.0), (4, 0.25, 0.0)])
x = target.grid(256).astype("float32")
y = target(x).astype("float32")

keras.utils.set_random_seed(seed)
model = synthetic.build_network(depth, 32, seed=seed)
model.compile(keras.optimizers.SGD(learning_rate, momentum=0.9), "mse")
hidden = [f"layer_{index}" for index in range(depth)]
network = landscape.Objective(model, x, y)


def valleys():
    """What the valley of each hidden layer looks like now; nothing of it trains the model."""
    if not np.isfinite(model.evaluate(x, y, batch_size=256, verbose=0)):
        print("The loss is not finite: there is no valley left to measure.")
        return None
    change = landscape.gradient_predictiveness(network, step_sizes=[0.1], layers=hidden)
    curved = landscape.curvature(network, layers=hidden, trace_samples=0, tolerance=0.01)
    stable = landscape.largest_stable_learning_rate(
        network, layers=hidden, steps=3 if SHORT else 30, tolerance=0.1
    )
    return pd.DataFrame(
        {
            "change of the gradient": change.relative_gradient_change.values[:, 0],
            "curvature λ": curved.eigenvalue.values[:, 0],
            "scale-free λ‖θ‖²/n": lcb.analysis.eigenvalue_per_parameter(curved).values[:, 0],
            "stable rate": stable.learning_rate.values,
            "2/λ": stable.theory.values,
        },
        index=pd.Index(hidden, name="layer"),
    )


convergence = lcb.LayerConvergence()
gradients = lcb.GradientNorms()
stages, updates = {}, 0
for until in (40,) if SHORT else (40, 400, 2000):
    # All points ten times over, in batches of 128: 20 updates an epoch.
    model.fit(
        np.tile(x, (10, 1)),
        np.tile(y, (10, 1)),
        batch_size=128,
        initial_epoch=updates // 20,
        epochs=until // 20,
        verbose=0,
        callbacks=[convergence, gradients],
    )
    updates = until
    stages[f"after {until:,} updates"] = valleys()
early = next(iter(stages.values()))
early

# %%
if early is not None:
    print(exercises.predicted(my_prediction, early["curvature λ"].idxmin()))

# %% [markdown]
# By 2/λ, the layer with the smallest curvature should bear the largest learning rate, and the
# largest stable rates should fall from the first layer to the last. Compare the last two columns of
# the table. Do they agree?
#
# This is the surprise of this notebook: early in training, the rate that a layer really bears is
# between a quarter of 2/λ and one and a half times 2/λ, and its order over the layers is another
# one. We come back to this under "Does theory hold?".
#
# ## Early, middle, late

# %%
known = {name: table for name, table in stages.items() if table is not None}
measures = ["change of the gradient", "curvature λ", "scale-free λ‖θ‖²/n", "stable rate"]
figure, panels = plt.subplots(2, 2, figsize=(11, 7), layout="constrained", sharex=True)
for panel, measure in zip(panels.flat, measures, strict=True):
    for (name, table), style in zip(known.items(), ("o-", "s--", "^:"), strict=False):
        values = table[measure].where(table[measure] > 0)
        panel.plot(range(depth), values, style, label=name)
    panel.set(title=measure, yscale="log")
    panel.set_xticks(range(depth))
for panel in panels[1]:
    panel.set_xlabel("depth of the layer")
if known:
    legend = panels[0, 0].legend(frameon=False, fontsize="small")


# %%
def order(values):
    return lcb.analysis.rank_correlation([(np.arange(len(values)), values)]).spearman


rows = {}
for name, table in known.items():
    rows[name] = {measure: order(table[measure].to_numpy()) for measure in measures}
    rows[f"{name}, without layer_0"] = {
        measure: order(table[measure].to_numpy()[1:]) for measure in measures
    }
steeper = [name for name in known if rows[name]["curvature λ"] > 0]
print(f"Curvature grows with depth: {', '.join(steeper) or 'at no stage'}.")
print("Rank correlation with depth: positive where it grows towards the output.")
pd.DataFrame(rows).T.round(2)

# %% [markdown]
# Chen, Yuille and Zhou (2023, section 4) claim that shallower layers *tend to* lie in flatter
# valleys, have more predictive gradients, and bear larger learning rates. If so, the first two columns
# are positive, and the last one is negative.
#
# Look at three things in the table:
#
# - Does the claim hold at each of the three stages?
# - Does it hold for the scale-free curvature too?
# - Does it hold without `layer_0`? This layer has one input where the others have 32, so it differs
#   from them in more than its depth.
#
# ### Explain · 04.a
#
# Where does the claim hold in this training, and where does it not?

# %%
my_explanation = ...
exercises.explain("04.a", my_explanation)

# %% [markdown]
# ### Exercise 04.3 · ★★ work it out
#
# Why a scale-free form? Multiply all parameters of one ReLU layer by 10, and divide the weights of
# the next layer by 10. The network still computes the same function. By which factor has the
# curvature λ of the first of these two layers been multiplied?
#
# (‖θ‖², the squared length of the layer's parameters, changes by the opposite factor, so the product
# λ‖θ‖² does not change. ‖θ‖² is a sum over all *n* parameters of a layer, so it is larger for larger
# layers. Therefore we divide by *n*.)

# %%
exercises.check("04.3", ...)

# %% [markdown]
# ## Does theory hold?
#
# A real valley is not quadratic. How far is the rate that was found by trying from 2/λ? A ratio of
# 1 means that they agree.

# %%
for name, table in known.items():
    ratio = (table["stable rate"] / table["2/λ"]).dropna()
    if len(ratio):
        print(f"{name}: stable rate divided by 2/λ from {ratio.min():.2f} to {ratio.max():.2f}")

# %% [markdown]
# ### Explain · 04.b
#
# After 40 updates, some layers bear more than 2/λ and others far less. Later the ratio is close to 1.
# How can that be?

# %%
my_explanation = ...
exercises.explain("04.b", my_explanation)

# %% [markdown]
# ## A picture of the valleys
#
# A slice shows the loss along a line through the present weights, in a random direction within one
# layer. Each filter (the weights of one unit) moves in proportion to its own length (Li et al. 2018),
# so that the slices of different layers can be compared: at α = 1, each filter has moved by as much
# as it is long. The filters of `layer_0` are single numbers, for which there is no random direction,
# so it has no slice.

# %%
if depth > 1 and np.isfinite(model.evaluate(x, y, batch_size=256, verbose=0)):
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for name, color in list(zip(hidden, lcb.plotting.depth_colors(depth), strict=True))[1:]:
        cut = landscape.loss_slice(network, layer=name, directions=2 if SHORT else 5, points=21)
        axes.plot(cut.alpha, cut.loss.mean("direction"), color=color, label=name)
    axes.set(
        xlabel="α (in lengths of the filters)", ylabel="loss (mean over directions)", yscale="log"
    )
    legend = axes.legend(frameon=False, fontsize="small")

# %% [markdown]
# ## In the lab
#
# The lab measures the same along a whole training: at nine moments it pauses and looks at the valley
# of each layer. Which layer will bear the largest learning rate at the end? Predict, then press
# Start. (It trains a network of its own, with 64 units in each layer. The dotted line shows the
# learning rate with which the network is trained.)

# %%
lab = lcb.lab.FlatnessLab(
    depth=depth,
    width=64,
    optimizer="momentum",
    learning_rate=learning_rate,
    target="sin(x) + sin(2*x)/2 + sin(4*x)/4",
    updates=2000,
    seed=seed,
    predict=True,
    show=["depth", "learning_rate", "seed", "speed"],
)
lab

# %% [markdown]
# ### Exercise 04.4 · ★★★ find out
#
# Set **Depth** to 3 and leave all else as it is. Predict, press Start, and wait until training has
# ended. Which of the three hidden layers bears the largest learning rate at the end?

# %%
exercises.check("04.4", ..., run=lab.run)

# %% [markdown]
# Afterwards, raise the learning rate *while* it trains. At which rate do the distances begin to
# shake? (The lab moves all layers at once, with momentum and in batches, so its limit need not be
# that of any single layer.)
#
# ## Were the flat layers the fast ones?

# %%
run = lcb.collect(convergence, gradients)
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
lines = lcb.plotting.plot_convergence(run, axes)
if early is not None:
    times = lcb.time_to_fraction(run).sel(layer=hidden).values
    found = lcb.analysis.rank_correlation([(early["curvature λ"].to_numpy(), times)])
    print(f"Rank correlation of early curvature with the time to half the distance: {found}")

# %% [markdown]
# This is one network and one seed, so take it as an example only.
#
# ## What is known, and what is only suggested
#
# - *Certain*: in a quadratic valley, 2/λ is the limit.
# - *Well known*: curvature is not a property of the function alone. Rescale two layers against each
#   other, and a ReLU network computes the same with other curvatures (Dinh et al. 2017). Hence the
#   scale-free column. Where the two columns disagree, do not trust either.
# - *Seen here*: the order of the layers by curvature early in training need not be the order later.
# - *Suggested by Chen et al.*: flatter valleys are the *reason* for faster convergence. A correlation
#   over five layers cannot show that.
#
# ## Further reading
#
# - Y. Chen, A. Yuille, Z. Zhou. *Which Layer is Learning Faster?* ICLR 2023, section 4.
# - S. Santurkar et al. *How Does Batch Normalization Help Optimization?* NeurIPS 2018, arXiv
#   1805.11604.
# - H. Li et al. *Visualizing the Loss Landscape of Neural Nets.* NeurIPS 2018, arXiv 1712.09913.
# - L. Dinh et al. *Sharp Minima Can Generalize for Deep Nets.* ICML 2017, arXiv 1703.04933.
