"""When each layer's activations become similar to its final ones."""

from __future__ import annotations

import numbers

import numpy as np
import xarray as xr

from keras_lcb.analysis.convergence import first_below
from keras_lcb.analysis.curves import per_layer
from keras_lcb.runs.received import in_order


def time_to_similarity(run: xr.Dataset, level: float = 0.9) -> xr.DataArray:
    """Returns when each layer's activations are first so similar to its final ones.

    The activations of shallow layers are often similar to their final ones from the start. Their
    time is then 0. To see how fast the rest of the similarity is reached, use `time_to_fraction` of
    `remaining(run, "similarity")`.

    Args:
        run: A run with `similarity`, as `RepresentationSimilarity` records it, or runs stacked
            along `seed`.
        level: The level of similarity, between 0 and 1. Defaults to 0.9.

    Returns:
        The first such update for each layer, interpolated linearly between records; NaN for a layer
        whose similarity is not known.

    Raises:
        ValueError: If the run holds no similarities, or `level` is not between 0 and 1.

    Example:
        >>> import xarray as xr
        >>> run = xr.Dataset(
        ...     {"similarity": (("step", "layer"), [[0.8, 0.2], [1.0, 0.8], [1.0, 1.0]])},
        ...     {"step": [0, 10, 20], "layer": ["first", "second"]},
        ... )
        >>> time_to_similarity(run).values
        array([ 5., 15.])
    """
    run = in_order(run)
    if not (isinstance(level, numbers.Real) and 0 < level < 1):
        raise ValueError(f"`level` is a similarity between 0 and 1; received {level!r}.")
    if "similarity" not in run:
        raise ValueError(
            "The run holds no similarities: train with the callback RepresentationSimilarity, and "
            "collect it."
        )

    def crossing(steps: np.ndarray, values: np.ndarray) -> float:
        return first_below(steps, -values, -level)

    name = f"update at which the similarity to the final activations exceeds {level:g}"
    return per_layer(crossing, run["similarity"], "time_to_similarity", name, "updates")
