"""How much of each frequency each layer carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_lcb.analysis.records import over_seeds
from keras_lcb.runs.received import in_order

if TYPE_CHECKING:
    import xarray as xr


def carried(run: xr.Dataset) -> xr.DataArray:
    """Returns how much of each frequency each layer carries, averaged over seeds.

    Layers without values are left out. R² is measured at some records only; at the others, the
    last measured value of each seed is repeated, also after the end of a shorter training. Shares
    have a mean where all seeds have one, see `over_seeds`.

    Args:
        run: A run with `frequency_share` (of a residual network) or `r2` (of a plain one).

    Returns:
        The values over step, layer and frequency, named after what they are.

    Raises:
        ValueError: If the run holds neither.
    """
    run = in_order(run)
    name = "frequency_share" if "frequency_share" in run else "r2"
    if name not in run:
        raise ValueError(
            "The run holds no shares of frequencies. Record it with "
            "keras_lcb.FrequencyResponse(x, target=target), or make it with synthetic.run."
        )
    values = run[name]
    if name == "r2":
        known = values.notnull().any(["layer", "frequency"])  # for each seed by itself
        places = np.apply_along_axis(_last_known, known.get_axis_num("step"), known.values)
        values = values.drop_vars("step").isel(step=known.variable.copy(data=places))
        values = values.assign_coords(step=run["step"])
    values = over_seeds(values)[1].assign_attrs(values.attrs)
    own = values.notnull().any(["step", "frequency"])
    return values.isel(layer=own.values).rename(name)


def _last_known(known: np.ndarray) -> np.ndarray:
    """Returns for each record the index of the last record up to it that has a value."""
    return np.maximum.accumulate(np.where(known, np.arange(len(known)), 0))
