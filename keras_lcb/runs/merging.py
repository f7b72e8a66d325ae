"""Joins what several callbacks recorded of one training into one run."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lcb.runs import schema
from keras_lcb.runs.depths import with_common_depths
from keras_lcb.runs.received import in_order

if TYPE_CHECKING:
    import xarray as xr

# Callbacks may compute the same norm in different ways, with rounding errors smaller than this.
# Values of different trainings differ by far more.
_TOLERANCE = 1e-4

# What callbacks with different `every` may see differently at the same step: a loss is the mean
# since the previous record, and a callback may set the learning rate between two records.
_DEPENDS_ON_RECORDS = ("loss", "learning_rate")


def collect(*callbacks: Any) -> xr.Dataset:
    """Merges the results of callbacks that watched the same training.

    The run has all steps at which any callback took a record. A variable is NaN at steps that its
    callback did not record. If the callbacks have different `layers`, the depth of a layer is its
    place among all of them. If several callbacks hold the same variable, the values of the one
    with the most records are used, and the others fill its gaps.

    Args:
        *callbacks: Callbacks, other objects with `results`, or runs.

    Returns:
        One run, with its layers in the order of depth. It is provisional if one of its parts is.
        Its settings hold those of each callback.

    Raises:
        ValueError: If there is nothing to collect, or the parts do not fit together: they watched
            trainings with different losses, seeds or optimizers, or they do not tell the order of
            all layers, or have different values of the same variable. If two callbacks of one
            training have different `every`, values that cover the updates since the previous record
            differ, such as gradient norms.

    Example:
        >>> from keras_lcb.runs import schema
        >>> step, over = {"step": [0, 10], "layer": ["dense"]}, ("step", "layer")
        >>> distances = schema.dataset({"distance": (over, [[2.0], [0.0]])}, step)
        >>> norms = schema.dataset({"gradient_norm": (over, [[float("nan")], [0.5]])}, step)
        >>> sorted(collect(distances, norms).data_vars)
        ['distance', 'gradient_norm']
    """
    import xarray as xr

    if not callbacks:
        raise ValueError("`collect` received nothing. Pass the callbacks that you passed to `fit`.")
    parts = with_common_depths([_results(callback) for callback in callbacks])
    _check_layers(parts)
    _check_losses(parts)
    finest_first = sorted(parts, key=lambda part: -part.sizes.get("step", 0))
    index = _joined_index(parts)
    measured = dict.fromkeys(name for part in parts for name in part.data_vars)
    beside = dict.fromkeys(n for part in parts for n in part.coords if n not in part.dims)
    merged = xr.Dataset(
        {name: _joined_variable(name, finest_first, index) for name in measured},
        index | {name: _joined_coordinate(name, finest_first, index) for name in beside},
        _merged_attrs(parts),
    )
    return merged.sortby("depth") if "depth" in merged.coords else merged


def _results(callback: Any) -> xr.Dataset:
    import xarray as xr

    results = callback if isinstance(callback, xr.Dataset) else getattr(callback, "results", None)
    if not isinstance(results, xr.Dataset):
        several = isinstance(callback, list | tuple)
        raise ValueError(
            "`collect` expects callbacks such as LayerConvergence, or runs; received "
            f"{type(callback).__name__}, which has no run as its `results`."
            f"{' Write `collect(c, g)` instead of `collect([c, g])`.' if several else ''}"
        )
    if "seed" in results.dims:
        raise ValueError(
            "`collect` expects runs of one training; received a run that stacks several seeds. "
            "Collect the callbacks of each seed first, and stack the runs afterwards."
        )
    return in_order(results)


def _check_layers(parts: list[xr.Dataset]) -> None:
    """Checks that the parts agree about the layers of the network.

    Raises:
        ValueError: If they do not.
    """
    facts_of: dict[str, dict[Hashable, Any]] = {}
    for part in parts:
        if "layer" not in part.coords:
            continue
        along = [name for name in part.coords if part[name].dims == ("layer",)]
        for position, layer in enumerate(part["layer"].values.tolist()):
            facts = {name: part[name].values.tolist()[position] for name in along}
            for name, value in facts_of.setdefault(layer, facts).items():
                if facts.get(name, value) != value:
                    raise ValueError(
                        f"The layer '{layer}' has {name} {value} in one callback and "
                        f"{facts[name]} in another. They watched different networks. Do not merge "
                        "their runs."
                    )


def _check_losses(parts: list[xr.Dataset]) -> None:
    """Checks that the parts tell of one training, whose losses are the same for all callbacks.

    If one part ends before the other, the losses between any two records that they share are
    compared, too. They are apart if one callback only watched a later `fit`, and counts updates
    from there. Parts with the same end watched the same updates, since each `fit` ends with a
    record.

    Raises:
        ValueError: If they do not.
    """
    for pair in itertools.combinations(parts, 2):
        own, shared = map(_losses, pair), _shared_steps(*pair)
        one, other = (_ranges(found, shared) for found in own)
        for since, step in sorted(one.keys() & other.keys()):
            found = one[since, step], other[since, step]
            if _are_apart(*found) and _differ(*(_last_loss(part, step) for part in pair)):
                said = " in one and ".join(
                    f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
                    for low, high in found
                )
                raise ValueError(
                    f"The callbacks watched different trainings: the mean loss from update {since} "
                    f"to update {step} is {said} in another. Do not merge their runs."
                )


def _losses(part: xr.Dataset) -> dict[tuple[int, int], float]:
    """Returns the mean loss between each record and the next, by the steps of the two."""
    if "loss" not in part or part["loss"].dims != ("step",):
        return {}
    between = itertools.pairwise(part["step"].values.tolist())
    return dict(zip(between, part["loss"].values.tolist()[1:], strict=True))


def _differ(one: float, other: float) -> bool:
    return abs(one - other) > _TOLERANCE * max(abs(one), abs(other))


def _last_loss(part: xr.Dataset, step: int) -> float:
    """Returns the loss of one record. Losses of single batches are the same in all parts."""
    return float(part["loss"].values[part["step"].values == step][0])


def _shared_steps(one: xr.Dataset, other: xr.Dataset) -> list[int]:
    """Returns the steps at which both parts have records; none if the parts end at the same step.

    It returns none if a part was merged from callbacks with different `every`, since its losses
    cover unknown updates.
    """
    if any("step" not in part.dims or not part.sizes["step"] for part in (one, other)):
        return []
    every = [
        {repr(own["every"]) for own in schema.settings(part).values() if "every" in own}
        for part in (one, other)
    ]
    if max(map(len, every)) > 1 or one["step"].values[-1] == other["step"].values[-1]:
        return []
    return np.intersect1d(one["step"].values, other["step"].values).tolist()


def _ranges(
    losses: dict[tuple[int, int], float], steps: list[int]
) -> dict[tuple[int, int], tuple[float, float]]:
    """Returns the smallest and largest mean loss between given records, by the steps of the two.

    The mean loss over all of these updates lies between the two, whatever the sizes of batches.
    Between a record and the next, both are the mean loss itself.
    """
    ranges = {}
    for since, step in itertools.pairwise(steps):
        within = [loss for (a, b), loss in losses.items() if since <= a and b <= step]
        if within:
            ranges[since, step] = min(within), max(within)
    return ranges | {between: (loss, loss) for between, loss in losses.items()}


def _are_apart(one: tuple[float, float], other: tuple[float, float]) -> bool:
    lower, upper = sorted([one, other])
    return lower[1] < upper[0] and _differ(lower[1], upper[0])


def _joined_index(parts: list[xr.Dataset]) -> dict[Hashable, xr.DataArray]:
    import xarray as xr

    index = {}
    for dim in dict.fromkeys(dim for part in parts for dim in part.dims):
        axes = [part[dim] for part in parts if dim in part.coords]
        if axes:
            values = np.concatenate([axis.values for axis in axes]).tolist()
            distinct = list(dict.fromkeys(values))
            dtype = axes[0].dtype
            ordered = sorted(distinct) if dtype.kind in "iuf" else distinct
            index[dim] = xr.DataArray(
                np.array(ordered, dtype=dtype if dtype.kind in "iuf" else str),
                dims=[dim],
                attrs=axes[0].attrs,
            )
    return index


def _joined_variable(
    name: Hashable, parts: list[xr.Dataset], index: dict[Hashable, xr.DataArray]
) -> xr.DataArray:
    """Joins a variable over the parts that hold it; earlier parts take precedence."""
    holders = [part for part in parts if name in part.data_vars]
    own = [part[name].reset_coords(drop=True) for part in holders]
    if len({values.dims for values in own}) > 1:
        raise ValueError(
            f"The parts hold '{name}' with different dimensions: "
            f"{' and '.join(str(values.dims) for values in own)}. Do not merge these runs."
        )
    aligned = [_on_index(values, index) for values in own]
    joined = aligned[0]
    for values in aligned[1:]:
        if name not in _DEPENDS_ON_RECORDS:
            _check_agreement(name, joined, values, holders)
        joined = joined.fillna(values)
    return joined


def _on_index(values: xr.DataArray, index: dict[Hashable, xr.DataArray]) -> xr.DataArray:
    """Puts values on the joined steps, layers and other coordinates, with NaN in the gaps."""
    other = {
        dim: index[dim].values
        for dim in values.dims
        if dim in index and not np.array_equal(values[dim].values, index[dim].values)
    }
    return values.reindex(other) if other else values


def _check_agreement(
    name: Hashable, one: xr.DataArray, other: xr.DataArray, holders: list[xr.Dataset]
) -> None:
    if not bool((abs(one - other) > _TOLERANCE * abs(one).max()).any()):
        return
    settings = [each for part in holders for each in schema.settings(part).values()]
    every = {repr(each["every"]): None for each in settings if "every" in each}  # in this order
    causes = ["they watched different trainings", "they use different references"]
    advice = "Do not merge their runs."
    if len(every) > 1:
        given = " and ".join(f"every={each}" for each in every)
        causes.append(f"their values cover the updates since different records ({given})")
        advice = f"Give them the same `every`, or collect only one callback with '{name}'."
    raise ValueError(
        f"Two callbacks hold different values of '{name}': {', '.join(causes[:-1])}, or "
        f"{causes[-1]}. {advice}"
    )


def _joined_coordinate(
    name: Hashable, parts: list[xr.Dataset], index: dict[Hashable, xr.DataArray]
) -> xr.DataArray:
    """Joins a coordinate such as `epoch` or `depth`, value by value."""
    holders = [part for part in parts if name in part.coords]
    dim = holders[0][name].dims[0]
    value_at: dict[Any, Any] = {}
    for part in holders:
        pairs = zip(part[dim].values.tolist(), part[name].values.tolist(), strict=True)
        for place, value in pairs:
            value_at.setdefault(place, value)
    blank = "" if holders[0][name].dtype.kind in "OUST" else float("nan")
    joined = index[dim].copy(
        data=np.array([value_at.get(place, blank) for place in index[dim].values.tolist()])
    )
    joined.attrs = holders[0][name].attrs
    return joined


def _merged_attrs(parts: list[xr.Dataset]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in parts:
        for name, value in part.attrs.items():
            if name in ("backend", "optimizer", "seed") and merged.get(name, value) != value:
                raise ValueError(
                    f"The callbacks watched different trainings: their {name} is "
                    f"{merged[name]!r} and {value!r}. Do not merge their runs."
                )
            merged.setdefault(name, value)
    for name in ("provisional", "nonfinite_updates", "skipped_updates"):
        if name in merged:
            merged[name] = max(part.attrs.get(name, 0) for part in parts)
    first = [part.attrs.get("first_nonfinite_update", -1) for part in parts]
    if "first_nonfinite_update" in merged:
        merged["first_nonfinite_update"] = min((n for n in first if n >= 0), default=-1)
    reasons = {name: why for part in parts for name, why in schema.missing(part).items()}
    joined = {"missing": reasons, "settings": _merged_settings(map(schema.settings, parts))}
    return {**merged, **schema.attributes(joined)}


def _merged_settings(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Joins settings by class name. A second callback of a class gets the suffix `_1`."""
    merged: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            names = itertools.chain([name], (f"{name}_{n}" for n in itertools.count(1)))
            free = next(key for key in names if merged.get(key, value) == value)
            merged[free] = value
    return merged
