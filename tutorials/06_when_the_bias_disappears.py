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
# # 06 · When the bias disappears
#
# *About 45 minutes. You need notebooks 01 and 02.*
#
# If shallow layers always converged first, nobody would need an experiment. In this notebook you look
# for conditions under which they do *not*, and you learn how to report what you find.
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
from keras_lcb import exercises, synthetic

SHORT = os.environ.get("KERAS_LCB_QUICK") == "1"  # a short form, for the notebook's own tests

# %% [markdown]
# These are the settings of this notebook. Come back later, change them, and run everything below
# again.

# %% tags=["parameters"]
depth = 5
learning_rate = 0.01  # of SGD with momentum; the other conditions have a rate of their own
seed = 0

# %% [markdown]
# ## Six conditions
#
# | condition | network | task | optimizer |
# |---|---|---|---|
# | plain, momentum | dense, plain | three sines | SGD with momentum |
# | plain, Adam | dense, plain | three sines | Adam |
# | residual, momentum | dense, residual | three sines | SGD with momentum |
# | residual, Adam | dense, residual | three sines | Adam |
# | images, SGD | convolutions | digits | SGD |
# | images, SGD, batch norm | convolutions with batch normalization | digits | SGD |
#
# ## Predict
#
# What will the verdict be for each of them: `"shallower faster"`, `"deeper faster"`, `"equivalent"`
# or `"inconclusive"`? "Equivalent" means that the difference is known to be small: the last layer
# takes between 0.9 and 1.11 times as long as the first. "Inconclusive" means that the data do not
# tell.

# %%
my_predictions = {
    "plain, momentum": ...,
    "plain, Adam": ...,
    "residual, momentum": ...,
    "residual, Adam": ...,
    "images, SGD": ...,
    "images, SGD, batch norm": ...,
}

# %% [markdown]
# ## Five seeds each
#
# The next cell trains thirty networks, which takes a minute or two. Then `convergence_bias` compares
# the layers. It says "shallower faster" only if three things come together: the last layer takes
# longer than the first by more than the differences between seeds explain (Student's t); layers in
# random order would seldom look so ordered; and the times and the areas under the curves agree. For
# "deeper faster" it is the same the other way round. It gives no verdict on fewer than five seeds.

# %%
seeds = range(seed, seed + (1 if SHORT else 5))


def curve(residual, optimizer, learning_rate):
    target = synthetic.SineSum([(1, 1.0, 0.0), (2, 0.5, 0.0), (4, 0.25, 0.0)])
    settings = {
        "target": target,
        "depth": depth,
        "width": 64,
        "residual": residual,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "updates": 100 if SHORT else 2000,
        "record_every": 20,
    }
    return [synthetic.run(synthetic.Config(**settings, seed=number)) for number in seeds]


def images(normalization):
    runs = []
    for number in seeds:
        keras.utils.set_random_seed(number)
        data = lcb.vision.load("digits", seed=number)
        model = lcb.vision.build_cnn(
            data.shape, data.classes, depth=depth, normalization=normalization, seed=number
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss)
        convergence, gradients = lcb.LayerConvergence(), lcb.GradientNorms()
        epochs = 1 if SHORT else 25
        model.fit(
            data.train, epochs=epochs, shuffle=False, verbose=0, callbacks=[convergence, gradients]
        )
        runs.append(lcb.collect(convergence, gradients))
    return runs


runs = {
    "plain, momentum": curve(False, "momentum", learning_rate),
    "plain, Adam": curve(False, "adam", 0.001),
    "residual, momentum": curve(True, "momentum", learning_rate),
    "residual, Adam": curve(True, "adam", 0.001),
    "images, SGD": images(False),
    "images, SGD, batch norm": images(True),
}

# %%
figure, panels = plt.subplots(2, 3, figsize=(14, 8), layout="constrained", sharey=True)
for (name, several), panel in zip(runs.items(), panels.flat, strict=True):
    hidden = several[0].sel(layer=several[0].role == "hidden")
    lcb.plotting.plot_convergence(hidden, panel)
    panel.set_title(f"{name} (seed {seed})", loc="left")

# %%
found = {name: lcb.convergence_bias(several) for name, several in runs.items()}
rows = {}
for name, bias in found.items():
    predicted = my_predictions[name]
    rows[name] = {
        "predicted": "" if predicted is ... else predicted,
        "verdict": bias.verdict,
        "last / first layer": str(bias.ratio),
        "ρ with time to half": "  ".join(
            f"{rho:+.2f}" for rho in bias.time_to_half.spearman_of_runs
        ),
        "ρ with area": "  ".join(f"{rho:+.2f}" for rho in bias.area.spearman_of_runs),
        "last loss": "  ".join(
            f"{float(run.loss[-1]):.3f}" if "loss" in run else "none finite" for run in runs[name]
        ),
    }
pd.DataFrame(rows).T

# %% [markdown]
# - *last / first layer*: how many times as long the last layer takes as the first to come half the
#   way, and in brackets the interval for this ratio over the seeds.
# - *ρ*: Spearman's rank correlation with depth, one number for each seed. It is +1 if the layers come
#   in exactly from shallow to deep, and −1 if they come in exactly the other way round.
# - *last loss*: whether the networks have learned anything, one number for each seed.
#
# ### Exercise 06.1 · ★ read it off
#
# In how many of the conditions is the verdict "shallower faster"?

# %%
exercises.check("06.1", ..., found=found)

# %%
for verdict in ("shallower faster", "deeper faster", "equivalent", "inconclusive"):
    names = [name for name, bias in found.items() if bias.verdict == verdict]
    print(f"{verdict}: {'; '.join(names) or 'none'}")

# %% [markdown]
# ### Exercise 06.2 · ★★ work it out
#
# Suppose that there is no effect at all, so that a correlation is as often positive as negative. What
# is the probability that three seeds of a condition all give a positive one?

# %%
exercises.check("06.2", ...)

# %% [markdown]
# So three seeds of the same sign are not much. With six conditions, luck alone gives such a case in
# 6 · ⅛ = 0.75 conditions on average. This is why there is no verdict below five seeds. Larger studies
# can be run with `lcb.experiments`.
#
# ### Explain · 06.a
#
# Some conditions are "inconclusive". What does this mean, and what does it *not* mean?

# %%
my_explanation = ...
exercises.explain("06.a", my_explanation)

# %% [markdown]
# If there is no effect, a verdict of "shallower faster" or "deeper faster" still comes by chance in
# about 5 % of cases. With six conditions, the chance that this happens at least once is larger.
# `lcb.analysis.corrected` is stricter: it keeps the chance of even one such error at 5 %.

# %%
for name, bias in lcb.analysis.corrected(found).items():
    print(f"{name}: {bias.verdict}")

# %% [markdown]
# ## How large is the effect?
#
# A correlation of +1 looks like a large effect. It need not be one: it only says that the order is
# perfect.
# For each condition, the next cell shows the rank correlation beside two numbers that tell the
# *size*: the area under the curve of the first and of the last layer (½ for a layer that moves at
# constant speed), and the ratio of the times to half.

# %%
rows = {}
for name, several in runs.items():
    kernels = [layer for layer in found[name].layers if layer in several[0].layer]
    areas = [
        lcb.analysis.area_under_distance(one).sel(layer=kernels).values.astype(float)
        for one in several
    ]
    first, *_, last = np.mean(areas, axis=0) if len(kernels) > 1 else (np.nan, np.nan)
    rows[name] = {
        "ρ with area": f"{found[name].area.spearman:+.2f}",
        "area, first layer": f"{first:.2f}",
        "area, last layer": f"{last:.2f}",
        "last / first layer": str(found[name].ratio),
    }
pd.DataFrame(rows).T

# %% [markdown]
# For comparison: if the last layer takes 1.25 times as long as the first, and the first is half-way
# after 200 updates, the last is half-way after 250. Whether this is much depends on what you want to
# do with it. In a study over many seeds ([docs/RESULTS.md](../docs/RESULTS.md)), the last layer takes
# 1.09 [1.05, 1.12] times as long as the first in a plain 1-D network with momentum that is looked at
# for 4,000 updates: a difference of which we are sure for this length of training, and which is small.
#
# ### Explain · 06.b
#
# Can the order of the layers be perfect and the effect tiny? What does each of the numbers tell you?

# %%
my_explanation = ...
exercises.explain("06.b", my_explanation)

# %% [markdown]
# A verdict near its threshold depends on the seeds, and on the update at which training was stopped:
# try 1,500 updates in place of 2,000.
#
# ## Does batch normalization only mislead the measure?
#
# With batch normalization, the order of the layers is reversed. Is this a fact about learning, or does
# the distance mislead here? There is a reason to ask. Batch normalization divides by the size of what
# it receives. If all weights of the layer before it are made ten times as large, the network computes
# the same. The next cell tries it.

# %%
data = lcb.vision.load("digits")
model = lcb.vision.build_cnn(data.shape, data.classes, depth=2, normalization=True, seed=seed)
pictures = next(iter(data.validation))[0]
before = keras.ops.convert_to_numpy(model(pictures, training=True))
layer = model.get_layer("conv_1")
kernel, bias = layer.get_weights()
layer.set_weights([10 * kernel, 10 * bias])
after = keras.ops.convert_to_numpy(model(pictures, training=True))
print(f"largest output:                      {np.abs(before).max():.3f}")
print(f"largest change of an output:         {np.abs(after - before).max():.5f}")
print(
    f"change of the weights, as a distance: {np.linalg.norm(9 * kernel) / np.linalg.norm(kernel):.1f} × their norm"
)

# %% [markdown]
# The weights have moved far, and the function is the same, except for rounding and a small constant
# in the division. So in such a network, a part of the distance may have no effect. A measure that does
# not depend on the length of the weights is the *angle*: 1 − cos of the angle between two weight
# vectors. `run.angle_to_end` is the angle between a layer's weights and its final weights. It goes to
# 0 as the distance does.
#
# ### Exercise 06.3 · ★★ work it out
#
# How large is 1 − cos of the angle between a weight vector *w* and the vector 10·*w*?

# %%
exercises.check("06.3", ...)

# %%
figure, panels = plt.subplots(1, 2, figsize=(14, 4), layout="constrained", sharey=True)
for panel, name in zip(panels, ("images, SGD", "images, SGD, batch norm"), strict=True):
    one = runs[name][0]
    angle = one.angle_to_end / one.angle_to_end.isel(step=0)
    for place, layer in enumerate(one.layer.values[one.kind.values == "Conv2D"]):
        shade = lcb.plotting.depth_colors(depth)[place]
        panel.plot(one.step, angle.sel(layer=layer), color=shade, label=layer)
    panel.set(title=f"{name} (seed {seed})", xlabel="updates")
    panel.axhline(0.5, color="grey", linestyle=":")
    panel.legend(frameon=False, fontsize="small")
label = panels[0].set_ylabel("angle to the final weights (1 − cos),\nrelative to its initial value")
for name in ("images, SGD", "images, SGD, batch norm"):
    by_angle = next((r for said, r in found[name].beside.items() if "angle" in said), "unknown")
    print(f"{name}: last / first layer by distance {found[name].ratio}, by angle {by_angle}")

# %% [markdown]
# ### Explain · 06.c
#
# Does the angle show the same order of the layers as the distance? What follows for the question at
# the top of this section?

# %%
my_explanation = ...
exercises.explain("06.c", my_explanation)

# %% [markdown]
# Two measures that agree are better than one. Where they disagree, report both.
#
# ## Your own condition
#
# ### Exercise 06.4 · ★★★ find out
#
# The lab below starts with the first condition of the table: plain, with momentum. Look for a setting
# in which the *last* hidden layer is half-way before the *first*. Change nothing but **Depth** (five
# or more) and **Learning rate**. Write down what you expect before each run. When you have found one,
# hand in the run: put `lab.run` in place of the dots.

# %%
lab = lcb.lab.DepthLab(
    depth=depth,
    width=64,
    residual=False,
    optimizer="momentum",
    learning_rate=learning_rate,
    target="sin(x) + sin(2*x)/2 + sin(4*x)/4",
    updates=2000,
    seed=seed,
    predict=True,
)
lab

# %%
exercises.check("06.4", ...)

# %% [markdown]
# How many settings did you try? A setting that was found after ten tries is weaker evidence than one
# that was predicted. So report the tries, too.

# %% [markdown]
# ## How to report such a result
#
# 1. All conditions that you tried, not only those that worked.
# 2. The number of seeds, and how much they differ.
# 3. The size of the effect with its interval, not only the order.
# 4. The endpoint and the measure, and a second measure where the first may mislead.
# 5. The loss: if a network has learned nothing, the order of its layers means nothing.
# 6. "Tends to", where it only tends to.
#
# ## What is known
#
# - Chen, Yuille and Zhou (2023) write that shallower layers *tend to* converge faster. The
#   counterexamples above do not refute a tendency; they show its limits.
# - In vision transformers, layers were seen to change in step with each other, unlike those of residual
#   convolutional networks (arXiv 2405.17377).
# - Normalization makes the length of the weights arbitrary. Then neither "near" nor "flat" is a property
#   of the function alone (Dinh et al. 2017).
#
# ## Further reading
#
# - Y. Chen, A. Yuille, Z. Zhou. *Which Layer is Learning Faster?* ICLR 2023.
# - L. Dinh, R. Pascanu, S. Bengio, Y. Bengio. *Sharp Minima Can Generalize for Deep Nets.* ICML 2017,
#   arXiv 1703.04933.
# - C. Zhang, S. Bengio, Y. Singer. *Are All Layers Created Equal?* arXiv 1902.01996.
