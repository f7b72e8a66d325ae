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
# # 02 · Measuring convergence
#
# *About 45 minutes. You need NumPy, and notebook 01.*
#
# "This layer converges faster" sounds like a clear statement. In this notebook you write the measure
# yourself, see a case in which it says nothing at all, and learn two more ways in which it can
# mislead.
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
from keras_lcb import exercises, synthetic

SHORT = os.environ.get("KERAS_LCB_QUICK") == "1"  # a short form, for the notebook's own tests

# %% [markdown]
# These are the settings of this notebook. Come back later, change them, and run everything below
# again.

# %% tags=["parameters"]
depth = 5
learning_rate = 0.01
seed = 0

# %% [markdown]
# ## From weights to a distance
#
# Write all parameters of a layer as one long vector. Record this vector now and then while the
# network trains: `weights[0]` is the first record, `weights[-1]` the last one. The last record is the
# endpoint θ\*.
#
# ### Exercise 02.1 · ★★ work it out
#
# Write a function that takes such records (an array with one row for each record and one column for
# each parameter) and returns the normalized distance of each record: ‖θ(t) − θ\*‖ / ‖θ(0) − θ\*‖.


# %%
def normalized_distance(weights):
    return ...


exercises.check("02.1", normalized_distance if normalized_distance(np.eye(2)) is not ... else ...)

# %% [markdown]
# ## Definition 2.1
#
# Chen, Yuille and Zhou (2023) define the convergence rate of layer *l* between two times as the part
# of its way that it covers per update:
#
# $$ C_l(t_1, t_2) = \frac{1}{t_2 - t_1} \cdot \frac{\lVert \theta_l(t_1) - \theta_l^* \rVert - \lVert \theta_l(t_2) - \theta_l^* \rVert}{\lVert \theta_l(0) - \theta_l^* \rVert} $$
#
# ### Exercise 02.2 · ★★ work it out
#
# Write it as a function of the normalized distance. `steps` and `distance` are arrays of the same
# length; `t1` and `t2` are two of the steps.


# %%
def convergence_rate(steps, distance, t1, t2):
    return ...


filled_in = convergence_rate(np.array([0, 1]), np.array([1.0, 0.0]), 0, 1) is not ...
exercises.check("02.2", convergence_rate if filled_in else ...)

# %% [markdown]
# ## A rate that says nothing
#
# Now a real run. You can watch it in the lab; the cell after the lab makes the same run in code.

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
    show=["depth", "learning_rate", "seed", "speed"],
    pictures=["distance"],
)
lab

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
hidden = [name for name in run.layer.values.tolist() if name != "readout"]
updates = int(run.step[-1])
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
lines = lcb.plotting.plot_convergence(run, axes)

# %% [markdown]
# The lines differ. So which layer has the largest convergence rate over the *whole* run, from update
# 0 to the last update? Predict: the name of a layer, or `"none"`.

# %%
my_prediction = ...

# %%
whole = lcb.convergence_rate(run, 0, updates).sel(layer=hidden)
print(whole.to_series().to_string())
spread = float(whole.max() - whole.min())
outcome = "none" if not spread > 1e-9 else str(whole.layer.values[int(whole.values.argmax())])
print()
print(exercises.predicted(my_prediction, outcome))

# %% [markdown]
# ### Exercise 02.3 · ★★ work it out
#
# What is this rate for a run of T updates, where T is the variable `updates`? Work it out from the
# definition, without looking at the table.

# %%
exercises.check("02.3", ..., run=run)

# %% [markdown]
# ### Explain · 02.a
#
# Why do all layers have the same rate over the whole run, although their lines differ?

# %%
my_explanation = ...
exercises.explain("02.a", my_explanation)

# %% [markdown]
# So over the whole run this rate only measures how long the run was. This holds for every network
# and every optimizer, whatever was learned, as long as each layer moved at all. Layers can be
# compared only over *parts* of the run. There are three usual ways:
#
# - the rate within a window, such as the first tenth of the run;
# - the time until half of the way is covered (`lcb.time_to_fraction`);
# - the area under the curve, as a part of the whole (`lcb.analysis.area_under_distance`): near 0 for
#   a layer that is at its end almost at once, ½ for a layer that moves at constant speed.

# %%
edges = np.linspace(0, updates, 6)
print("Convergence rate times T, one column for each hidden layer (1.00 is a constant pace):")
for t1, t2 in zip(edges[:-1], edges[1:], strict=True):
    rates = lcb.convergence_rate(run, t1, t2).sel(layer=hidden) * updates
    print(f"updates {t1:5,.0f} to {t2:5,.0f}:", "  ".join(f"{rate:6.2f}" for rate in rates.values))

# %% [markdown]
# Read the table by rows. A layer that is far ahead in the first row has less of its way left, so it
# must be slower in the later rows. "Slow late in the run" is therefore not a second finding: with
# this endpoint, it is the same finding seen from the other side.
#
# ### Exercise 02.4 · ★ read it off
#
# Find a window (t1, t2) in which the fastest hidden layer is at least twice as fast as the slowest.

# %%
exercises.check("02.4", ..., run=run)

# %% [markdown]
# ### Exercise 02.5 · ★★ work it out
#
# The distance of a layer falls like exp(−t/100). After how many updates *t* is it half-way?

# %%
exercises.check("02.5", ...)

# %% [markdown]
# ### Exercise 02.6 · ★★★ find out
#
# In the lab above, set **Learning rate** to 0.02, which is twice as much, and leave all else as it
# is. Predict, press Start, and wait until training has ended. Divide the time to half of the slowest hidden
# layer by that of the fastest one. What is the result?

# %%
exercises.check("02.6", ..., run=lab.run)

# %% [markdown]
# ## Which endpoint?
#
# θ\* is where training *stopped*. If it had gone on, the weights would have ended somewhere else. So
# let us measure the first half of the run twice: against the weights in the middle of the run, and
# against those at its end.

# %%
half = synthetic.run(
    synthetic.Config(**{**vars(config), "updates": updates // 2, "record_every": 10})
)
figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4), layout="constrained", sharey=True)
lcb.plotting.plot_convergence(half, left)
lcb.plotting.plot_convergence(run.sel(step=slice(0, updates // 2)), right)
left.set_title(f"endpoint: update {updates // 2:,}", loc="left")
right.set_title(f"endpoint: update {updates:,}", loc="left")

remaining = run.normalized_distance.sel(step=updates // 2, layer=hidden)
print(f"After {updates // 2:,} updates, this part of the longer way is still to go:")
print(remaining.to_series().round(2).to_string())

# %% [markdown]
# ### Explain · 02.b
#
# On the left, all layers seem to have arrived; on the right, they have not. What is the difference
# between the two figures?

# %%
my_explanation = ...
exercises.explain("02.b", my_explanation)

# %% [markdown]
# In general, weights keep moving after the loss has settled. Then there is no point to which they
# converge, and the "distance to the endpoint" is only the distance to the weights at a certain
# date. So say which endpoint you used, and try a second one.

# %% [markdown]
# ## When the learning rate falls to zero
#
# The last way to be misled. This time the task is pure noise: there is nothing to learn. The learning
# rate is turned down to zero during training. The cell also shows how you record a model of your own:
# make the callback, and pass it to `fit`.

# %%
keras.utils.set_random_seed(seed)
noise = np.random.default_rng(seed).normal(size=(256, 9)).astype("float32")
x, y = noise[:, :8], noise[:, 8:]
model = keras.Sequential([keras.Input((8,))])
for index in range(3):
    model.add(keras.layers.Dense(32, activation="relu", name=f"dense_{index}"))
model.add(keras.layers.Dense(1, name="readout"))

epochs = 8 if SHORT else 60
falling = keras.optimizers.schedules.CosineDecay(0.05, decay_steps=epochs * 8)
model.compile(keras.optimizers.SGD(falling), "mse")
convergence = lcb.LayerConvergence()
model.fit(x, y, epochs=epochs, batch_size=32, verbose=0, callbacks=[convergence])

figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4), layout="constrained")
lcb.plotting.plot_convergence(convergence.results, left)
lines = lcb.plotting.plot_loss(convergence.results, right)

# %%
last = convergence.results.sel(step=slice(int(0.9 * epochs * 8), None)).normalized_distance
fresh = np.random.default_rng(seed + 1).normal(size=(4096, 9)).astype("float32")
error = float(np.mean((model.predict(fresh[:, :8], verbose=0) - fresh[:, 8:]) ** 2))
print(f"In the last tenth of training, no layer is further than {float(last.max()):.3f} away.")
print(f"On fresh noise the error is {error:.2f}; always answering 0 has an error of about 1.")

# %% [markdown]
# ### Explain · 02.c
#
# All lines come smoothly to rest. What does this show, and what does it not show?

# %%
my_explanation = ...
exercises.explain("02.c", my_explanation)

# %% [markdown]
# ## What a layer passes on
#
# So far we have looked at weights. Another way is to look at what a layer makes of the data. Give the
# network the same samples at each record, and compare what the layer passes on with what it passes on
# after training. The callback `RepresentationSimilarity` does so. Its measure is linear CKA: 1 if the
# two differ only by a rotation and a scale, and near 0 if they have nothing in common.
#
# This time there is something to learn.

# %%
keras.utils.set_random_seed(seed)
x = np.random.default_rng(seed).normal(size=(512, 8)).astype("float32")
y = np.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3]
names = [f"dense_{index}" for index in range(4)]
model = keras.Sequential([keras.Input((8,))])
for name in names:
    model.add(keras.layers.Dense(32, activation="relu", name=name))
model.add(keras.layers.Dense(1, name="readout"))
model.compile(keras.optimizers.SGD(0.02, momentum=0.9), "mse")
weights, passed_on = lcb.LayerConvergence(), lcb.RepresentationSimilarity(x[:256])
model.fit(x, y, epochs=8 if SHORT else 60, verbose=0, callbacks=[weights, passed_on])
both = lcb.collect(weights, passed_on)

figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4), layout="constrained")
lcb.plotting.plot_convergence(both, left)
lcb.plotting.plot_similarity(both, right)
half_way = lcb.analysis.time_to_fraction(both).rename("updates to half the distance")
similar = lcb.analysis.time_to_similarity(both).rename("updates to a similarity of 0.9")
at_start = both.similarity[0].rename("similarity before training")
for column in (half_way, similar, at_start):
    print(column.name, column.sel(layer=names).values.round(2), sep=": ")

# %% [markdown]
# ### Explain · 02.d
#
# Look at the order of the four hidden layers in both figures, and at the similarity before training.
# Do the two ways of measuring agree on which layer is first? What may make the first layer look
# early on the right?

# %%
my_explanation = ...
exercises.explain("02.d", my_explanation)

# %% [markdown]
# ## What to remember
#
# - The rate over a whole run is 1/T. Compare windows, times to a fraction of the way, or areas.
# - The endpoint is a choice. Say which one you made.
# - The distance between weights does not tell what the network computes. Always look at the loss as
#   well, and if you can, at what the layers pass on.
#
# ## Further reading
#
# - Y. Chen, A. Yuille, Z. Zhou. *Which Layer is Learning Faster?* ICLR 2023: Definition 2.1.
# - S. Carbonnelle, C. De Vleeschouwer. *Layer rotation*, arXiv 1806.01603: an angle in place of a
#   distance; it does not depend on the length of the weights. Two angles are recorded:
#   `run.angle_to_end`, which goes with the distance, and `run.angle`, the angle to the start.
# - S. Kornblith, M. Norouzi, H. Lee, G. Hinton. *Similarity of Neural Network Representations
#   Revisited*, arXiv 1905.00414: CKA. M. Raghu and others: *SVCCA*, arXiv 1706.05806, which reports
#   that representations converge from the bottom up.
# - arXiv 2110.06256 and 2107.09133: weights that keep moving while the loss has settled.
