"""How fast each layer converges: Definition 2.1, times to a fraction, and areas under the curve.

Let θ_l(t) be the parameters of layer l after t updates, and θ*_l its endpoint. Everything here is
computed from the normalized distance d_l(t) = ‖θ_l(t) − θ*_l‖₂ / ‖θ_l(0) − θ*_l‖₂.

Every function takes one run, or runs stacked along `seed`, and returns one value for each layer
(and seed). The value is NaN for a layer that never moved, since it has no normalized distance.
"""

from __future__ import annotations

import numbers

import numpy as np
import xarray as xr

from keras_lcb.analysis.curves import first_and_last, per_layer
from keras_lcb.runs.received import in_order


def normalized_distance(run: xr.Dataset) -> xr.DataArray:
    """Returns the normalized distance d_l(t) of each layer.

    Args:
        run: A run with `normalized_distance`, or with `distance`, from which it is computed.

    Returns:
        The normalized distance, with the dimensions of the run's variable; NaN where it is not
        finite.

    Raises:
        ValueError: If the run holds no distances or no records.

    Example:
        >>> import xarray as xr
        >>> run = xr.Dataset(
        ...     {"distance": (("step", "layer"), [[4.0], [1.0]])},
        ...     {"step": [0, 10], "layer": ["dense"]},
        ... )
        >>> normalized_distance(run).values[:, 0]
        array([1.  , 0.25])
    """
    run = in_order(run)
    held = [name for name in ("normalized_distance", "distance") if name in run]
    if not held:
        raise ValueError(
            "The run holds no distances. Train with the callback LayerConvergence, and collect it."
        )
    values = run[held[0]]
    if not values.sizes["step"]:
        raise ValueError("The run holds no records yet. Train the model first.")
    if held[0] == "distance":
        start, _ = first_and_last(values)
        values = values / start.where(start > 0)
    return values.where(np.isfinite(values))


def convergence_rate(run: xr.Dataset, t1: float, t2: float) -> xr.DataArray:
    """Returns the convergence rate of each layer between two times.

    C_l(t1, t2) = (d_l(t1) − d_l(t2)) / (t2 − t1), Definition 2.1 of Chen, Yuille and Zhou, "Which
    Layer is Learning Faster?" (ICLR 2023). It is negative if a layer moves away from its endpoint.

    Over a *whole* run of T updates, with the final weights as reference, the rate of every layer
    is 1/T, because each layer starts at d = 1 and ends at d = 0. Layers differ only in parts of
    the run.

    Args:
        run: A run, or runs stacked along `seed`.
        t1: The beginning of the window, in updates. Between records, d is interpolated linearly.
        t2: The end of the window, in updates.

    Returns:
        The rate of each layer, per update; NaN for a seed whose record does not hold the window.

    Raises:
        ValueError: If t2 is not after t1, or one of them is outside the record of all seeds.

    Example:
        >>> import xarray as xr
        >>> run = xr.Dataset(
        ...     {"distance": (("step", "layer"), [[4.0, 4.0], [1.0, 3.0], [0.0, 0.0]])},
        ...     {"step": [0, 10, 20], "layer": ["first", "second"]},
        ... )
        >>> convergence_rate(run, 0, 10).values
        array([0.075, 0.025])
        >>> convergence_rate(run, 0, 20).values
        array([0.05, 0.05])
    """
    distance = normalized_distance(run)
    try:
        t1, t2 = float(t1), float(t2)  # also of arrays with one number
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`t1` and `t2` must be numbers of updates; received t1={t1!r} and t2={t2!r}."
        ) from error
    if not t1 < t2:
        raise ValueError(f"`t1` must be smaller than `t2`; received t1={t1:g} and t2={t2:g}.")
    first, last = _reach(distance)
    if t1 < first or t2 > last:
        raise ValueError(
            f"The window must lie within the run, from update {first:g} to {last:g}; received "
            f"t1={t1:g} and t2={t2:g}."
        )

    def rate(steps: np.ndarray, values: np.ndarray) -> float:
        outside = {"left": np.nan, "right": np.nan}
        early, late = np.interp([t1, t2], steps, values, **outside)
        return (early - late) / (t2 - t1)

    return per_layer(rate, distance, "convergence_rate", "convergence rate", "1/update")


def time_to_fraction(run: xr.Dataset, fraction: float = 0.5) -> xr.DataArray:
    """Returns when each layer first came within a fraction of its initial distance.

    Args:
        run: A run, or runs stacked along `seed`.
        fraction: A number between 0 and 1. Defaults to 0.5, half the way.

    Returns:
        The first update at which d falls below `fraction`, with linear interpolation between
        records; NaN for a layer that never came so close. For a layer that is so close at the first
        record already, as in a run that was cut, it is the update of this record.

    Raises:
        ValueError: If `fraction` is not between 0 and 1.

    Example:
        >>> import xarray as xr
        >>> run = xr.Dataset(
        ...     {"distance": (("step", "layer"), [[4.0, 4.0], [1.0, 3.0], [0.0, 0.0]])},
        ...     {"step": [0, 12, 24], "layer": ["first", "second"]},
        ... )
        >>> time_to_fraction(run).values
        array([ 8., 16.])
    """
    if not (isinstance(fraction, numbers.Real) and 0 < fraction < 1):
        raise ValueError(f"`fraction` must be a number between 0 and 1; received {fraction!r}.")

    def crossing(steps: np.ndarray, values: np.ndarray) -> float:
        return first_below(steps, values, fraction)

    name = f"update at which {fraction:.0%} of the distance is left"
    return per_layer(crossing, normalized_distance(run), "time_to_fraction", name, "updates")


def first_below(steps: np.ndarray, values: np.ndarray, level: float) -> float:
    """Returns the first step at which values fall below a level, interpolated; NaN for never."""
    below = np.flatnonzero(values < level)
    if not len(below):
        return np.nan
    after = below[0]
    if after == 0:
        return steps[0]
    return np.interp(-level, -values[after - 1 : after + 1], steps[after - 1 : after + 1])


def area_under_distance(run: xr.Dataset) -> xr.DataArray:
    """Returns the mean of each layer's normalized distance over the record.

    It is the area under d by the trapezoid rule, divided by the length of the run in updates. It
    is near 0 for a layer that reaches its endpoint almost at once, and 0.5 for a layer that
    approaches its endpoint at a constant rate.

    Args:
        run: A run, or runs stacked along `seed`.

    Returns:
        The area of each layer; NaN for a layer without a distance at the first or last record.

    Example:
        >>> import xarray as xr
        >>> run = xr.Dataset(
        ...     {"distance": (("step", "layer"), [[4.0, 4.0], [1.0, 3.0], [0.0, 0.0]])},
        ...     {"step": [0, 10, 20], "layer": ["first", "second"]},
        ... )
        >>> area_under_distance(run).values
        array([0.375, 0.625])
    """
    distance = normalized_distance(run)

    def area(steps: np.ndarray, values: np.ndarray) -> float:
        if len(steps) == 1:
            return np.nan
        return np.sum((values[1:] + values[:-1]) / 2 * np.diff(steps)) / (steps[-1] - steps[0])

    name = "area under the normalized distance"
    areas = per_layer(area, distance, "area_under_distance", name, "1")
    first, last = first_and_last(distance)
    return areas.where(first.notnull() & last.notnull())


def _reach(distance: xr.DataArray) -> tuple[float, float]:
    """Returns the first and last step at which any layer has a distance, in any seed."""
    others = [dim for dim in distance.dims if dim != "step"]
    recorded = distance["step"].values[distance.notnull().any(others).values]
    steps = recorded if len(recorded) else distance["step"].values
    return steps[0], steps[-1]
