"""Views made by hand, for tests of what labs draw and say."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_lcb.lab.views.view import View


def view(
    half_way: tuple[float, ...] = (100, 200, 300),
    *,
    updates: int = 400,
    residual: bool = True,
    **changes,
) -> View:
    """A view whose hidden layers come half-way at these updates, on straight lines."""
    steps = np.linspace(0, updates, 9)
    layers = len(half_way) + 1
    times = np.array([*half_way, updates / 2])
    distance = np.clip(1 - steps[:, np.newaxis] / (2 * times), 0.0, None)
    x = np.linspace(-np.pi, np.pi, 32, endpoint=False)
    frequencies = np.array([1, 3])
    made = View(
        layers=(*(f"layer_{place}" for place in range(layers - 1)), "readout"),
        updates=updates,
        steps=steps,
        distance_steps=steps,
        distance=distance,
        gradient=np.vstack(
            [np.full(layers, np.nan), np.ones((8, layers)) / np.arange(1, layers + 1)]
        ),
        loss=np.linspace(1, 0.1, 9),
        x=x,
        target=np.sin(x),
        prediction=0.5 * np.sin(x),
        contribution=np.outer(np.linspace(0, 0.2, layers), np.sin(x)) if residual else None,
        frequencies=frequencies,
        carried=np.vstack([np.full((layers - 1, 2), 0.25), np.full((1, 2), np.nan)]),
        carries="share" if residual else "r2",
        error=np.stack([np.linspace(1, 0.1, 9), np.linspace(1, 0.6, 9)], axis=1),
        provisional=False,
    )
    return dataclasses.replace(made, **changes)
