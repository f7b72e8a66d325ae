"""A run for trying things out, made without any training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lcb.runs import schema

if TYPE_CHECKING:
    import xarray as xr

_STEPS = np.array([0, 10, 20, 30, 40, 60, 80, 100])


def example_run(
    layers: int = 4, *, gradients: bool = True, frequencies: Sequence[int] = ()
) -> xr.Dataset:
    """Makes a run from formulas, in which shallow layers converge faster, with smaller gradients.

    The run holds what the callbacks record, so figures and analysis can be tried without a model.
    It takes some milliseconds.

    Args:
        layers: The number of layers. Defaults to 4.
        gradients: Whether the run holds gradient norms, gradient predictiveness and curvature.
            Defaults to `True`.
        frequencies: Wave numbers. If given, the run holds what each layer adds to a function of
            one variable with these frequencies. Defaults to none.

    Returns:
        The run, with 8 records over 100 updates.

    Example:
    >>> run = example_run(layers=3)
    >>> run.sizes["layer"], run.sizes["step"]
    (3, 8)
    """
    time = _STEPS[:, np.newaxis] / _STEPS[-1]
    falling = np.exp(-np.linspace(4.0, 1.0, layers) * time)
    distance = 3.0 * (falling - falling[-1])
    over = ("step", "layer")
    variables: dict[str, tuple[tuple[str, ...], Any]] = {
        "distance": (over, distance),
        "normalized_distance": (over, distance / distance[0]),
        "loss": (("step",), np.r_[np.nan, np.exp(-_STEPS[1:] / 50)]),
        "learning_rate": (("step",), np.full(len(_STEPS), 0.1)),
    }
    coords: dict[str, Any] = {
        "step": _STEPS,
        "epoch": np.arange(len(_STEPS)),
        "wall_time": np.linspace(0.0, 1.0, len(_STEPS)),
        "layer": [f"layer_{depth}" for depth in range(layers)],
        "depth": np.arange(layers),
        "parameters": np.full(layers, 12),
        "kind": ["Dense"] * layers,
        "role": ["hidden"] * (layers - 1) + ["head"],
    }
    if gradients:
        variables |= _gradients(time, layers)
        coords |= {"rank": [1], "step_size": [0.01, 0.03, 0.1]}
    if len(frequencies):
        variables |= _functions(time, layers, np.asarray(frequencies))
        coords |= {"frequency": frequencies, "x": np.linspace(-np.pi, np.pi, 65)[:-1]}
    known = {"reference": "final", "optimizer": "SGD", "learning_rate": 0.1, "seed": 0}
    callbacks = {"LayerConvergence": {"every": 10}} | (
        {"GradientNorms": {"every": 10}} if gradients else {}
    )
    return schema.dataset(variables, coords, {**known, "settings": callbacks})


def _gradients(time: np.ndarray, layers: int) -> dict[str, tuple[tuple[str, ...], Any]]:
    """Returns norms, changes of the gradient, and eigenvalues, all growing with depth."""
    over = ("step", "layer")
    size = np.linspace(1.0, 2.0, layers) * np.exp(-time)
    norms = np.where(time > 0, size, np.nan)
    change = size[..., np.newaxis] * np.array([0.1, 0.3, 1.0])
    return {
        "gradient_norm": (over, norms),
        "update_norm": (over, 0.1 * norms),
        "parameter_norm": (over, np.full(size.shape, 5.0)),
        "relative_gradient_change": ((*over, "step_size"), change),
        "gradient_change": ((*over, "step_size"), change * size[..., np.newaxis]),
        "gradient_cosine": ((*over, "step_size"), 1 - change / 4),
        "eigenvalue": ((*over, "rank"), 5 * size[..., np.newaxis]),
        "residual": ((*over, "rank"), np.full((*size.shape, 1), 0.01)),
    }


def _functions(
    time: np.ndarray, layers: int, frequencies: np.ndarray
) -> dict[str, tuple[tuple[str, ...], Any]]:
    """Returns functions whose low frequencies are learned first, by the shallow layers."""
    x = np.linspace(-np.pi, np.pi, 65)[:-1]
    waves = np.sin(frequencies[:, np.newaxis] * x)
    learned = 1 - np.exp(-5 * time / np.arange(1, len(frequencies) + 1))
    preference = np.exp(
        -((np.linspace(0, 1, layers)[:, np.newaxis] - np.linspace(0, 1, len(frequencies))) ** 2) * 4
    )
    share = learned[:, np.newaxis, :] * preference / preference.sum(axis=0)
    parts = share @ waves
    return {
        "target": (("x",), waves.sum(axis=0)),
        "prediction": (("step", "x"), parts.sum(axis=1)),
        "contribution": (("step", "layer", "x"), parts),
        "frequency_share": (("step", "layer", "frequency"), share),
        "frequency_error": (("step", "frequency"), 1 - learned),
    }
