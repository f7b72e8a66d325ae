"""The loss along random lines and planes through the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_lcb.config import is_between, whole_number
from keras_lcb.landscape.around import Around
from keras_lcb.landscape.filters import has_filters, random_direction
from keras_lcb.landscape.objective import BATCH_SIZE, Objective, as_objective
from keras_lcb.landscape.results import dataset, followed
from keras_lcb.training.layers import TrackedLayer

if TYPE_CHECKING:
    import xarray as xr

PLANE = "plane"


def loss_slice(
    model: keras.Model | Objective,
    x: Any = None,
    y: Any = None,
    *,
    layer: str | None = None,
    directions: int | str = 5,
    span: float = 1.0,
    points: int = 21,
    seed: int = 0,
    sample_weight: Any = None,
    steps: int | None = None,
    loss: Any = None,
    training: bool = False,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> xr.Dataset:
    """Computes the loss along filter-normalized random directions within one or all layers.

    `keras_lcb.landscape.filters.random_direction` draws the directions. A position α = 1 moves each
    filter by a vector of its own norm, so that slices of different layers can be compared. Biases
    and normalization parameters do not move, nor do filters that hold only one number, as in a
    Dense layer with one input: for one number, no direction is random.

    The cost is one evaluation of the loss over the data for each position: `directions * points`
    evaluations for lines, `points**2` for a plane.

    Args:
        model: A built and compiled model; or an `Objective`, which already has the data and the
            loss. A second call with the same `Objective` does not compile again.
        x: Inputs: arrays, or a data set as `fit` takes it. A data set is read once into memory,
            see `Objective`.
        y: Targets; `None` for a data set.
        layer: The layer that moves; or a prefix, so that all layers whose names begin with it move.
            Defaults to `None`: all layers that train.
        directions: Number of random lines; or "plane" for the plane of two random directions.
            Defaults to 5.
        span: The positions reach from −`span` to `span`. Defaults to 1.
        points: Number of positions along a direction. It must be odd, so that 0 is one of them.
            Defaults to 21.
        seed: Seed of the directions. Defaults to 0.
        sample_weight: Weights of the samples; `None` for a data set.
        steps: Number of batches to read from a data set. Defaults to `None`: all batches.
        loss: A loss to use instead of the compiled one, see `Objective`. Defaults to `None`.
        training: Whether layers behave as in training. Defaults to `False`: as in evaluation, with
            the current moving statistics of batch normalization.
        batch_size: Largest number of samples processed at once, which bounds the memory. Defaults
            to 512.
        progress: Whether to show a progress bar. Defaults to `False`.

    Returns:
        An `xarray.Dataset` with `loss` over (direction, alpha), or over (alpha, beta) for a plane.

    Raises:
        ValueError: If the layer is unknown or has no filters, a setting is out of its range, or
            `Objective` refuses the model or the data.

    Source: Li et al. (2018), "Visualizing the Loss Landscape of Neural Nets".

    Example:
    >>> import keras
    >>> import numpy as np
    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="line")(inputs))
    >>> model.compile(loss="mse")
    >>> found = loss_slice(model, np.eye(2), np.ones((2, 1)), directions=3, points=5)
    >>> dict(found.loss.sizes)
    {'direction': 3, 'alpha': 5}
    >>> float(found.loss.sel(alpha=0).std()) == 0  # all lines meet at the weights of the model
    True
    """
    directions, points = _checked(directions, span, points)
    seed = whole_number("seed", seed, least=0)
    objective = as_objective(
        model,
        x,
        y,
        sample_weight=sample_weight,
        steps=steps,
        loss=loss,
        training=training,
        batch_size=batch_size,
    )
    row = objective.row(layer)
    alphas = np.linspace(-span, span, points)
    random = np.random.default_rng(seed)
    weights = [keras.ops.convert_to_numpy(weight) for weight in objective.weights(row)]
    count = 2 if isinstance(directions, str) else directions
    if not has_filters(row, weights):
        raise ValueError(
            f"Received the layer '{row.name}', which has no filters to move. Biases, normalization "
            "parameters, filters that are zero and filters of a single number do not move. Choose "
            "another layer."
        )
    drawn = [random_direction(row, weights, random) for _ in range(count)]
    settings = {"layer": row.name, "directions": directions, "seed": seed}
    coords: dict[str, Any] = {"alpha": alphas}
    if directions == PLANE:
        loss = np.stack(_plane(objective, row, drawn, alphas, progress))
        dims, coords["beta"] = ("alpha", "beta"), alphas
    else:
        loss = np.stack(_lines(objective, row, drawn, alphas, progress))
        dims, coords["direction"] = ("direction", "alpha"), np.arange(count)
    variables = {"loss": (dims, loss)}
    return dataset(objective, [], variables, name="loss_slice", settings=settings, coords=coords)


def _checked(directions: Any, span: Any, points: Any) -> tuple[int | str, int]:
    """Returns `directions` and `points` as integers; "plane" stays."""
    if isinstance(directions, str) and directions != PLANE:
        raise ValueError(
            f"`directions` must be a number of lines, 1 or more, or '{PLANE}'; received "
            f"{directions!r}."
        )
    if not is_between(span, 0, math.inf):
        raise ValueError(f"`span` must be a positive number; received {span!r}.")
    points = whole_number("points", points, least=3)
    if points % 2 == 0:
        raise ValueError(f"`points` must be an odd number, 3 or more; received {points!r}.")
    if directions == PLANE:
        return PLANE, points
    return whole_number("directions", directions, least=1), points


def _lines(
    objective: Objective,
    row: TrackedLayer,
    drawn: Sequence[list[np.ndarray]],
    alphas: np.ndarray,
    progress: bool,
) -> list[np.ndarray]:
    return [
        _on_line(objective, row, alphas, direction)
        for direction in followed(drawn, progress, "direction")
    ]


def _plane(
    objective: Objective,
    row: TrackedLayer,
    drawn: Sequence[list[np.ndarray]],
    alphas: np.ndarray,
    progress: bool,
) -> list[np.ndarray]:
    weights = [keras.ops.convert_to_numpy(weight) for weight in objective.weights(row)]
    losses = []
    for alpha in followed(alphas, progress, "line"):
        start = [w + alpha * d for w, d in zip(weights, drawn[0], strict=True)]
        losses.append(_on_line(objective, row, alphas, drawn[1], start))
    return losses


def _on_line(
    objective: Objective,
    row: TrackedLayer,
    alphas: np.ndarray,
    direction: list[np.ndarray],
    start: list[np.ndarray] | None = None,
) -> np.ndarray:
    losses = objective.compiled(_losses, row)(start, alphas, *direction)
    return keras.ops.convert_to_numpy(losses).astype(np.float64)


def _losses(around: Around, own: Sequence[Any], alphas: Any, *direction: Any) -> Any:
    """Computes the loss at one position after the other, so that memory does not grow."""
    count = alphas.shape[0]
    places = keras.ops.arange(count)

    def at(place: Any, losses: Any) -> Any:
        alpha = keras.ops.cast(alphas[place], own[0].dtype)
        loss = around.loss([w + alpha * d for w, d in zip(own, direction, strict=True)])
        return keras.ops.where(places == place, loss, losses)

    return keras.ops.fori_loop(0, count, at, keras.ops.zeros((count,), own[0].dtype))
