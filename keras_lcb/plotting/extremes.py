"""The layers with the smallest and largest values, in words, for readers who see no figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def least_and_most(values: xr.DataArray) -> tuple[str, str]:
    """Returns the layers with the smallest and the largest value, each with its value.

    Args:
        values: Values over `layer`. They are averaged over all other dimensions.

    Example:
    >>> import xarray as xr
    >>> least_and_most(xr.DataArray([2.0, 0.5], coords={"layer": ["a", "b"]}))
    ('b (0.5)', 'a (2)')
    """
    ranked = values.mean([dim for dim in values.dims if dim != "layer"]).dropna("layer")
    ranked = ranked.sortby(ranked)
    if not ranked.size:
        return "no layer", "no layer"
    least, most = (f"{one['layer'].item()} ({float(one):.3g})" for one in (ranked[0], ranked[-1]))
    return least, most
