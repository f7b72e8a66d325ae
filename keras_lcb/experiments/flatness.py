"""How the loss around a layer goes with its depth, as findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr

from keras_lcb.analysis import Estimate, rank_correlation, time_ratio
from keras_lcb.analysis.comparison import Comparison, equal_layers
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
        names = [str(name) for name in hidden["layer"].values]
        equal, every = equal_layers(hidden, names), Comparison.of_all(names)
        seeds = runs["seed"].values.tolist()
        logs = _logs(runs, quantity, equal)
        parts = {moment: _ratio(runs, quantity, equal, [moment]) for moment in MOMENTS}
        parts |= {words: _ratio(runs, name, equal) for words, name in (same or {}).items()}
        beside = {"all shapes": _ratio(runs, quantity, every)}
        beside |= {words: _ratio(runs, name, equal) for words, name in others.items()}
        depth = np.array(equal.places)
        return finding(
            _ratio(runs, quantity, equal).values,
            seeds,
            RATIO,
            ranks=rank_correlation([(depth, own) for own in logs], equal.groups),
            beside=beside,
            parts=parts,
            loss=Estimate(tuple(runs["loss"].isel(step=-1).values.tolist())),
        )

    return measure


def _logs(
    runs: xr.Dataset, quantity: str, compared: Comparison, moments: Sequence[str] = tuple(MOMENTS)
) -> np.ndarray:
    """Mean logarithm of a quantity over moments (seed, layer); NaN where it is not positive."""
    found = [
        at_moment(runs, quantity, moment).sel(layer=list(compared.layers)) for moment in moments
    ]
    logs = [np.log(own.where(own > 0).transpose("seed", "layer").values) for own in found]
    return np.mean(logs, axis=0)


def _ratio(
    runs: xr.Dataset, quantity: str, compared: Comparison, *moments: Sequence[str]
) -> Estimate:
    """Each run's log ratio of a quantity, last to first layer."""
    return time_ratio(np.exp(_logs(runs, quantity, compared, *moments)), compared).logs
