"""Draws the moving picture of the README from a training.

    .venv/bin/python docs/images/moving_picture.py

It trains a network on digits, records the distance of each layer to its end at each fifth update,
and writes docs/images/learning.gif: the network, whose layers take colour as they arrive, beside
the distances as they fall.
"""

import io
from pathlib import Path

import keras
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import keras_lcb as lcb

PICTURE = Path(__file__).with_name("learning.gif")
FRAMES, MILLISECONDS, PAUSE = 48, 90, 2500
COLORS = 32


def train():
    """Returns the run of a small network, from its start to its end."""
    keras.utils.set_random_seed(0)
    data = lcb.vision.load("digits")
    model = lcb.vision.build_cnn(data.shape, data.classes, depth=6)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    convergence = lcb.LayerConvergence(every=5)
    model.fit(data.train, epochs=30, shuffle=False, verbose=0, callbacks=[convergence])
    return convergence.results


def draw(run, step):
    """Returns the picture at an update, in few colours."""
    figure = Figure(figsize=(6.6, 3.3), dpi=160, layout="constrained")
    network, curves = figure.subplots(1, 2, width_ratios=(1, 2))
    draw_network(network, run, step)
    draw_curves(curves, run, step)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file).convert("RGB")


def draw_network(axes, run, step):
    """Draws each layer as a box that fills as the layer arrives, the first one at the bottom."""
    names = run.layer.values
    arrived = 1 - run.normalized_distance.interp(step=step).values
    colors = lcb.plotting.depth_colors(len(names))
    places = np.arange(len(names))
    axes.barh(places, np.ones(len(names)), height=0.72, color="white", edgecolor="0.6")
    axes.barh(places, np.clip(arrived, 0, 1), height=0.72, color=colors)
    axes.set_yticks(places, names)
    axes.set(xlim=(0, 1.02), xticks=[0, 0.5, 1], xlabel="way to its end")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("each layer", fontsize=11)


def draw_curves(axes, run, step):
    """Draws the distances up to an update."""
    seen = run.normalized_distance.where(run.step <= step, drop=True)
    now = run.normalized_distance.interp(step=step).values
    steps = np.append(seen.step.values, step)
    for place, color in enumerate(lcb.plotting.depth_colors(run.sizes["layer"])):
        distances = np.append(seen.isel(layer=place).values, now[place])
        axes.plot(steps, distances, color=color, linewidth=2)
        axes.plot(step, now[place], "o", color=color, markersize=5)
    axes.axhline(0.5, color="0.8", linewidth=1, zorder=0)
    axes.set(xlim=(0, float(run.step[-1]) * 1.02), ylim=(0, 1.06))
    axes.set(xlabel="update", ylabel="distance to its end (start = 1)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("which layer is half-way first?", fontsize=11)


def main():
    """Trains, draws and writes."""
    matplotlib.rcParams["font.size"] = 11
    run = train()
    frames = [draw(run, step) for step in np.linspace(0, float(run.step[-1]), FRAMES)]
    palette = frames[-1].quantize(COLORS)  # the last frame has all colours
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [MILLISECONDS] * (FRAMES - 1) + [PAUSE]
    frames[0].save(
        PICTURE, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True
    )
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
