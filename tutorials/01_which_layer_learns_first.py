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
# *About 35 minutes. You need to know what a dense layer and a learning rate are.*
#
# All layers of a network are trained at the same time. Do they also reach their final weights at
# the same time? In this notebook you make a prediction, watch five layers learn a curve, and find
# out how much a single run can tell you.
#
# Run the cells from top to bottom. Wherever you see three dots (`...`), it is your turn: replace
# them with your answer and run the cell again. Exercises have three levels: ★ means *read it off*,
# ★★ *work it out*, ★★★ *find out by an experiment of your own*.

# %%
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow says a lot when it starts

import matplotlib.pyplot as plt

import keras_lcb as lcb
from keras_lcb import exercises, synthetic

SHORT = os.environ.get("KERAS_LCB_QUICK") == "1"  # a short form, for the notebook's own tests

# %% [markdown]
# These are the settings of this notebook. Leave them as they are for now. Later you can come back,
# change them, and run everything below again.

# %% tags=["parameters"]
depth = 5
learning_rate = 0.01
seed = 0

# %% [markdown]
# ## The task
#
# The network receives a number *x* and must return sin *x* + ½ sin 2*x* + ¼ sin 4*x*. It has
# `depth` hidden layers. `layer_0` is next to the input (we call this end *shallow*), and the layer
# with the highest number is the *deepest*. After it comes the `readout`, which turns the last hidden
# layer into one number. The network is trained by stochastic gradient descent with momentum (what
# that is does not matter here). One step of training is called an *update*.
#
# For each layer *l*, all its weights and biases together are written θ. We ask how far they are from
# where they will end up:
#
# $$ d_l(t) = \frac{\lVert \theta_l(t) - \theta_l^* \rVert}{\lVert \theta_l(0) - \theta_l^* \rVert} $$
#
# Here θ(t) are the values after *t* updates, and θ\* are those after the last update. The bars mean
# the length of a vector. So *d* is the part of its way that a layer still has to go: 1 at the start
# and 0 at the end. At *d* = ½ the layer is **half-way**. A layer that is half-way earlier has, in
# this sense, learned faster. (Notebook 02 looks at what this measure can and cannot tell.)

# %% [markdown]
# ## First predict
#
# Which hidden layer will be half-way first? Find a reason for `layer_0`, a reason for the deepest
# layer, and a reason for "all at about the same time". Then write down your prediction.

# %%
my_prediction = ...  # such as "layer_3"

# %% [markdown]
# ## Then watch
#
# The lab trains the network while you watch. Choose your prediction there too, then press
# **Start**. The pictures show the distance *d* of each layer (dashed while training goes on, since
# the end is not known yet), the size of its gradient, the curve that the network has learned so far,
# and how well each layer represents each of the three sines. You only need the first picture for
# now.

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
# ## The same run in code
#
# A few lines of code do what the lab does. `run` is a table of everything that was measured (an
# [xarray](https://xarray.dev) dataset), and the figures are drawn from it.

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

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(16, 4), layout="constrained")
lcb.plotting.plot_convergence(run, left)
lcb.plotting.plot_convergence(run, middle)
middle.set_xlim(0, config.updates / 10)
middle.set_title("The first tenth", loc="left")
if "loss" in run:  # a learning rate far too large leaves none that is finite
    lines = lcb.plotting.plot_loss(run, right)

# %% [markdown]
# In the figure on the left, each line belongs to one layer. The first half of the way is covered within
# a few updates, so the figure in the middle shows the first tenth of the same run. The names stand beside
# the axes, joined to the place where the line crosses one half, in the order in which the lines cross:
# the first at the top. (The legend calls the `readout` the *head*. It is drawn as well, but this
# notebook is about the hidden layers.) The figure on the right shows the loss: the network did learn.

# %% [markdown]
# ### Exercise 01.1 · ★ read it off
#
# Which hidden layer of `run` is half-way first? Read it off the figure.

# %%
exercises.check("01.1", ..., run=run)

# %% [markdown]
# The next cell prints when each hidden layer was half-way. The distance is recorded every 20
# updates; between two records it is read off a straight line.

# %%
hidden = [name for name in run.layer.values.tolist() if name != "readout"]
half_way = lcb.time_to_fraction(run, 0.5).sel(layer=hidden).to_series()
for name, update in half_way.items():
    print(f"{name} is half-way at update {update:,.0f}")
print()
print(exercises.predicted(my_prediction, half_way.idxmin() if half_way.notna().any() else "none"))

# %% [markdown]
# ### Explain · 01.a
#
# What does the figure show about these five layers, and how large are the differences? Write one or
# two sentences in quotes. You then see a model answer to compare with.

# %%
my_explanation = ...
exercises.explain("01.a", my_explanation)

# %% [markdown]
# ### Exercise 01.2 · ★★ work it out
#
# Make all pairs of hidden layers: 0 and 1, 0 and 2, and so on. In how many of these pairs is the
# shallower layer half-way before the deeper one?

# %%
exercises.check("01.2", ..., run=run)

# %% [markdown]
# This count leads to a *rank correlation*, a number that says how well one order follows another.
# Take the pairs in which the shallower layer is first, subtract those in which the deeper layer is
# first, and divide by the number of all pairs. The result (Kendall's τ) is 1 if every shallower layer
# is faster, −1 if every deeper layer is faster, and near 0 if depth tells nothing. Below you will
# meet a relative of it, Spearman's ρ, which is read in the same way.

# %% [markdown]
# ### Exercise 01.3 · ★★ work it out
#
# Suppose that depth has nothing to do with speed, so that every order of the five layers is equally
# likely. What is the probability of the one order from shallowest to deepest? (You may type a
# fraction.)

# %%
exercises.check("01.3", ...)

# %% [markdown]
# So this order is rare by chance, but it does happen, and an order that is *nearly* perfect happens
# far more often. One run proves little.

# %% [markdown]
# ## Another seed, another run?
#
# The seed determines the initial weights and the order of the data. Before you run the next cell,
# predict: in how many of three seeds will `layer_0` be half-way before the deepest hidden layer?

# %%
my_count = ...  # 0, 1, 2 or 3

# %%
seeds = [seed, seed + 1] if SHORT else [seed, seed + 1, seed + 2]
runs = [run] + [
    synthetic.run(synthetic.Config(**{**vars(config), "seed": other})) for other in seeds[1:]
]
figure, panels = plt.subplots(1, len(seeds), figsize=(14, 4), layout="constrained", sharey=True)
for one, number, panel in zip(runs, seeds, panels, strict=True):
    lcb.plotting.plot_convergence(one, panel)
    panel.set_xlim(0, config.updates / 10)
    panel.set_title(f"seed {number}, the first tenth", loc="left")

# %%
ahead = sum(
    float(times.sel(layer=hidden[0])) < float(times.sel(layer=hidden[-1]))
    for times in map(lcb.time_to_fraction, runs)
)
print(f"{hidden[0]} is half-way before {hidden[-1]} in {ahead} of {len(runs)} seeds.")
print(exercises.predicted(my_count, ahead))
for one, number in zip(runs, seeds, strict=True):
    order = lcb.time_to_fraction(one).sel(layer=hidden).to_series().sort_values()
    print(f"seed {number}, from first to last: {', '.join(order.index)}")

# %% [markdown]
# ### Explain · 01.b
#
# What do the three seeds have in common, and what differs?

# %%
my_explanation = ...
exercises.explain("01.b", my_explanation)

# %% [markdown]
# ## How large is the difference?
#
# `lcb.convergence_bias` sums up several runs in a few sentences.

# %%
print(lcb.convergence_bias(runs))

# %% [markdown]
# You need three things from this text:
#
# - **The ratio**: how many times as long the last layer takes as the first to come half the way. It
#   is read from a trend over all hidden layers of equal shape; `layer_0` has one input where the
#   others have 64, so it is left out. A ratio of 1 would mean that all are equally fast.
# - **The interval** in brackets: how far the ratio may lie from this value, given how much it differs
#   between the seeds. With three seeds it is wide.
# - **The verdict**, the first word. Three seeds are too few for one, however clear they look. It
#   takes at least five.
#
# The other numbers are rank correlations, and the same ratio by other measures. Notebook 06 uses
# them.
#
# The question behind it is the *layer convergence bias* of Chen, Yuille and Zhou (2023): shallower
# layers **tend** to converge faster than deeper ones.
#
# ## Your own experiment
#
# ### Exercise 01.4 · ★★★ find out
#
# Go back to the lab above. Set **Depth** to 10 and leave all else as it is. Predict, press Start,
# and wait until training has ended. Which of the ten hidden layers is half-way first? (`lab.run` is
# the lab's newest run. The check looks at it, and tells you if it has other settings.)

# %%
exercises.check("01.4", ..., run=lab.run)

# %% [markdown]
# ### Explain · 01.c
#
# Compare this run with the five layers at the top of the notebook. Does one of them refute the
# other?

# %%
my_explanation = ...
exercises.explain("01.c", my_explanation)

# %% [markdown]
# ## What is known, and what is only suggested
#
# - *Reported by several groups, with different measures*: in many image networks that are trained
#   with SGD, the first layers settle first. Raghu et al. (2017) saw this in what the layers compute,
#   not in their weights.
# - *It has conditions*: the network, the optimizer, and the learning rate. Notebook 06 shows settings
#   in which no effect can be shown, and one in which it is reversed.
# - *Suggested, not settled*: why it is so. Chen et al. propose that shallower layers lie in flatter
#   valleys (notebook 04) and learn lower frequencies (notebook 05). Both can be tested, and neither
#   holds everywhere.
# - *Fast is not the same as important*: Zhang, Bengio and Singer (2019) could reset some trained
#   layers to their initial weights at little cost.
#
# ## Try next
#
# In the lab, try twice the learning rate, or a function of your own, such as `abs(x)`. Each time,
# write down first what you expect.
#
# ## Further reading
#
# - Y. Chen, A. Yuille, Z. Zhou. *Which Layer is Learning Faster? A Systematic Exploration of
#   Layer-wise Convergence Rate for Deep Neural Networks.* ICLR 2023.
# - M. Raghu, J. Gilmer, J. Yosinski, J. Sohl-Dickstein. *SVCCA.* NeurIPS 2017, arXiv 1706.05806.
# - C. Zhang, S. Bengio, Y. Singer. *Are All Layers Created Equal?* arXiv 1902.01996.
