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
# *About 40 minutes. You need notebook 03; eigenvalues help.*
#
# Why should shallow layers be faster? One proposal is that they lie in flatter valleys, where the
# gradient can be trusted for longer and larger steps are safe. Here you measure the valleys.

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
# The settings of this notebook. Come back later, change them, and run everything below again.

# %% tags=["parameters"]
depth = 5
learning_rate = 0.01
seed = 0

# %% [markdown]
# ## A valley with one wall
#
# Let *w* be a single weight with the loss L = ½ · 4*w*². The number 4 is its second derivative, the
# *curvature*. Gradient descent takes *w* to *w* − η · 4*w*.
#
# ### Exercise 04.1
#
# What is the largest learning rate η below which *w* comes closer to 0 with each step?

# %%
exercises.check("04.1", ...)

# %% [markdown]
# With many weights, curvature is a matrix, the *Hessian*. Its eigenvalues are the curvatures along
# its axes, and the steepest axis is the first to become unstable.
#
# ### Exercise 04.2
#
# Write a function from the Hessian (a symmetric matrix) of a quadratic valley to the learning rate
# at which gradient descent becomes unstable.


# %%
def limit(hessian):
    return ...


exercises.check("04.2", limit if limit(np.eye(2)) is not ... else ...)

# %% [markdown]
# ## Predict
#
# A plain network learns sin *x* + ½ sin 2*x* + ¼ sin 4*x*. We look at each hidden layer by itself,
# all others fixed, early in training. Which one has the *smallest* curvature: the first, the last,
# or one in between? (By the bound above, it would also bear the largest learning rate.)

# %%
my_prediction = ...  # such as "layer_2"

# %% [markdown]
# ## Measure
#
# Three things for each layer, on all of the data:
#
# - **predictiveness**: follow the gradient *g* of this layer by a step η, and take the gradient
#   again. By how much has it changed, relative to its size? Near 0, the gradient told the truth.
# - **curvature**: the largest eigenvalue λ of the layer's block of the Hessian.
# - **the largest stable learning rate**, by trying: the layer moves alone for some steps, and the
#   loss has to end lower. Next to it stands 2/λ, which would be right for a quadratic valley.

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
# The claim of Chen, Yuille and Zhou (2023, section 4) is that shallower layers *tend to* lie in
# flatter valleys, with more predictive gradients, and to bear larger learning rates. In the table
# this would be a positive number in the first two columns and a negative one in the last. Does it
# hold at every stage? Does it hold in the scale-free form as well? And without `layer_0`, which has
# one input where the others have 32, and so differs from them in more than its depth?
#
# ### Exercise 04.3
#
# Why a scale-free form? Multiply all parameters of a ReLU layer by 10, and divide the weights of the
# next one by 10: the network computes what it did before. By which factor has the curvature λ of
# the first of these layers been multiplied? (‖θ‖² takes the opposite factor. Being a sum over all *n*
# parameters it also grows with their number, hence λ‖θ‖²/*n*, by which layers of different sizes
# can be compared.)

# %%
exercises.check("04.3", ...)

# %% [markdown]
# ## Does theory hold?
#
# A real valley is not quadratic. How far is the rate that was found by trying from 2/λ?

# %%
for name, table in known.items():
    ratio = (table["stable rate"] / table["2/λ"]).dropna()
    if len(ratio):
        print(f"{name}: stable rate divided by 2/λ from {ratio.min():.2f} to {ratio.max():.2f}")

# %% [markdown]
# Above 1, the layer bears more than its curvature *here* suggests: within a few steps it can move
# to a flatter place, or have hardly any gradient along the steepest axis. Below 1, it bears less:
# the way down leads to a steeper place. Far from a minimum both happen; near one, 2/λ is a good
# guess.
#
# ## Flat for whom?
#
# Slices make valleys visible: the loss along random directions within one layer. A direction is
# scaled to the size of the weights, filter by filter (Li et al. 2018), so that slices of different
# layers can be laid beside each other. At α = 1 each filter has moved by its own length. The filters
# of `layer_0` are single numbers, for which there are no random directions: it has no slice.

# %%
if depth > 1 and np.isfinite(model.evaluate(x, y, batch_size=256, verbose=0)):
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for name, color in list(zip(hidden, lcb.plotting.depth_colors(depth), strict=True))[1:]:
        cut = landscape.loss_slice(network, layer=name, directions=2 if SHORT else 5, points=21)
        axes.plot(cut.alpha, cut.loss.mean("direction"), color=color, label=name)
    axes.set(xlabel="α", ylabel="loss (mean over directions)", yscale="log")
    legend = axes.legend(frameon=False, fontsize="small")

# %% [markdown]
# ## In the lab
#
# The same along a whole training: at nine moments the lab rests and measures what each layer's
# valley looks like. Which layer will bear the largest learning rate at the end? Predict, then press
# Start. Training begins again in a wider network; the dotted line is the rate in force.
#
# Afterwards raise the learning rate while it trains. Where do the distances begin to shake? (The
# lab moves all layers at once, with momentum and a batch at a time: its limit need not be that of
# any one layer.)

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
# ## And were the flat layers the fast ones?

# %%
run = lcb.collect(convergence, gradients)
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
lines = lcb.plotting.plot_convergence(run, axes)
if early is not None:
    times = lcb.time_to_fraction(run).sel(layer=hidden).values
    found = lcb.analysis.rank_correlation([(early["curvature λ"].to_numpy(), times)])
    print(f"Rank correlation of early curvature with the time to half the distance: {found}")

# %% [markdown]
# One network, one seed: a number to look at, not to build on.
#
# ## What is known, and what is only suggested
#
# - Certain: on a quadratic bowl, 2/λ is the limit.
# - Well known: curvature is not a property of the function. Rescale two layers against each other,
#   and a ReLU network computes the same with other curvatures (Dinh et al. 2017). Hence the
#   scale-free column; where the two disagree, distrust "flat".
# - Suggested by Chen et al.: flatter valleys *explain* faster convergence. A correlation over five
#   layers cannot show that.
#
# ## Further reading
#
# - Y. Chen, A. Yuille, Z. Zhou. *Which Layer is Learning Faster?* ICLR 2023, section 4.
# - S. Santurkar et al. *How Does Batch Normalization Help Optimization?* NeurIPS 2018, arXiv
#   1805.11604.
# - H. Li et al. *Visualizing the Loss Landscape of Neural Nets.* NeurIPS 2018, arXiv 1712.09913.
# - L. Dinh et al. *Sharp Minima Can Generalize for Deep Nets.* ICML 2017, arXiv 1703.04933.
