"""The network of some settings before training, soon enough to follow a slider."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np

from keras_lcb.lab.settings.function import Settings
from keras_lcb.lab.views.view import View
from keras_lcb.synthetic import build_network
from keras_lcb.synthetic.spectra import frequency_error, frequency_share, spectrum


def untrained(settings: Settings) -> View:
    """Returns the view before training. Settings that start alike have the same view.

    The weights are those that training will start from. Their functions are computed in NumPy,
    since a Keras model would first be compiled. A new network takes some tens of milliseconds, and
    one that was shown lately none.
    """
    chosen = settings.depth, settings.width, settings.residual, settings.activation, settings.seed
    return _view(chosen, settings.target, settings.planned)


@functools.lru_cache(maxsize=32)
def _view(chosen: tuple[Any, ...], target: str, planned: int) -> View:
    depth, width, residual, activation, seed = chosen
    settings = Settings(depth, width, residual, activation, target=target)
    config = settings.config()
    x = config.target.grid(config.points)
    wanted = config.target.clean(x)[:, 0]
    frequencies = np.asarray(config.target.frequencies)
    parts = _parts(chosen, x.tobytes())
    prediction = parts.sum(axis=0)
    goal = spectrum(wanted[:, np.newaxis], frequencies)
    layers = depth + 1
    unknown = np.full((layers, len(frequencies)), np.nan)
    if residual:
        unknown[:-1] = frequency_share(spectrum(parts, frequencies), goal)
    error = frequency_error(spectrum(prediction[:, np.newaxis], frequencies), goal)
    return View(
        layers=settings.layers,
        updates=planned,
        steps=np.array([0]),
        distance_steps=np.array([0]),
        distance=np.ones((1, layers)),
        gradient=np.full((1, layers), np.nan),
        loss=np.array([np.nan]),
        provisional=True,
        x=x[:, 0],
        target=wanted,
        prediction=prediction,
        contribution=np.vstack([parts, np.zeros((1, len(x)))]) if residual else None,
        frequencies=frequencies,
        carried=unknown,
        carries="share" if residual else "r2",
        error=np.atleast_2d(error),
    )


@functools.lru_cache(maxsize=32)
def _parts(chosen: tuple[Any, ...], grid: bytes) -> np.ndarray:
    """Returns what each hidden layer adds to the output; of a plain network, the output alone."""
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
