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
# *About 45 minutes. You need notebook 01. It helps to have heard of the Fourier series.*
#
# A musical chord is several notes that sound together. Here a network learns such a chord: a sum of
# sines. Which note does it learn first, and which layer plays it?
#
# Exercises have three levels: ★ *read it off*, ★★ *work it out*, ★★★ *find out by an experiment of
# your own*.

# %%
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow says a lot when it starts

import matplotlib.pyplot as plt
import numpy as np

import keras_lcb as lcb
from keras_lcb import exercises, synthetic

SHORT = os.environ.get("KERAS_LCB_QUICK") == "1"  # a short form, for the notebook's own tests

# %% [markdown]
# These are the settings of this notebook. Come back later, change them, and run everything below
# again.

# %% tags=["parameters"]
depth = 5
learning_rate = 0.002
seed = 0

# %% [markdown]
# ## The chord
#
# The target is sin *x* + ⅓ sin 3*x* + ⅒ sin 10*x* + ⅟₃₀ sin 30*x*. It has four notes. The number in
# front of *x* says how many waves fit between −π and π; it is called the *wave number*: 1, 3, 10 and
# 30. A low note has a small wave number. The number in front of "sin" is the *amplitude*, or how loud
# the note is.
#
# The network is *residual*: each layer adds something to what it receives from the layer before. The
# read-out at the end is linear, so the output is exactly a sum, with one part for each layer: what this
# layer added, as the read-out passes it on. We call this part the layer's *contribution*, and we can
# ask which notes it contains. The network is trained with Adam.
#
# ## Predict
#
# In which order will the four notes be learned? And which layer will contribute most to wave number
# 10 at the end: the first, the last, or one in between?

# %%
my_order = ...  # such as [30, 10, 3, 1]
my_layer = ...  # such as "layer_2"

# %% [markdown]
# ## Watch
#
# Choose your prediction in the lab and press **Start**. On the left you see the target and what the
# network returns. On the right, each row is a layer and each column a note: the numbers say which
# part of the note the layer contributes.

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
# ## The same run in code

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

# %% [markdown]
# The left figure shows the error at each note, relative to its amplitude: at 0 the note is learned
# exactly, at 1 it might as well be missing, and above 1 the network plays it wrongly. (*k* is the wave
# number.) We say that a note is
# *learned* when its error falls below one half, the dotted line. The right figure shows the target,
# the output of the network (dashed), and what each layer adds to it.
#
# The error is recorded every 100 updates. What happens before the first of these records cannot be
# seen, so two notes that are both learned there may be in either order.

# %% [markdown]
# ### Exercise 05.1 · ★ read it off
#
# In which order does the network of `run` learn the notes? Give the list of wave numbers. A note that
# is not learned within the run comes last.

# %%
exercises.check("05.1", ..., run=run)

# %%
times = synthetic.time_to_learn(run.frequency_error).to_series()
for k, update in times.items():
    when = f"is below one half from update {update:,.0f} on"
    if np.isnan(update):
        when = "stays above one half in this run"
    print(f"wave number {k:2d}: the error {when}")
print()
print(exercises.predicted(my_order, times.fillna(np.inf).sort_values(kind="stable").index.tolist()))

# %% [markdown]
# ### Explain · 05.a
#
# Describe the order in which the notes are learned. In what do the notes differ, apart from their
# wave number?

# %%
my_explanation = ...
exercises.explain("05.a", my_explanation)

# %% [markdown]
# ## Which layer plays which note?
#
# For each layer and each note, the *share* is the part of the target's note that the layer
# contributes. A share of 1 means: exactly this note, as loud as in the target. A share may be
# negative, if the layer works against the others, or larger than 1.
#
# ### Exercise 05.2 · ★★ work it out
#
# Suppose that the network has learned a note exactly. What is the sum of the shares of all layers at
# this note?

# %%
exercises.check("05.2", ...)

# %% [markdown]
# In the map below, each row is a layer (`layer_0` at the bottom) and each column a note. It shows the
# shares at the end of the run: red for a positive share, blue for a negative one, and darker the
# larger it is.

# %%
figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
mesh = lcb.plotting.plot_frequency_map(run, ax=axes)
shares = run.frequency_share.isel(step=-1)
print("Sum of the shares over all layers:")
for k, total in shares.sum("layer").to_series().items():
    print(f"  wave number {k:2d}: {total:.2f}")

# %% [markdown]
# ### Exercise 05.3 · ★ read it off
#
# Which layer contributes most to wave number 10 at the end of `run`?

# %%
exercises.check("05.3", ..., run=run, frequency=10)

# %%
carried = shares.sel(frequency=10).dropna("layer").to_series()
print(exercises.predicted(my_layer, carried.idxmax() if len(carried) else "nothing finite"))

# %% [markdown]
# ## Low layers, low notes?
#
# Chen, Yuille and Zhou (2023, section 5) claim that shallower layers tend to fit low frequencies, and
# deeper layers high ones. To compare layers, we need one number for each: the *mean wave number* of
# what it adds. There are two ways to compute it.
#
# - **By shares**: the mean of the target's wave numbers, each weighted with the size of the layer's
#   share of it. Notes that the network has not learned are left out.
# - **By energy**: all wave numbers count, each weighted with the energy that the layer's contribution
#   has there.

# %%
last = run.isel(step=-1)
by_share = synthetic.share_centroid(last.frequency_share, last.frequency_error)
by_energy = last.frequency_centroid
print("Mean wave number of what each layer adds")
print("            by shares  by energy")
for name in by_energy.dropna("layer").layer.values:
    share, energy = float(by_share.sel(layer=name)), float(by_energy.sel(layer=name))
    print(f"  {name:8s}  {share:9.1f}  {energy:9.1f}")

# %% [markdown]
# Be careful with the mean by energy. What a layer adds is often not periodic: it ends, at *x* = π, at
# another height than it began, at *x* = −π. A Fourier series takes this for a jump, and a jump contains
# all notes. So some energy *leaks* into high wave numbers that nobody hears. The next cell shows how
# strong this is: a straight line, which contains no note at all, has a higher mean wave number than
# a pure sin 3*x*.

# %%
x = run.x.values
for name, function in (("a straight line", x), ("sin 3x", np.sin(3 * x))):
    print(f"{name}: mean wave number by energy {synthetic.frequency_centroid(function):.2f}")

# %% [markdown]
# ### Explain · 05.b
#
# Do the two columns agree about which layers play high and which play low? Why can they differ?

# %%
my_explanation = ...
exercises.explain("05.b", my_explanation)

# %% [markdown]
# Where the two disagree about the order of the layers, do not rely on either. Look at the map instead,
# and ask the question for each note and with other seeds.
#
# ## Is it the frequency or the loudness?
#
# Look at the target again: its low notes are also its *loud* notes, since the amplitude is 1/*k*. A
# loud note has a larger part in the gradient. So perhaps the network does not care about frequency at
# all, and simply learns loud notes first. To find out, make the notes equally loud. (Wave number 30
# is left out, since it was not learned even in the long run.) Predict: will 1 still come first?

# %%
my_guess = ...  # such as [10, 3, 1]

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
times = synthetic.time_to_learn(equal.frequency_error).to_series()
for k, update in times.items():
    when = f"is below one half from update {update:,.0f} on"
    if np.isnan(update):
        when = "stays above one half in this run"
    print(f"wave number {k:2d}: the error {when}")

print()
print(exercises.predicted(my_guess, times.fillna(np.inf).sort_values(kind="stable").index.tolist()))

# %% [markdown]
# ### Explain · 05.c
#
# What does this second experiment show that the first one could not?

# %%
my_explanation = ...
exercises.explain("05.c", my_explanation)

# %% [markdown]
# The second experiment is the better one: only the frequency differs between the notes. That such
# networks learn low frequencies first, at equal amplitude, is well established (Rahaman et al. 2019;
# Xu et al. 2020).
#
# ### Exercise 05.4 · ★★★ find out
#
# Now the other way round. Build a target of which a *higher* note is learned before a lower one. Each
# row below is a note: wave number, amplitude, phase (leave the phase at 0). Change the rows, take the
# `#` away from the line below them and delete the line with the dots, and run the cell.

# %%
rows = [(1, 1.0, 0.0), (4, 1.0, 0.0)]
mine = ...
# mine = synthetic.run(synthetic.Config(**{**vars(config), "target": synthetic.SineSum(rows)}))
exercises.check("05.4", mine)

# %% [markdown]
# ### Exercise 05.5 · ★★★ find out
#
# Go back to the lab and set **Learning rate** to a quarter of its value (0.0005 in place of 0.002).
# Leave all else as it is. Does wave number 10 then take four times as long? Predict, press Start,
# and wait until training has ended. Then divide the update at which this note is learned in the lab
# by that in `run`.

# %%
exercises.check("05.5", ..., run=run, slow=lab.run)

# %% [markdown]
# ## What is known, and what is only suggested
#
# - *Established*: *networks* learn low frequencies before high ones of equal amplitude, with the usual
#   initial weights and optimizers. Other initial weights can weaken or reverse this (arXiv 2405.14957,
#   2508.17323).
# - *Claimed by Chen et al.*, with "tend to": which *layer* fits which frequency. In a residual network
#   this can be checked, since the output is a sum over layers. In a plain network it is not, and the
#   package measures instead how well a frequency can be *read* from each layer
#   (`help(synthetic.probe)`).
# - *Not the same*: the *deep frequency principle* (Xu and Zhou 2021). It is about the task that is left
#   for the layers above, not about what a layer contributes.
# - *The ends of the interval matter*: a network may fit it from its ends inwards, and contributions
#   leak. `periodic=True` in `synthetic.Config` makes the network periodic, so that you can compare.
#
# ## Further reading
#
# - N. Rahaman et al. *On the Spectral Bias of Neural Networks.* ICML 2019, arXiv 1806.08734.
# - Z.-Q. J. Xu et al. *Frequency Principle.* Communications in Computational Physics 2020, arXiv
#   1901.06523.
# - Z.-Q. J. Xu, H. Zhou. *Deep Frequency Principle Towards Understanding Why Deeper Learning Is
#   Faster.* AAAI 2021, arXiv 2007.14313.
# - Y. Chen, A. Yuille, Z. Zhou. *Which Layer is Learning Faster?* ICLR 2023, section 5.
