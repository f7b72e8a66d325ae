"""Gradient norms over a whole run, and their correlation with the speed of convergence."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import xarray as xr

from keras_lcb.analysis.compared import compared_layers, single_runs, usable
from keras_lcb.analysis.comparison import equal_layers
from keras_lcb.analysis.convergence import normalized_distance, time_to_fraction
from keras_lcb.analysis.rank import RankCorrelation, rank_correlation
from keras_lcb.runs.received import in_order


def rms_over_run(run: xr.Dataset, name: str) -> xr.DataArray:
    """Returns the root mean square of a norm over all updates of a run.

    Args:
        run: A run, or runs stacked along `seed`.
        name: `"gradient_norm"` or `"update_norm"`.

    Returns:
        √(Σ nᵢ gᵢ² / Σ nᵢ) for each layer, where gᵢ is the norm recorded over nᵢ updates; NaN
        without any record.

    Raises:
        ValueError: If the run does not hold this norm.

    Example:
        >>> import xarray as xr
        >>> run = xr.Dataset(
        ...     {"gradient_norm": (("step", "layer"), [[float("nan")], [5.0], [1.0]])},
        ...     {"step": [0, 10, 40], "layer": ["dense"]},
        ... )
        >>> rms_over_run(run, "gradient_norm").values ** 2  # (10 · 5² + 30 · 1²) / 40
        array([7.])
    """
    run = in_order(run)
    if name not in run:
        raise ValueError(
            f"The run holds no '{name}'. Train with the callback GradientNorms, and collect it."
        )
    norm = run[name]
    steps = norm["step"].values.astype(float)

    def rms(values: np.ndarray) -> np.ndarray:
        known = np.isfinite(values)
        # A record covers the updates since the record before. A layer that was frozen has no value
        # in it. Where no layer has a value, another callback took the record.
        recorded = known.any(axis=1)
        updates = np.diff(steps[recorded], prepend=steps[:1])
        weights = updates[:, None] * known[recorded]
        squares = np.where(known, values, 0.0)[recorded] ** 2
        counts = weights.sum(axis=0)
        counts[counts == 0] = np.nan
        return np.sqrt((weights * squares).sum(axis=0) / counts)

    result = xr.apply_ufunc(
        rms,
        norm,
        input_core_dims=[["step", "layer"]],
        output_core_dims=[["layer"]],
        vectorize=True,
        output_dtypes=[float],
        keep_attrs=False,
    )
    words = f"RMS {name.replace('_', ' ')} over the run"
    return result.rename(name).assign_attrs(long_name=words, units=norm.attrs.get("units", "1"))


def gradient_rate_correlation(
    runs: xr.Dataset | Sequence[xr.Dataset],
    *,
    roles: Collection[str] | None = ("hidden",),
) -> RankCorrelation:
    """Computes the rank correlation of gradient norm and speed of convergence over layers.

    A layer's gradient norm is the root mean square over the run. Its speed is the reciprocal of its
    time to half the distance, or 0 if it never came so far. If large gradients made layers fast,
    the correlation would be reliably positive. Chen, Yuille and Zhou (ICLR 2023, section 3) claim
    that it is not.

    A layer with more parameters mostly has a larger gradient norm, whatever its speed. So each
    layer is compared with those whose kernels have its shape; if no three layers have equal shapes,
    or the run does not say them, all layers are compared.

    Args:
        runs: A run, runs stacked along `seed`, or a list of runs of one network.
        roles: The roles of the layers to compare; `None` for all. Defaults to hidden layers.

    Returns:
        The rank correlation; with an interval if there are several runs. Runs that diverged, and
        copies of a run, do not count.

    Raises:
        ValueError: If the runs lack distances or gradient norms, or have different layers.

    Example:
        >>> from keras_lcb.runs import example_run
        >>> gradient_rate_correlation(example_run(layers=5), roles=None).spearman
        -1.0
    """
    single = single_runs(runs)
    layers, _ = compared_layers(single, roles)
    compared = equal_layers(single[0], layers)
    pairs = []
    for run in usable(single)[0]:
        moved = normalized_distance(run).notnull().any("step")
        speed = (1.0 / time_to_fraction(run).fillna(np.inf)).where(moved)
        # Over all layers first: some record may have norms of other layers only.
        norms = rms_over_run(run, "gradient_norm")
        own = {"layer": list(compared.layers)}
        pairs.append((norms.sel(own).values, speed.sel(own).values))
    return rank_correlation(pairs, compared.groups)
