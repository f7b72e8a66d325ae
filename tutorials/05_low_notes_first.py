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
# # 05 · Low notes first
#
# *About 35 minutes. You need notebook 01, and to have heard of the Fourier series.*
#
# A network learns a chord. Which note can it play first, and which layer plays it?

# %%
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow says a lot when it starts

import matplotlib.pyplot as plt
import numpy as np

import keras_lcb as lcb
from keras_lcb import exercises, synthetic

SHORT = os.environ.get("KERAS_LCB_QUICK") == "1"  # a short form, for the notebook's own tests

# %% [markdown]
# The settings of this notebook. Come back later, change them, and run everything below again.

# %% tags=["parameters"]
depth = 5
learning_rate = 0.002
seed = 0

# %% [markdown]
# ## The chord
#
# The target is sin *x* + ⅓ sin 3*x* + ⅒ sin 10*x* + ⅟₃₀ sin 30*x*: four notes with the wave numbers
# 1, 3, 10 and 30. The network is residual: each layer *adds* something to what is there, and the
# read-out is linear. So the output is exactly a sum of what the layers contribute, and each
# contribution is a function that can be taken apart into its notes.
#
# ## Predict
#
# Write down in which order the four notes will be learned, and then which layer will carry the
# most of wave number 10 in the end: the first, the last, or one in between?

# %%
my_order = ...  # such as [30, 10, 3, 1]
my_layer = ...  # such as "layer_2"

# %% [markdown]
# ## Watch

# %%
lab = lcb.lab.DepthLab(
    depth=depth,
    width=64,
    residual=True,
    optimizer="adam",
    learning_rate=learning_rate,
    target="four sines",
    updates=6000,
    seed=seed,
    predict="frequency",
    show=["depth", "learning_rate", "target", "seed", "speed"],
    pictures=["function", "frequency"],
)
lab

# %% [markdown]
# ## The same in code

# %%
config = synthetic.Config(
    target=synthetic.default_target(),
    depth=depth,
    width=64,
    residual=True,
    optimizer="adam",
    learning_rate=learning_rate,
    updates=300 if SHORT else 6000,
    record_every=30 if SHORT else 100,
    seed=seed,
)
run = synthetic.run(config, functions=True)

figure, (left, right) = plt.subplots(1, 2, figsize=(14, 4), layout="constrained")
lcb.plotting.plot_frequency_error(run, left)
lines = lcb.plotting.plot_contributions(run, ax=right)

# %%
times = synthetic.time_to_learn(run.frequency_error).to_series()
for k, update in times.items():
    when = "not within this run" if np.isnan(update) else f"at update {update:,.0f}"
    print(f"wave number {k:2d}: the error falls below one half {when}")
print()
print(exercises.predicted(my_order, times.sort_values(kind="stable").index.tolist()))

# %% [markdown]
# ### Exercise 05.1
#
# Read off the left figure: in which order are the wave numbers learned? Those that are not learned
# stand last.

# %%
exercises.check("05.1", ..., run=run)

# %% [markdown]
# ## Who plays which note?
#
# For each layer and each wave number, the *share* is how much of the target's note the layer's
# contribution holds. It may be negative, where a layer plays against the others, or above 1.
#
# ### Exercise 05.2
#
# Suppose a note is learned exactly. What do the shares of all layers add up to, at this note?

# %%
exercises.check("05.2", ...)

# %%
figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
mesh = lcb.plotting.plot_frequency_map(run, ax=axes)
shares = run.frequency_share.isel(step=-1)
print("Sum of the shares over all layers:")
for k, total in shares.sum("layer").to_series().items():
    print(f"  wave number {k:2d}: {total:.2f}")

# %% [markdown]
# ### Exercise 05.3
#
# Which layer carries the most of wave number 10 at the end of `run`?

# %%
exercises.check("05.3", ..., run=run, frequency=10)

# %%
carried = shares.sel(frequency=10).dropna("layer").to_series()
last = run.isel(step=-1)
by_share = synthetic.share_centroid(last.frequency_share, last.frequency_error)
by_energy = last.frequency_centroid
print(exercises.predicted(my_layer, carried.idxmax() if len(carried) else "nothing finite"))
print()
print("Mean wave number of what each layer adds, by its shares of the learned notes; by energy:")
for name in by_energy.dropna("layer").layer.values:
    print(
        f"  {name}: {float(by_share.sel(layer=name)):5.1f} {float(by_energy.sel(layer=name)):5.1f}"
    )

# %% [markdown]
# Why two numbers? What a layer adds need not end where it began, and a jump sounds like all notes at
# once: its energy *leaks* into every wave number. A straight line, which has no note at all, scores
# 4 by energy on these 512 points, more than sin 3*x*. The shares ask for the target's own notes
# only. Where the two disagree about the order of the layers, trust neither by itself.
#
# Chen, Yuille and Zhou (2023, section 5) claim that shallower layers tend to fit the low and deeper
# layers the high frequencies. Compare with what you see: is it so at every note? With another seed?
#
# ## Is it the frequency, or the loudness?
#
# Look at the target again: the low notes are also the *loud* ones, with amplitude 1/*k*. They would
# be learned first even if the network did not care about frequency, as a loud note has the larger
# part of the gradient. So make them equally loud. Will 1 still come first?

# %%
equal = synthetic.run(
    synthetic.Config(
        **{
            **vars(config),
            "target": synthetic.SineSum([(1, 1.0, 0.0), (3, 1.0, 0.0), (10, 1.0, 0.0)]),
        }
    )
)
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
lines = lcb.plotting.plot_frequency_error(equal, axes)
for k, update in synthetic.time_to_learn(equal.frequency_error).to_series().items():
    when = "not within this run" if np.isnan(update) else f"at update {update:,.0f}"
    print(f"wave number {k:2d}: the error falls below one half {when}")

# %% [markdown]
# This is the better experiment: one thing is varied and the other is held fixed. That networks like
# these learn low frequencies first, at equal amplitude, is well established (Rahaman et al. 2019;
# Xu et al. 2020).
#
# ### Exercise 05.4
#
# Turn it round. Build a target for which a *higher* note is learned before a lower one, train on
# it, and hand in the run. (Change the rows below; they are wave number, amplitude, phase.)

# %%
rows = [(1, 1.0, 0.0), (4, 1.0, 0.0)]
mine = ...  # synthetic.run(synthetic.Config(**{**vars(config), "target": synthetic.SineSum(rows)}))
exercises.check("05.4", mine)

# %% [markdown]
# ## What is known, and what is only suggested
#
# - Established: *networks* learn low frequencies before high ones of equal amplitude, for common
#   initialisations and first-order optimizers. Other initialisations can weaken or invert this
#   (arXiv 2405.14957, 2508.17323).
# - Claimed by Chen et al., with "tend to": which *layer* fits which frequency. In a residual network
#   the contributions are exact, so that you can check it; in a plain network there are none, and the
#   package measures what a layer makes *readable* instead (`help(synthetic.probe)`).
# - Another thing altogether: the *deep frequency principle* (Xu and Zhou 2021) speaks of the task
#   that is left for the layers above, not of what a layer contributes.
# - Borders matter: on an interval, networks may fit from the borders inwards. `periodic=True` in the
#   configuration is the control.
#
# ## Further reading
#
# - N. Rahaman et al. *On the Spectral Bias of Neural Networks.* ICML 2019, arXiv 1806.08734.
# - Z.-Q. J. Xu et al. *Frequency Principle.* Communications in Computational Physics 2020, arXiv
#   1901.06523.
# - Z.-Q. J. Xu, H. Zhou. *Deep Frequency Principle Towards Understanding Why Deeper Learning Is
#   Faster.* AAAI 2021, arXiv 2007.14313.
# - Y. Chen, A. Yuille, Z. Zhou. *Which Layer is Learning Faster?* ICLR 2023, section 5.
