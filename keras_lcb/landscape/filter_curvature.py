"""Curvature along filter-normalised directions: one that no rescaling of filters changes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_lcb.landscape.filters import has_filters, random_direction
from keras_lcb.landscape.hessian import BlockProducts
from keras_lcb.landscape.objective import BATCH_SIZE, Objective, as_objective
from keras_lcb.landscape.results import dataset, followed
from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.selection import LayerSelection

if TYPE_CHECKING:
    import xarray as xr

_NO_FILTERS = "The layer has no filters to compare, or they are zero."


def filter_curvature(
    model: keras.Model | Objective,
    x: Any = None,
    y: Any = None,
    *,
    layers: LayerSelection = None,
    directions: int = 10,
    sample_weight: Any = None,
    training: bool = False,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    progress: bool = False,
) -> xr.Dataset:
    """Estimates how curved the loss is along random filter-normalised directions within layers.

    It is the mean of dᵀHd over directions d in which each filter has the norm of the layer's own
    filter (`filters.random_direction`), H being the layer's block of the Hessian: the second
    derivative of the loss at the middle of `loss_slice`. With w_f a filter of n_f numbers, its
    expectation is Σ_f ‖w_f‖² tr(H_ff) / n_f. Rescaling a filter, which a following ReLU or
    normalisation can undo, leaves it as it is, and unlike λ‖θ‖² it does not grow by itself with the
    number of inputs of a layer. It costs a Hessian-vector product for each direction.

    Args:
        model: A built and compiled model; or an `Objective`, which has the data already.
        x: Inputs.
        y: Targets.
        layers: Which layers, see `keras_lcb.training.selection.select_layers`. Defaults to all that
            train.
        directions: How many random directions, two or more. Defaults to 10.
        sample_weight: Weights of the samples.
        training: Whether layers behave as in training. Defaults to `False`.
        batch_size: Most samples at once, which bounds the memory. Defaults to 512.
        seed: Of the directions. Defaults to 0.
        progress: Whether to show a bar. Defaults to `False`.

    Returns:
        An `xarray.Dataset` with `filter_curvature` and `filter_curvature_standard_error` (layer);
        NaN for layers without filters to compare, as those with one input.

    Raises:
        ValueError: For an unknown layer, fewer than two directions, and what `Objective` refuses.

    Source: the directions are those of Li et al. (2018), "Visualizing the Loss Landscape of Neural
    Nets"; the mean over them is an estimate in the manner of Hutchinson (1990).

    Example:
    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="line")(inputs))
    >>> model.compile(loss="mse")  # its Hessian is 2xᵀx/n, here 4 times the identity
    >>> model.get_layer("line").set_weights([np.array([[3.0], [4.0]])])
    >>> found = filter_curvature(model, 2 * np.eye(2), np.zeros((2, 1)))
    >>> round(found.filter_curvature.sel(layer="line").item(), 3)  # 4 · (3² + 4²)
    100.0
    """
    if int(directions) < 2:
        raise ValueError(f"`directions` is a number of two or more; received {directions!r}.")
    objective = as_objective(
        model, x, y, sample_weight=sample_weight, training=training, batch_size=batch_size
    )
    rows = list(objective.layers) if layers is None else objective.select(layers)
    along = _along_directions(
        objective, rows, int(directions), np.random.default_rng(seed), progress
    )
    settings = {"directions": int(directions), "seed": int(seed)}
    over = ("layer",)
    run = dataset(
        objective,
        rows,
        {
            "filter_curvature": (over, along.mean(axis=0)),
            "filter_curvature_standard_error": (
                over,
                along.std(axis=0, ddof=1) / math.sqrt(directions),
            ),
        },
        name="filter_curvature",
        settings=settings,
        missing={
            f"filter_curvature/{row.name}": _NO_FILTERS
            for row, known in zip(rows, np.isfinite(along).all(axis=0), strict=True)
            if not known
        },
    )
    return run.assign_attrs(mode="training" if objective.training else "evaluation")


def _along_directions(
    objective: Objective,
    rows: list[TrackedLayer],
    directions: int,
    random: np.random.Generator,
    progress: bool,
) -> np.ndarray:
    """dᵀHd (directions, layers); NaN for layers without filters."""
    weights = [
        [keras.ops.convert_to_numpy(weight) for weight in objective.weights(row)] for row in rows
    ]
    found = np.full((directions, len(rows)), np.nan)
    moved = [place for place, row in enumerate(rows) if has_filters(row, weights[place])]
    if not moved:
        return found
    multiply = BlockProducts(objective, [rows[place] for place in moved])
    for own in followed(found, progress, "direction"):
        drawn = [
            np.concatenate(
                [part.ravel() for part in random_direction(rows[place], weights[place], random)]
            ).astype(multiply.dtype)
            for place in moved
        ]
        products = multiply(list(drawn))
        own[moved] = [
            float((vector * np.asarray(product, np.float64)).sum())
            for vector, product in zip(drawn, products, strict=True)
        ]
    return found
