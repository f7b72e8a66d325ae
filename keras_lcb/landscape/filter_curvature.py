"""Curvature along filter-normalized directions, which does not change if filters are rescaled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_lcb.config import whole_number
from keras_lcb.landscape.blocks import finite
from keras_lcb.landscape.filters import has_filters, random_direction
from keras_lcb.landscape.hessian import BlockProducts
from keras_lcb.landscape.objective import BATCH_SIZE, Objective, as_objective
from keras_lcb.landscape.results import dataset, followed
from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.selection import LayerSelection

if TYPE_CHECKING:
    import xarray as xr

_NO_FILTERS = "The layer has no filters to compare, or all its filters are zero."


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
    """Estimates how curved the loss is along random filter-normalized directions within layers.

    The estimate is the mean of dᵀHd over random directions d, where H is the layer's block of the
    Hessian, and each filter of d has the norm of the layer's own filter
    (`filters.random_direction`). dᵀHd is the second derivative of the loss at the centre of a
    `loss_slice`. The expected value is Σ_f ‖w_f‖² tr(H_ff) / n_f, where w_f is a filter of the
    layer with n_f numbers.

    The result does not change if a filter is rescaled and a following ReLU or normalization undoes
    the rescaling. Unlike λ‖θ‖², it does not grow merely because a layer has more inputs.

    The cost is one Hessian-vector product for each direction; all layers share its passes.

    Args:
        model: A built and compiled model; or an `Objective`, which already has the data.
        x: Inputs.
        y: Targets.
        layers: The layers to measure, see `keras_lcb.training.selection.select_layers`. Defaults to
            all layers that train.
        directions: Number of random directions, two or more. Defaults to 10.
        sample_weight: Weights of the samples.
        training: Whether layers behave as in training. Defaults to `False`.
        batch_size: Largest number of samples processed at once, which bounds the memory. Defaults
            to 512.
        seed: Seed of the directions. Defaults to 0.
        progress: Whether to show a progress bar. Defaults to `False`.

    Returns:
        An `xarray.Dataset` with `filter_curvature` and `filter_curvature_standard_error`, both
        over (layer). Layers without filters to compare have NaN, for example a Dense layer with
        one input.

    Raises:
        ValueError: If a layer is unknown, there are fewer than two directions, or `Objective`
            refuses the model or the data.
        FloatingPointError: If second derivatives of the loss are NaN or infinite.

    Source: the directions are those of Li et al. (2018), "Visualizing the Loss Landscape of Neural
    Nets"; the mean over them is an estimate in the manner of Hutchinson (1990).

    Example:
    >>> import keras
    >>> import numpy as np
    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="line")(inputs))
    >>> model.compile(loss="mse")  # its Hessian is 2xᵀx/n, here 4 times the identity
    >>> model.get_layer("line").set_weights([np.array([[3.0], [4.0]])])
    >>> found = filter_curvature(model, 2 * np.eye(2), np.zeros((2, 1)))
    >>> round(found.filter_curvature.sel(layer="line").item(), 3)  # 4 · (3² + 4²)
    100.0
    """
    directions = whole_number("directions", directions, least=2)
    seed = whole_number("seed", seed, least=0)
    objective = as_objective(
        model, x, y, sample_weight=sample_weight, training=training, batch_size=batch_size
    )
    rows = list(objective.layers) if layers is None else objective.select(layers)
    along = _along_directions(objective, rows, directions, np.random.default_rng(seed), progress)
    settings = {"directions": directions, "seed": seed}
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
    """Returns dᵀHd (directions, layers); NaN for layers without filters."""
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
            float((vector * finite(np.asarray(product, np.float64))).sum())
            for vector, product in zip(drawn, products, strict=True)
        ]
    return found
