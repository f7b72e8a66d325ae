"""Which runs and which layers a comparison of layers is about."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import xarray as xr

from keras_lcb.analysis.convergence import normalized_distance


def single_runs(runs: xr.Dataset | Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """Return runs one by one, whether given as one, stacked along `seed`, or as a list.

    Raises:
        ValueError: If there is none, they hold no layers, or their layers differ.
    """
    given = [runs] if isinstance(runs, xr.Dataset) else list(runs)
    single: list[xr.Dataset] = []
    for run in given:
        stacked = "seed" in run.dims
        single += [run.isel(seed=n) for n in range(run.sizes["seed"])] if stacked else [run]
    if not single:
        raise ValueError("There is no run to analyse; pass one, or a list of them.")
    if any("layer" not in run.coords for run in single):
        raise ValueError("The run holds no layers to compare; pass what `collect` returned.")
    layers = single[0]["layer"].values.tolist()
    for run in single[1:]:
        if run["layer"].values.tolist() != layers:
            raise ValueError(
                f"The runs have different layers: {layers} and {run['layer'].values.tolist()}. "
                "Compare runs of one network."
            )
    return single


def compared_layers(
    runs: Sequence[xr.Dataset], roles: Collection[str] | None
) -> tuple[list[str], dict[str, str]]:
    """Choose the layers to compare: those of the roles that moved in at least one run.

    Args:
        runs: Single runs of one network.
        roles: Roles to keep; all of them if `None`, or if the runs do not know roles.

    Returns:
        The names of the layers, shallow first, and why each other layer is left out.
    """
    run = runs[0].sortby("depth") if "depth" in runs[0].coords else runs[0]
    names = [str(name) for name in run["layer"].values]
    left_out: dict[str, str] = {}
    if roles is not None and "role" in run.coords:
        for name, role in zip(names, run["role"].values.tolist(), strict=True):
            if role not in roles:
                left_out[name] = role
    moved = [normalized_distance(one).notnull().any("step") for one in runs]
    for name in names:
        if name not in left_out and not any(bool(one.sel(layer=name)) for one in moved):
            left_out[name] = "never moved"
    return [name for name in names if name not in left_out], left_out
