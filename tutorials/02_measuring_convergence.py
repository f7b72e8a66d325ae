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
# *About 35 minutes. You need NumPy, and notebook 01.*
#
# "This layer converges faster" sounds clear. Here you write the measure yourself, fall into its
# trap, and see two more ways in which it can mislead.

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
# The settings of this notebook. Come back later, change them, and run everything below again.

# %% tags=["parameters"]
depth = 5
learning_rate = 0.01
seed = 0

# %% [markdown]
# ## From weights to a distance
#
# Take a layer's parameters as one long vector and write it down now and then while the network
# trains: `weights[t]` is record number `t`. The endpoint θ\* is the last record.
#
# ### Exercise 02.1
#
# Write a function that turns such records (an array of shape *records × parameters*) into the
# normalised distance of each record: ‖θ(t) − θ\*‖ / ‖θ(0) − θ\*‖.


# %%
def normalised_distance(weights):
    return ...


exercises.check("02.1", normalised_distance if normalised_distance(np.eye(2)) is not ... else ...)

# %% [markdown]
# ## Definition 2.1
#
# Chen, Yuille and Zhou (2023) define the convergence rate of layer *l* between two times as the
# share of its way that it covers, per update:
#
# $$ C_l(t_1, t_2) = \frac{1}{t_2 - t_1} \cdot \frac{\lVert \theta_l(t_1) - \theta_l^* \rVert - \lVert \theta_l(t_2) - \theta_l^* \rVert}{\lVert \theta_l(0) - \theta_l^* \rVert} $$
#
# ### Exercise 02.2
#
# Write it as a function of the normalised distance. `steps` and `distance` are arrays of the same
# length; `t1` and `t2` are among the steps.


# %%
def convergence_rate(steps, distance, t1, t2):
    return ...


filled_in = convergence_rate(np.array([0, 1]), np.array([1.0, 0.0]), 0, 1) is not ...
exercises.check("02.2", convergence_rate if filled_in else ...)

# %% [markdown]
# ## The trap
#
# Now a real run. In the lab below you can watch it; the cell after it makes the same run in code.

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
# The lines differ. So which layer has the largest convergence rate over the *whole* run, from
# update 0 to the last one? Predict: a name, or "none".

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
# ### Exercise 02.3
#
# Which number is it, for a run of `updates` updates? Work it out from the definition, not from
# the table.

# %%
exercises.check("02.3", ..., run=run)

# %% [markdown]
# With the final weights as the endpoint, every layer starts at distance 1 and ends at 0. Over the
# whole run nothing is measured but the length of the run. This holds for every network and every
# optimizer, whatever was learned, as long as each layer moved at all. Only *parts* of the run tell
# layers apart:
#
# - the rate in a window, such as the first tenth;
# - the time until half of the way is covered (`lcb.time_to_fraction`);
# - the area under the curve (`lcb.analysis.area_under_distance`): near 0 for a layer that is there
#   almost at once, ½ for one that walks at constant speed.

# %%
edges = np.linspace(0, updates, 6)
for t1, t2 in zip(edges[:-1], edges[1:], strict=True):
    rates = lcb.convergence_rate(run, t1, t2).sel(layer=hidden) * updates
    print(f"updates {t1:5,.0f} to {t2:5,.0f}:", "  ".join(f"{rate:6.2f}" for rate in rates.values))
print("(rate · T, one column a hidden layer: 1.00 would be a constant pace)")

# %% [markdown]
# ### Exercise 02.4
#
# Find a window (t1, t2) in which the fastest hidden layer is at least twice as fast as the slowest.

# %%
exercises.check("02.4", ..., run=run)

# %% [markdown]
# ### Exercise 02.5
#
# A layer approaches its endpoint like exp(−t/100). At which update has it half of the way behind
# it?

# %%
exercises.check("02.5", ...)

# %% [markdown]
# ## Which endpoint?
#
# θ\* is where training *stopped*, which need not be where it would have *gone*. Measure the first
# half of the run against the weights at its own end, and then against those at the end of the
# whole run.

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
print(f"After {updates // 2:,} updates, the layers still have this share of the longer way to go:")
print(remaining.to_series().round(2).to_string())

# %% [markdown]
# The same weights look as if they had arrived on the left, by construction. Whether they look so
# on the right is a finding. In general the weights keep moving after the loss has settled, so
# there may be no θ\* at all in the strict sense; then "distance to the endpoint" is a distance to a
# date. Say which endpoint you used, and try a second one.

# %% [markdown]
# ## Anything converges if the learning rate does
#
# One last trap. This time the task is pure noise, and the learning rate is turned down to zero
# along the way. This is also how the callbacks are used with a model of your own: two lines.

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
# Smooth lines that meet in a point: they show that the steps became small. They do not show that
# there was something to learn.
#
# ## What to take along
#
# - A rate over the whole run is 1/T. Look at windows, times to a fraction, and areas.
# - The endpoint is a choice. Name it.
# - Distances between parameters say nothing about what the network computes: next to them, always
#   look at the loss.
#
# ## Further reading
#
# - Y. Chen, A. Yuille, Z. Zhou. *Which Layer is Learning Faster?* ICLR 2023: Definition 2.1.
# - S. Carbonnelle, C. De Vleeschouwer. *Layer rotation*, arXiv 1806.01603: an angle instead of a
#   distance, which does not see the length of the weights (`run.angle`).
# - arXiv 2110.06256 and 2107.09133: weights that keep moving while the loss has settled.
