"""How the loss around a layer goes with its depth, as findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr

from keras_lcb.analysis import Estimate, rank_correlation, time_ratio
from keras_lcb.analysis.compared import equal_layers
from keras_lcb.experiments.engines.landscape import MOMENTS, at_moment
from keras_lcb.experiments.finding import Finding, finding
from keras_lcb.experiments.scale import RATIO


def by_depth(
    quantity: str, others: Mapping[str, str], same: Mapping[str, str] | None = None
) -> Callable[[xr.Dataset], Finding]:
    """Returns a measure: how many times as large a quantity is in the last layer as in the first.

    It is read from a trend of its logarithm over hidden layers of equal shape, mean over the
    moments of training, which are its parts, and no tests of their own. Beside it stand all hidden
    layers, and related quantities.

    Args:
        quantity: A positive quantity of `engines.landscape.measure`.
        others: Words to related quantities.
        same: Words to quantities that are nearly the same by definition. They do not confirm it,
            and count as its parts.
    """

    def measure(runs: xr.Dataset) -> Finding:
        hidden = runs.isel(layer=np.flatnonzero(runs["role"].values == "hidden")).sortby("depth")
        equal, _ = equal_layers(hidden, [str(name) for name in hidden["layer"].values])
        seeds = runs["seed"].values.tolist()
        logs = _logs(runs, quantity, equal)
        every = [str(name) for name in hidden["layer"].values]
        parts = {moment: _ratio(_logs(runs, quantity, equal, [moment])) for moment in MOMENTS}
        parts |= {w: _ratio(_logs(runs, name, equal)) for w, name in (same or {}).items()}
        beside = {"all shapes": _ratio(_logs(runs, quantity, every))}
        beside |= {w: _ratio(_logs(runs, name, equal)) for w, name in others.items()}
        depth = np.arange(len(equal))
        return finding(
            _ratio(logs).values,
            seeds,
            RATIO,
            ranks=rank_correlation([(depth, own) for own in logs]),
            beside=beside,
            parts=parts,
            loss=Estimate(tuple(runs["loss"].isel(step=-1).values.tolist())),
        )

    return measure


def _logs(
    runs: xr.Dataset, quantity: str, layers: Sequence[str], moments: Sequence[str] = tuple(MOMENTS)
) -> np.ndarray:
    """Mean logarithm of a quantity over moments (seed, layer); NaN where it is not positive."""
    found = [at_moment(runs, quantity, moment).sel(layer=list(layers)) for moment in moments]
    logs = [np.log(own.where(own > 0).transpose("seed", "layer").values) for own in found]
    return np.mean(logs, axis=0)


def _ratio(logs: np.ndarray) -> Estimate:
    return time_ratio(np.exp(logs)).logs
