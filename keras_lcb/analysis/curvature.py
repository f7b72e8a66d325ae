"""Curvature in forms in which layers can be compared."""

from __future__ import annotations

import xarray as xr


def eigenvalue_per_parameter(run: xr.Dataset) -> xr.DataArray:
    """Return λ‖θ‖² / n: the largest eigenvalues times the mean square of a layer's n parameters.

    λ itself changes when a layer is rescaled, which a following ReLU or normalisation can undo
    (Dinh et al., "Sharp Minima Can Generalize For Deep Nets", 2017). λ‖θ‖² does not, but as a sum
    over parameters ‖θ‖² grows with their number, so that large layers look steep by their size
    alone. Divided by that number, it compares layers of different sizes.

    Args:
        run: A run with `scaled_eigenvalue`, as `landscape.curvature` and `LayerSharpness` return
            it, and `parameters` along `layer`.

    Returns:
        One value a layer and rank.

    Raises:
        ValueError: If the run lacks them.

    Example:
        >>> run = xr.Dataset(
        ...     {"scaled_eigenvalue": (("layer", "rank"), [[8.0], [600.0]])},
        ...     {"layer": ["small", "large"], "parameters": ("layer", [4, 300]), "rank": [1]},
        ... )
        >>> eigenvalue_per_parameter(run).values[:, 0]
        array([2., 2.])
    """
    if "scaled_eigenvalue" not in run or "parameters" not in run.coords:
        raise ValueError(
            "The run holds no eigenvalues with the sizes of their layers: measure them with "
            "landscape.curvature or the callback LayerSharpness."
        )
    found = run["scaled_eigenvalue"] / run["parameters"]
    return found.rename("eigenvalue_per_parameter").assign_attrs(
        long_name="largest eigenvalues times the mean square of the parameters", units="1"
    )
