"""Which runs and which layers are compared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import xarray as xr

from keras_lcb.analysis.convergence import normalized_distance
from keras_lcb.runs.received import check_run, in_order

NEVER_MOVED = "never moved"
NOT_FINITE = "not finite"
NOT_RECORDED = "no distance recorded"
OTHER_SHAPE = "another shape"

FIRST_NONFINITE = "first_nonfinite_update"  # an attribute; in stacked runs also along `seed`


def _of_seed(run: xr.Dataset, place: int) -> xr.Dataset:
    one = run.isel(seed=place)
    if FIRST_NONFINITE not in one.coords:
        return one
    first = int(one.coords[FIRST_NONFINITE])
    return one.drop_vars(FIRST_NONFINITE).assign_attrs({FIRST_NONFINITE: first})


def single_runs(runs: xr.Dataset | Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """Returns a list of single runs.

    Args:
        runs: A run, runs stacked along `seed`, or a list of these.

    Raises:
        ValueError: If there is no run, or the runs have no layers or different layers.
    """
    if isinstance(runs, str) or not isinstance(runs, Iterable):
        check_run(runs)
    given = [runs] if isinstance(runs, xr.Dataset) else list(runs)
    single: list[xr.Dataset] = []
    for run in given:
        run = in_order(run)
        stacked = "seed" in run.dims
        single += [_of_seed(run, n) for n in range(run.sizes["seed"])] if stacked else [run]
    if not single:
        raise ValueError("Received no run to analyse. Pass a run, or a list of runs.")
    if any("layer" not in run.coords for run in single):
        raise ValueError("The run holds no layers to compare. Pass what `collect` returned.")
    layers = single[0]["layer"].values.tolist()
    for run in single[1:]:
        if run["layer"].values.tolist() != layers:
            raise ValueError(
                f"The runs have different layers: {layers} and {run['layer'].values.tolist()}. "
                "Compare runs of one network."
            )
    return single


def without_distance(run: xr.Dataset) -> dict[str, str]:
    """Returns the layers without a normalized distance, and why they have none.

    A layer that never moved has an initial distance of 0, by which nothing can be divided. If
    training diverged, the endpoint is NaN, and so is every distance to it.

    Args:
        run: One run.

    Returns:
        A mapping from the layer to "never moved", "not finite" or "no distance recorded".

    Example:
        >>> run = xr.Dataset(
        ...     {"distance": (("step", "layer"), [[0.0, np.inf, 1.0], [0.0, np.inf, 0.0]])},
        ...     {"step": [0, 10], "layer": ["frozen", "exploded", "trained"]},
        ... )
        >>> without_distance(run)
        {'frozen': 'never moved', 'exploded': 'not finite'}
    """
    measured = normalized_distance(run).notnull().any("step")
    absent = [str(name) for name in run["layer"].values[~measured.values]]
    return {name: _why_without(run, name) for name in absent}


def _why_without(run: xr.Dataset, layer: str) -> str:
    diverged = int(run.attrs.get(FIRST_NONFINITE, -1)) >= 0
    if "distance" not in run:
        return NOT_FINITE if diverged else NEVER_MOVED
    distance = run["distance"].sel(layer=layer).values
    if np.isfinite(distance).any() and not np.isinf(distance).any():
        return NEVER_MOVED
    return NOT_FINITE if diverged or np.isinf(distance).any() else NOT_RECORDED


def has_diverged(run: xr.Dataset) -> bool:
    """Returns whether a run's distances are not finite, throughout or from some update on."""
    if NOT_FINITE in without_distance(run).values():
        return True
    recorded = normalized_distance(run).notnull().any("layer").values
    ended_early = bool(recorded.any() and not recorded[-1])
    return ended_early and int(run.attrs.get(FIRST_NONFINITE, -1)) >= 0


def usable(runs: Sequence[xr.Dataset]) -> tuple[list[xr.Dataset], list[str]]:
    """Returns the runs that count, and notes about those that diverged or are copies."""
    finite = [run for run in runs if not has_diverged(run)]
    distances = [normalized_distance(run).values for run in finite]
    kept = [
        run
        for place, run in enumerate(finite)
        if not any(
            np.array_equal(distances[place], other, equal_nan=True) for other in distances[:place]
        )
    ]
    diverged, copies = len(runs) - len(finite), len(finite) - len(kept)
    notes = [f"Diverged and not counted: {diverged} of {len(runs)} runs."] if diverged else []
    if copies:
        notes.append(
            f"Not counted: {copies} of {len(runs)} runs, whose distances are the same as another "
            "run's. Train with different seeds."
        )
    return kept, notes


def compared_layers(
    runs: Sequence[xr.Dataset], roles: Collection[str] | None
) -> tuple[list[str], dict[str, str]]:
    """Chooses the layers to compare: those with one of the roles and a distance in every run.

    Runs that diverged are ignored.

    Args:
        runs: Single runs of one network.
        roles: The roles to keep; `None` for all. Ignored if the runs hold no roles.

    Returns:
        The names of the layers, shallow first; and for each other layer, why it is left out.
    """
    run = runs[0].sortby("depth") if "depth" in runs[0].coords else runs[0]
    names = [str(name) for name in run["layer"].values]
    left_out: dict[str, str] = {}
    if roles is not None and "role" in run.coords:
        for name, role in zip(names, run["role"].values.tolist(), strict=True):
            if role not in roles:
                left_out[name] = role
    for one in [one for one in runs if not has_diverged(one)] or runs:
        left_out = without_distance(one) | left_out
    return [name for name in names if name not in left_out], {
        name: left_out[name] for name in names if name in left_out
    }
