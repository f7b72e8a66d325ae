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
# *About 35 minutes. You need notebooks 01 and 02.*
#
# A rule that always shows up would need no experiment. Here you look for conditions under which
# shallow layers do *not* converge first, and learn to say so.

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
# The settings of this notebook. Come back later, change them, and run everything below again.

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
# | images, SGD, batch norm | convolutions with batch normalisation | digits | SGD |
#
# ## Predict
#
# For each of them: `"shallower faster"`, `"deeper faster"`, `"equivalent"` or `"inconclusive"`?
# Equivalent means that the last layer takes between 0.9 and 1.11 times as long as the first, and
# that there are data enough to say so.

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
# The next cell trains thirty networks. `convergence_bias` speaks of an order only where the last
# layer takes longer than the first, or less long, by more than the scatter over the seeds explains
# (Student's t), where layers in random order would seldom look as ordered, and where times and
# areas agree. It gives no verdict on fewer than five seeds.

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
# *Last / first layer* is how many times as long the last layer takes as the first to come half the
# way, with its interval over seeds. ρ is Spearman's rank correlation with depth, one number a seed:
# positive where deeper layers are slower.
#
# ### Exercise 06.1
#
# In how many of the conditions is the verdict "shallower faster"?

# %%
exercises.check("06.1", ..., found=found)

# %%
for verdict in ("shallower faster", "deeper faster", "equivalent", "inconclusive"):
    names = [name for name, bias in found.items() if bias.verdict == verdict]
    print(f"{verdict}: {'; '.join(names) or 'none'}")

# %% [markdown]
# ### Exercise 06.2
#
# Suppose there is no bias at all, so that a correlation is as often positive as negative. How
# likely is it that three seeds of a condition all give a positive one?

# %%
exercises.check("06.2", ...)

# %% [markdown]
# So three seeds that agree in sign are not much, and with six conditions one such case is to be
# expected by luck (6 · ⅛ = 0.75). This is why there is no verdict below five, and why studies take
# more: `lcb.experiments` runs them. "Inconclusive" means that these data do not tell. It does not
# mean that there is no difference; that would be "equivalent".
#
# With six verdicts at 5 % each, one may well be wrong. `lcb.analysis.corrected` holds the chance of
# even one error at 5 %:

# %%
for name, bias in lcb.analysis.corrected(found).items():
    print(f"{name}: {bias.verdict}")

# %% [markdown]
# Look also at how large the ratios are, and at how near to 1 their intervals reach. A verdict near
# its threshold depends on the seeds, and on where training was stopped: try 1,500 updates in place
# of 2,000.
#
# ## Why distances mislead after a normalisation
#
# Batch normalisation divides by the size of what it gets. If all weights of the layer before it
# are made ten times as large, the network computes the same. Try it:

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
# The distance between the parameters is large, and the function is the same up to rounding and the
# small constant that guards the division. So distances to the endpoint say less in such a network,
# in either direction. A measure that does not see the length is the *angle*, 1 − cos of the angle
# between a layer's weights and its initial weights (`run.angle`).
#
# ### Exercise 06.3
#
# What is this angle measure between a weight vector *w* and 10·*w*?

# %%
exercises.check("06.3", ...)

# %%
figure, panels = plt.subplots(1, 2, figsize=(14, 4), layout="constrained", sharey=True)
for panel, name in zip(panels, ("images, SGD", "images, SGD, batch norm"), strict=True):
    one = runs[name][0]
    angle = one.angle / one.angle.isel(step=-1)
    for place, layer in enumerate(one.layer.values[one.kind.values == "Conv2D"]):
        shade = lcb.plotting.depth_colors(depth)[place]
        panel.plot(one.step, angle.sel(layer=layer), color=shade, label=layer)
    panel.set(title=name, xlabel="updates")
    panel.legend(frameon=False, fontsize="small")
label = panels[0].set_ylabel("angle turned, relative to its last value")

# %% [markdown]
# Here a line that *rises* sooner belongs to a layer that turned sooner. Does the order of the layers
# agree with that of the distances? Where two measures disagree, report both.
#
# ## Your own condition
#
# Look for one that changes the verdict: depth, width, learning rate, activation, target. Write down
# what you expect before you press Start.

# %%
lab = lcb.lab.DepthLab(
    depth=depth, residual=True, optimizer="adam", learning_rate=0.001, updates=2000, predict=True
)
lab

# %% [markdown]
# ## How to report such a result
#
# 1. All conditions you tried, not only those that worked.
# 2. Seeds, and the spread over them.
# 3. The endpoint, and the measure; a second measure where the first may mislead.
# 4. The loss: layers that "converge" in a network that learned nothing say nothing.
# 5. "Tends to", where it tends to.
#
# ## What is known
#
# - Chen, Yuille and Zhou (2023) write that shallower layers *tend to* converge faster. Counterexamples
#   such as those above do not refute a tendency; they limit it.
# - In vision transformers, layers were seen to change in step with each other, unlike those of
#   residual convolutional networks (arXiv 2405.17377).
# - Normalisation makes the length of weights arbitrary, and it couples effective learning rates; flat
#   or near are then not properties of the function (Dinh et al. 2017).
#
# ## Further reading
#
# - Y. Chen, A. Yuille, Z. Zhou. *Which Layer is Learning Faster?* ICLR 2023.
# - L. Dinh, R. Pascanu, S. Bengio, Y. Bengio. *Sharp Minima Can Generalize for Deep Nets.* ICML 2017,
#   arXiv 1703.04933.
# - C. Zhang, S. Bengio, Y. Singer. *Are All Layers Created Equal?* arXiv 1902.01996.
