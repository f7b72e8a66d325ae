"""The loss along random lines and planes through the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_lcb.landscape.filters import has_filters, random_direction
from keras_lcb.landscape.objective import BATCH_SIZE, Around, Objective, as_objective
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
    """Computes the loss along filter-normalised random directions within one layer, or all.

    Directions are drawn as `keras_lcb.landscape.filters.random_direction` says, so that α = 1
    moves each filter by its own norm, and slices of layers can be laid beside each other. Filters
    of a single number, as in a Dense layer with one input, are left out with biases and
    normalisation parameters: there is but one direction for them, so that nothing is random.

    Args:
        model: A built and compiled model; or an `Objective`, which has the data and the loss
            already, and whose compiled functions a second call does not compile again.
        x: Inputs: arrays, or a data set as `fit` takes it, which is read once into memory; see
            `Objective`.
        y: Targets; `None` for a data set.
        layer: The layer that moves, or a prefix that moves all layers below it; all layers that
            train by default.
        directions: How many random lines; or "plane" for the plane of two random directions.
            Defaults to 5.
        span: Positions reach from −`span` to `span`. Defaults to 1.
        points: Positions along a direction, an odd number, so that 0 is among them. Defaults
            to 21.
        seed: Of the directions. Defaults to 0.
        sample_weight: Weights of the samples; `None` for a data set.
        steps: How many batches to take of a data set. Defaults to `None`: all of them.
        loss: A loss in place of the compiled one, see `Objective`. Defaults to `None`.
        training: Whether layers behave as in training. Defaults to `False`: what is drawn is the
            network as it predicts, moving statistics of batch normalisation as they are.
        batch_size: Most samples at once, which bounds the memory. Defaults to 512.
        progress: Whether to show a bar. Defaults to `False`.

    Returns:
        An `xarray.Dataset` with `loss` (direction, alpha), or (alpha, beta) for a plane.

    Raises:
        ValueError: For an unknown layer, one without filters, or settings out of range.

    Example:
    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="line")(inputs))
    >>> model.compile(loss="mse")
    >>> found = loss_slice(model, np.eye(2), np.ones((2, 1)), directions=3, points=5)
    >>> dict(found.loss.sizes)
    {'direction': 3, 'alpha': 5}
    >>> float(found.loss.sel(alpha=0).std()) == 0  # where all lines meet
    True
    """
    _check(directions, span, points)
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
    count = 2 if directions == PLANE else int(directions)
    if not has_filters(row, weights):
        raise ValueError(
            f"The layer '{row.name}' has no filters that slices can compare: biases, normalisation "
            "parameters, filters of zeros and filters of a single number are not moved. Choose "
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


def _check(directions: int | str, span: float, points: int) -> None:
    if directions != PLANE and (isinstance(directions, str) or int(directions) < 1):
        raise ValueError(
            f"`directions` is a number of lines, 1 or more, or '{PLANE}'; received {directions!r}."
        )
    if not (np.isfinite(span) and span > 0):
        raise ValueError(f"`span` is a positive number; received {span!r}.")
    if int(points) < 3 or int(points) % 2 == 0:
        raise ValueError(f"`points` is an odd number, 3 or more; received {points!r}.")


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
    """The loss at each position, one after the other, so that memory does not grow."""
    count = alphas.shape[0]
    places = keras.ops.arange(count)

    def at(place: Any, losses: Any) -> Any:
        alpha = keras.ops.cast(alphas[place], own[0].dtype)
        loss = around.loss([w + alpha * d for w, d in zip(own, direction, strict=True)])
        return keras.ops.where(places == place, loss, losses)

    return keras.ops.fori_loop(0, count, at, keras.ops.zeros((count,), own[0].dtype))
