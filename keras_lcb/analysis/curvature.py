"""Curvature in a form in which layers of different sizes can be compared."""

from __future__ import annotations

import xarray as xr

from keras_lcb.runs.received import in_order


def eigenvalue_per_parameter(run: xr.Dataset) -> xr.DataArray:
    """Returns λ‖θ‖² / n: the largest eigenvalues times the mean square of a layer's n parameters.

    λ itself changes if a layer is rescaled, even if other layers undo the rescaling, so that the
    network computes the same function (Dinh et al., "Sharp Minima Can Generalize For Deep Nets",
    2017). λ‖θ‖² does not change, but it grows with the number of parameters. Dividing by this
    number makes layers of different sizes comparable.

    Args:
        run: A run with `scaled_eigenvalue`, as `landscape.curvature` and `LayerSharpness` return
            it, and `parameters` along `layer`.

    Returns:
        One value for each layer and rank.

    Raises:
        ValueError: If the run lacks them.

    Example:
        >>> import xarray as xr
        >>> run = xr.Dataset(
        ...     {"scaled_eigenvalue": (("layer", "rank"), [[8.0], [600.0]])},
        ...     {"layer": ["small", "large"], "parameters": ("layer", [4, 300]), "rank": [1]},
        ... )
        >>> eigenvalue_per_parameter(run).values[:, 0]
        array([2., 2.])
    """
    run = in_order(run)
    if "scaled_eigenvalue" not in run or "parameters" not in run.coords:
        raise ValueError(
            "The run must hold `scaled_eigenvalue` and `parameters`. Measure them with "
            "landscape.curvature or the callback LayerSharpness."
        )
    found = run["scaled_eigenvalue"] / run["parameters"]
    return found.rename("eigenvalue_per_parameter").assign_attrs(
        long_name="largest eigenvalues times the mean square of the parameters", units="1"
    )
