"""A run as the one compact form that the viewer reads, in notebooks, reports and the atlas."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lcb.runs import schema
from keras_lcb.runs.block_names import block_name
from keras_lcb.viewer.encoding import Precision, encoded
from keras_lcb.viewer.events import as_json, events
from keras_lcb.viewer.titles import title

if TYPE_CHECKING:
    import xarray as xr

FORMAT, VERSION = "keras-lcb-run", 1

# What the viewer can draw, as the dimensions beside those along training.
_SHAPES = (
    ("layer",),
    (),
    ("layer", "frequency"),
    ("frequency",),
    ("x",),
    ("layer", "x"),
    ("layer", "alpha"),
    ("layer", "filter", "row", "column"),
)
_ORDER = ("layer", "frequency", "x", "alpha", "filter", "row", "column")
_ALONG = ("step", "update")
# A further dimension, such as `rank`, makes a quantity for each of its values, if they are few.
_FEW = 8
# Finer than a screen shows; runs with more records are thinned, which the form says.
_RECORDS = 400
# How many numbers of filters a form holds at most, but for those of two records.
_NUMBERS_OF_FILTERS = 60_000
_ATTRIBUTES = ("optimizer", "learning_rate", "reference", "provisional", "backend", "seed")


def compact(
    run: xr.Dataset,
    *,
    precision: Precision = "float32",
    quantities: Iterable[str] | None = None,
    points: int | None = None,
    records: int = _RECORDS,
) -> dict[str, Any]:
    """Returns a run as JSON can hold it, small enough to be part of a page.

    Args:
        run: A run, or runs stacked along `seed`, of which the form holds the mean over seeds,
            with the lowest and the highest value.
        precision: Of the numbers: `"float32"`, or `"byte"`, a quarter of the size and exact to
            1/500 of a quantity's range; see `encoding`.
        quantities: Which variables to keep; by default all that the viewer can draw: values along
            training, of the whole network or of layers, frequencies or positions. What layers have
            for a few values of something else, as for ranks of eigenvalues, is taken apart.
        points: How many positions `x` functions keep at most; all by default.
        records: How many records a quantity keeps at most, evenly spread, the first and the last
            among them. Defaults to 400. Filters of large networks have fewer, so that they take
            about 300 kB; those of several seeds are those of the first.

    Returns:
        `layers` (with name, block, kind, role, parameters), `steps`, `axes`, `variables` (each
        with its meaning, units, dimensions, the updates it was recorded at, and its values),
        `events`, `missing`, `attributes`.

    Raises:
        ValueError: If `run` is no run, holds no layers or no records.

    Example:
        >>> from keras_lcb.runs import schema
        >>> run = schema.dataset(
        ...     {"distance": (("step", "layer"), [[2.0], [0.0]])},
        ...     {"step": [0, 10], "layer": ["dense"], "depth": [0]},
        ... )
        >>> form = compact(run)
        >>> form["steps"], form["variables"]["distance"]["dims"]
        ([0, 10], ['layer'])
    """
    if not schema.is_run(run) or not run.sizes.get("layer") or not run.sizes.get("step"):
        raise ValueError(
            "The viewer needs a run with at least one layer and one record: pass a callback's "
            "`results` or what `collect` returned."
        )
    if "depth" in run.coords:
        run = run.sortby("depth")
    if points is not None and run.sizes.get("x", 0) > points:
        run = run.isel(x=evenly(run.sizes["x"], points))
    run = _apart(run)
    names = [str(name) for name in run.data_vars] if quantities is None else list(quantities)
    variables = {
        name: _variable(run, name, precision, records) for name in names if _is_drawn(run, name)
    }
    return {
        "format": FORMAT,
        "version": VERSION,
        "layers": _layers(run),
        "steps": run["step"].values.tolist(),
        "axes": {
            name: [float(value) for value in run[name].values.tolist()]
            for name in ("frequency", "x", "alpha")
            if name in run.coords
        },
        "variables": variables,
        "events": as_json(events(run)),
        "missing": schema.missing(run),
        "attributes": {
            "seeds": int(run.sizes.get("seed", 1)),
            "nonfinite": int(run.attrs.get("first_nonfinite_update", -1)),
            **_attributes(run),
        },
    }


def _layers(run: xr.Dataset) -> list[dict[str, Any]]:
    facts = [name for name in ("kind", "role", "parameters") if name in run.coords]
    return [
        {
            "name": str(name),
            "block": block_name(str(name)),
            **{fact: _fact(run[fact], index) for fact in facts},
        }
        for index, name in enumerate(run["layer"].values)
    ]


def _fact(values: xr.DataArray, index: int) -> Any:
    of_one = values.isel(seed=0) if "seed" in values.dims else values
    return of_one.values.tolist()[index]


def _attributes(run: xr.Dataset) -> dict[str, str | int | float]:
    """Returns what JSON can hold of what is known of the run as a whole."""
    held = {name: run.attrs[name] for name in _ATTRIBUTES if name in run.attrs}
    plain = {n: v.item() if isinstance(v, np.generic) else v for n, v in held.items()}
    return {n: v for n, v in plain.items() if not isinstance(v, float) or math.isfinite(v)}


def _apart(run: xr.Dataset) -> xr.Dataset:
    """Returns the run with more quantities: those of layers, for each value of a further dimension.

    An example is the largest eigenvalue by its rank. Values that are many, as along a slice of the
    loss, are no quantities.
    """
    known = {"seed", *_ALONG, *_ORDER}
    return run.assign(
        {
            f"{name}/{dim}={value:g}": _at(values, dim, value)
            for name, values in run.data_vars.items()
            for dim in sorted(set(values.dims) - known, key=str)
            if "layer" in values.dims and dim in run.coords and run.sizes[dim] <= _FEW
            for value in run[dim].values.tolist()
        }
    )


def _at(values: xr.DataArray, dim: Hashable, value: float) -> xr.DataArray:
    long_name = values.attrs.get("long_name", values.name)
    told = f"{long_name}, {str(dim).replace('_', ' ')} {value:.3g}"
    return values.sel({dim: value}, drop=True).assign_attrs(long_name=told)


def _is_drawn(run: xr.Dataset, name: str) -> bool:
    return (
        name in run
        and _own(run[name]) in _SHAPES
        and (_along(run[name]) is not None or name == "target")
    )


def _along(values: xr.DataArray) -> str | None:
    return next((dim for dim in _ALONG if dim in values.dims), None)


def _own(values: xr.DataArray) -> tuple[str, ...]:
    own = (str(dim) for dim in values.dims if dim not in ("seed", *_ALONG))
    return tuple(sorted(own, key=lambda dim: _ORDER.index(dim) if dim in _ORDER else 0))


def _variable(run: xr.Dataset, name: str, precision: Precision, records: int) -> dict[str, Any]:
    values, along = run[name], _along(run[name])
    dims = _own(values)
    if "filter" in dims:
        values = values.isel(seed=0) if "seed" in values.dims else values  # a mean shows no filter
        size = math.prod(values.sizes[dim] for dim in dims)
        records = min(records, max(2, _NUMBERS_OF_FILTERS // size))
    values = values.transpose(*(dim for dim in ("seed", along) if dim in values.dims), *dims)
    described = {
        "longName": str(values.attrs.get("long_name", name)),
        **title(name),
        "units": str(values.attrs.get("units", "1")),
        "dims": list(dims),
    }
    if along is None:
        one = values.isel(seed=0) if "seed" in values.dims else values
        return {**described, "at": [], **encoded(one.values, precision)}
    kept = _kept(run, values, along, records)
    values = values.isel({along: kept})
    at = values[along].values.tolist()
    thinned = {"of": int(run.sizes[along])} if len(kept) == records else {}
    if "seed" not in values.dims:
        return {**described, "at": at, **thinned, **encoded(values.values, precision)}
    bounds = {
        bound: encoded(getattr(values, how)("seed", skipna=False).values, precision)
        for bound, how in (("low", "min"), ("high", "max"))
    }
    mean = values.mean("seed", skipna=False).values
    return {**described, "at": at, **thinned, **encoded(mean, precision), "band": bounds}


def _kept(run: xr.Dataset, values: xr.DataArray, along: str, records: int) -> np.ndarray:
    """Returns which records hold the quantity: gaps after the first non-finite update are told.

    Where several callbacks recorded, each has its own records.
    """
    first = int(run.attrs.get("first_nonfinite_update", -1))
    recorded = values.notnull().any([dim for dim in values.dims if dim != along]).values
    last = int(np.flatnonzero(recorded)[-1]) if recorded.any() else -1
    broken = (run[along].values >= first) if first >= 0 else np.zeros(len(recorded), bool)
    indices = np.flatnonzero(recorded | broken | (np.arange(len(recorded)) > last))
    return indices[evenly(len(indices), records)]


def evenly(count: int, most: int) -> np.ndarray:
    """Returns at most `most` of the indices below `count`, evenly spread."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.round(np.linspace(0, count - 1, most)).astype(int))
