"""How far each layer still is from its end, by each measure that a run may hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr

from keras_lcb.analysis.convergence import normalized_distance
from keras_lcb.analysis.curves import first_and_last

DISTANCE = "distance"


def remaining(run: xr.Dataset, measure: str = DISTANCE, until: float | None = None) -> xr.Dataset:
    """Returns how far each layer still is from its end: 1 at the start, 0 at the end.

    All measures are turned into such curves, so that times to half and areas can be computed in
    the same way for all:

    - `distance`: ‖θ(t) − θ*‖ / ‖θ(0) − θ*‖;
    - `angle_to_end`: the angle measure 1 − cos(w(t), w*), relative to its first value;
    - `way_from_start`: 1 − ‖θ(t) − θ(0)‖ / ‖θ* − θ(0)‖;
    - `similarity`: (1 − s(t)) / (1 − s(0)), where s(t) is the similarity of the activations to
      the final ones.

    Args:
        run: One run.
        measure: One of these names. Defaults to "distance".
        until: The last update of the curve. Values are still relative to the final endpoint.
            Defaults to `None`: the whole run.

    Returns:
        A dataset with the curve as `normalized_distance` (step, layer), for the functions of
        `keras_lcb.analysis.convergence`; NaN where the curve is not defined.

    Raises:
        ValueError: If the run lacks the measure, or `until` is not within the run.

    Example:
        >>> run = xr.Dataset(
        ...     {"way_from_start": (("step", "layer"), [[0.0], [0.25], [1.0]])},
        ...     {"step": [0, 10, 20], "layer": ["dense"]},
        ... )
        >>> remaining(run, "way_from_start", until=15).normalized_distance.values[:, 0]
        array([1.   , 0.75 , 0.375])
    """
    curve = _CURVES[measure](run)
    curve = curve.where(np.isfinite(curve))
    return (curve if until is None else _before(curve, until)).to_dataset(
        name="normalized_distance"
    )


def other_measures(run: xr.Dataset) -> list[str]:
    """Returns the names of the other measures of which a run holds values."""
    return [
        name
        for name in _CURVES
        if name != DISTANCE and name in run and bool(run[name].notnull().any())
    ]


def _relative_to_start(left: xr.DataArray) -> xr.DataArray:
    start, _ = first_and_last(left)
    return left / start.where(start > 0)


_CURVES: Mapping[str, Callable[[xr.Dataset], xr.DataArray]] = {
    DISTANCE: normalized_distance,
    "angle_to_end": lambda run: _relative_to_start(run["angle_to_end"]),
    "way_from_start": lambda run: 1 - run["way_from_start"],
    "similarity": lambda run: _relative_to_start(1 - run["similarity"]),
}


def _before(curve: xr.DataArray, until: float) -> xr.DataArray:
    recorded = curve.dropna("step", how="all")
    steps = recorded["step"].values
    if not len(steps) or not steps[0] < until < steps[-1]:
        reach = f"from update {steps[0]:g} to {steps[-1]:g}" if len(steps) else "over no update"
        raise ValueError(
            f"`until` must lie between the first and the last record, which reach {reach}; "
            f"received {until}."
        )
    early = recorded.sel(step=steps[steps <= until])
    if until in steps:
        return early
    return xr.concat([early, recorded.interp(step=[until])], "step")
