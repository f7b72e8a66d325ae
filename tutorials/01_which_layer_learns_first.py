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
# # 01 · Which layer learns first?
#
# *About 25 minutes. You need to know what a dense layer and a learning rate are.*
#
# All layers of a network are trained at the same time. Do they also arrive at the same time? In
# this notebook you guess, watch five layers learn a curve, and find out how far one run can be
# trusted.

# %%
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow says a lot when it starts

import matplotlib.pyplot as plt

import keras_lcb as lcb
from keras_lcb import exercises, synthetic

SHORT = os.environ.get("KERAS_LCB_QUICK") == "1"  # a short form, for the notebook's own tests

# %% [markdown]
# The settings of this notebook. Come back later, change them, and run everything below again.

# %% tags=["parameters"]
depth = 5
learning_rate = 0.01
seed = 0

# %% [markdown]
# ## The task
#
# The network gets a number *x* and has to give sin *x* + ½ sin 2*x* + ¼ sin 4*x*. It has
# `depth` hidden layers, `layer_0` next to the input, and a `readout` that turns the last one
# into a number. It is trained by stochastic gradient descent with momentum.
#
# For each layer *l* we ask how far its parameters θ are from where they will end up:
#
# $$ d_l(t) = \frac{\lVert \theta_l(t) - \theta_l^* \rVert}{\lVert \theta_l(0) - \theta_l^* \rVert} $$
#
# θ\* are the parameters after the last update. So *d* is 1 at the start and 0 at the end, and a
# layer whose *d* falls sooner has, in this sense, learned sooner. (Notebook 02 takes this measure
# apart.)

# %% [markdown]
# ## First predict
#
# Which hidden layer will be the first to have half of its way behind it? Think of reasons for
# `layer_0`, for the last one, and for "all together". Then put your guess in place of the dots,
# such as `"layer_3"`.

# %%
my_prediction = ...

# %% [markdown]
# ## Then watch
#
# The lab trains the network while you look. Predict, then press **Start**. The pictures show the
# distance of each layer (dashed as long as the endpoint is not known), the size of its gradient,
# and the curve as it is learned.

# %%
lab = lcb.lab.DepthLab(
    depth=depth,
    width=64,
    optimizer="momentum",
    learning_rate=learning_rate,
    target="sin(x) + sin(2*x)/2 + sin(4*x)/4",
    updates=2000,
    seed=seed,
    predict=True,
    show=["depth", "learning_rate", "target", "seed", "speed"],
)
lab

# %% [markdown]
# ## The same run, in code
#
# A few lines do what the lab does. `run` is a table of everything that was measured (an
# [xarray](https://xarray.dev) dataset), and the figures are made from it.

# %%
config = synthetic.Config(
    target=synthetic.SineSum([(1, 1.0, 0.0), (2, 0.5, 0.0), (4, 0.25, 0.0)]),
    depth=depth,
    width=64,
    residual=False,
    optimizer="momentum",
    learning_rate=learning_rate,
    updates=200 if SHORT else 2000,
    record_every=20,
    seed=seed,
)
run = synthetic.run(config)

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
lcb.plotting.plot_convergence(run, left)
if "loss" in run:  # a learning rate far too large leaves none that is finite
    lines = lcb.plotting.plot_loss(run, right)

# %%
hidden = [name for name in run.layer.values.tolist() if name != "readout"]
half_way = lcb.time_to_fraction(run, 0.5).sel(layer=hidden).to_series().sort_values()
for name, update in half_way.items():
    print(f"{name} is half-way at update {update:,.0f}")
print()
print(exercises.predicted(my_prediction, half_way.index[0]))

# %% [markdown]
# ### Exercise 01.1
#
# Which hidden layer of `run` is half-way first? Read it off the figure, not off the list.

# %%
exercises.check("01.1", ..., run=run)

# %% [markdown]
# ### Exercise 01.2
#
# Take the hidden layers in pairs: 0 and 1, 0 and 2, and so on. In how many of these pairs is the
# shallower layer half-way before the deeper one?

# %%
exercises.check("01.2", ..., run=run)

# %% [markdown]
# Counting pairs like this is how Kendall's rank correlation τ is made: the pairs that are in order
# minus those that are not, divided by all pairs. It is 1 if every shallower layer is faster, −1 if
# every deeper one is, and near 0 if depth says nothing.

# %% [markdown]
# ### Exercise 01.3
#
# Suppose depth has nothing to do with speed, and five layers come in in a random order. How likely
# is it that they come in exactly from shallow to deep?

# %%
exercises.check("01.3", ...)

# %% [markdown]
# So a perfect order of five layers is rare by chance, but it does happen; and a nearly perfect one
# happens far more often. One run is an anecdote.

# %% [markdown]
# ## Another seed, another run?
#
# The seed decides about the initial weights and the order of the data. Before you run the next
# cell: in how many of three seeds will `layer_0` be before the last hidden layer?

# %%
seeds = [seed, seed + 1] if SHORT else [seed, seed + 1, seed + 2]
runs = [run] + [
    synthetic.run(synthetic.Config(**{**vars(config), "seed": other})) for other in seeds[1:]
]
figure, panels = plt.subplots(1, len(seeds), figsize=(14, 4), layout="constrained", sharey=True)
for one, number, panel in zip(runs, seeds, panels, strict=True):
    lcb.plotting.plot_convergence(one, panel)
    panel.set_title(f"seed {number}", loc="left")

# %%
ahead = sum(
    float(times.sel(layer=hidden[0])) < float(times.sel(layer=hidden[-1]))
    for times in map(lcb.time_to_fraction, runs)
)
print(f"{hidden[0]} is half-way before {hidden[-1]} in {ahead} of {len(runs)} seeds.")
print(lcb.convergence_bias(runs))

# %% [markdown]
# `convergence_bias` first says how large the difference is: how many times as long the last layer
# takes as the first to come half the way, along a trend over all of them. In brackets stands the
# interval in which the mean over many seeds may lie, as far as these few can tell. Three seeds are
# too few for a verdict, however clear they look; it takes five. What is asked about is the *layer
# convergence bias* of Chen, Yuille and Zhou (2023): shallower layers **tend** to converge faster
# than deeper ones.
#
# ## What is known, and what is only suggested
#
# - Reported by several groups, with different measures: in many image networks that are trained
#   with SGD, the first layers settle first. Raghu et al. (2017) saw it in what layers compute, not
#   in their parameters.
# - Conditional: it depends on the network, the optimizer, and the learning rate. Notebook 06 shows
#   settings without it, and one with the reverse.
# - Suggested, not settled: *why*. Chen et al. propose that shallower layers lie in flatter valleys
#   (notebook 04) and fit lower frequencies (notebook 05). Both can be tested, and neither holds
#   everywhere.
# - Fast is not the same as important: Zhang, Bengio and Singer (2019) could reset some trained
#   layers to their initial values at little cost.
#
# ## Try next
#
# In the lab: twice the learning rate; ten layers; a function of your own, such as `abs(x)`. Each
# time, write down first what you expect.
#
# ## Further reading
#
# - Y. Chen, A. Yuille, Z. Zhou. *Which Layer is Learning Faster? A Systematic Exploration of
#   Layer-wise Convergence Rate for Deep Neural Networks.* ICLR 2023.
# - M. Raghu, J. Gilmer, J. Yosinski, J. Sohl-Dickstein. *SVCCA.* NeurIPS 2017, arXiv 1706.05806.
# - C. Zhang, S. Bengio, Y. Singer. *Are All Layers Created Equal?* arXiv 1902.01996.
