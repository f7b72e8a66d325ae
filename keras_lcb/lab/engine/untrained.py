"""The network of some settings before training, soon enough to follow a slider."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from keras_lcb.lab.settings.function import POINTS, Settings, target_of
from keras_lcb.lab.views.view import View
from keras_lcb.synthetic.spectra import frequency_error, frequency_share, spectrum


def untrained(settings: Settings) -> View:
    """Returns the view before training.

    The weights are those that training will start from. Their functions are computed in NumPy,
    since a Keras model would first be compiled. A new network takes some tens of milliseconds, and
    one that was shown lately none.
    """
    chosen = settings.depth, settings.width, settings.residual, settings.activation, settings.seed
    x = target_of(settings.target).grid(POINTS)
    return _view(settings, _parts(chosen, x.tobytes()))


def outline(settings: Settings) -> View:
    """Returns what is known without the network, and so without Keras: the target."""
    return _view(settings, np.full((settings.depth, POINTS), np.nan))


def _view(settings: Settings, parts: np.ndarray) -> View:
    target = target_of(settings.target)
    x = target.grid(POINTS)
    wanted = target.clean(x)[:, 0]
    frequencies = np.asarray(target.frequencies)
    prediction = parts.sum(axis=0)
    goal = spectrum(wanted[:, np.newaxis], frequencies)
    layers = settings.depth + 1
    unknown = np.full((layers, len(frequencies)), np.nan)
    if settings.residual:
        unknown[:-1] = frequency_share(spectrum(parts, frequencies), goal)
    error = frequency_error(spectrum(prediction[:, np.newaxis], frequencies), goal)
    flat = np.zeros((1, POINTS))  # what the last layer adds
    return View(
        layers=settings.layers,
        updates=settings.planned,
        steps=np.array([0]),
        distance_steps=np.array([0]),
        distance=np.ones((1, layers)),
        gradient=np.full((1, layers), np.nan),
        loss=np.array([np.nan]),
        provisional=True,
        x=x[:, 0],
        target=wanted,
        prediction=prediction,
        contribution=np.vstack([parts, flat]) if settings.residual else None,
        frequencies=frequencies,
        carried=unknown,
        carries="share" if settings.residual else "r2",
        error=np.atleast_2d(error),
    )


@functools.lru_cache(maxsize=32)
def _parts(chosen: tuple[Any, ...], grid: bytes) -> np.ndarray:
    """Returns what each hidden layer adds to the output; of a plain network, the output alone."""
    import keras

    from keras_lcb.synthetic import build_network

    depth, width, residual, activation, seed = chosen
    model = build_network(depth, width, residual, activation, seed=seed)
    weights = [np.asarray(w, np.float64) for w in model.get_weights()]
    hidden = np.frombuffer(grid).reshape(-1, 1)
    parts: list[np.ndarray] = []
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        # Not `@`, whose threads would compete with a training for the cores.
        out = np.einsum("nu,uv->nv", hidden, kernel) + bias
        out = keras.ops.convert_to_numpy(keras.activations.get(activation)(out))
        hidden = hidden + out if residual and parts else out
        parts.append(out)
    readout = weights[-2][:, 0]
    return np.stack([part @ readout for part in (parts if residual else [hidden])])
