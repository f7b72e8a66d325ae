"""Builds runs: `dataset`, and the attributes and settings that runs hold.

A run is an `xarray.Dataset`. Every callback builds its results with `dataset`, so that a name has
the same meaning in all runs; `names` lists the names.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lcb.runs.names import COORDINATES, VARIABLES, Quantity

if TYPE_CHECKING:  # xarray takes longer to import than the rest of the package together
    import xarray as xr

SCHEMA_VERSION = 1
MARKER = "keras_lcb_run"

# Attributes that a run holds under their own names. All others are settings.
PLAIN_ATTRIBUTES = (
    "reference",
    "provisional",
    "mode",
    "seed",
    "first_nonfinite_update",
    "nonfinite_updates",
    "skipped_updates",
    "keras_version",
    "backend",
    "backend_version",
    "optimizer",
    "learning_rate",
)


def dataset(
    variables: Mapping[str, tuple[Any, ...]],
    coords: Mapping[str, Any],
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Builds a run from plain arrays.

    Args:
        variables: A mapping from names to `(dims, values)`. Names and dimensions are those of
            `VARIABLES`; a leading dimension `seed` is allowed everywhere. For any other name, give
            `(dims, values, {"long_name": …, "units": …})`.
        coords: A mapping from names to values. Each dimension in use needs a coordinate.
        attrs: Attributes of the run as a whole. Those named in `PLAIN_ATTRIBUTES` become
            attributes of the run, unless they are `None`. `missing` is a dictionary
            `{"variable/layer": reason}`. All others are stored as JSON text under `settings`,
            since netCDF attributes cannot be dictionaries, booleans or `None`. A callback puts its
            settings under its class name: `settings={"GradientNorms": {…}}`. Defaults to `None`.

    Returns:
        The run, with steps and layers in the given order.

    Raises:
        ValueError: If a name or a dimension is unknown, lengths disagree, or a setting is not
            valid in JSON.

    Example:
        >>> run = dataset(
        ...     {"distance": (("step", "layer"), [[2.0], [0.0]])},
        ...     {"step": [0, 10], "layer": ["dense"], "depth": [0]},
        ...     {"reference": "final", "settings": {"LayerConvergence": {"every": "epoch"}}},
        ... )
        >>> run.distance.attrs["long_name"]
        'distance to the converged parameters'
        >>> settings(run)
        {'LayerConvergence': {'every': 'epoch'}}
    """
    import xarray as xr

    coordinates = {name: coordinate(name, values) for name, values in coords.items()}
    for name, (dims, array, _) in coordinates.items():
        _check_size(f"coordinate '{name}'", dims[0], len(array), coords)
    data = {
        name: _variable(name, tuple(dims), values, coords, *described)
        for name, (dims, values, *described) in variables.items()
    }
    return xr.Dataset(data, coords=coordinates, attrs=attributes(attrs or {}))


def attributes(attrs: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Returns `attrs` in the form in which netCDF can hold them; see `dataset`."""
    attrs = dict(attrs)
    given_settings = dict(attrs.pop("settings", {}))
    reasons = dict(attrs.pop("missing", {}))
    plain = {name: attrs.pop(name, None) for name in PLAIN_ATTRIBUTES}
    held = {name: _plain(name, value) for name, value in plain.items() if value is not None}
    return {
        MARKER: "1",
        "schema_version": SCHEMA_VERSION,
        **held,
        "missing": _json("missing", reasons),
        "settings": _json("settings", {**attrs, **given_settings}),
    }


def of_experiment(run: xr.Dataset, engine: str | None, config: Any, **further: Any) -> xr.Dataset:
    """Returns a run that also holds the settings of its experiment.

    Args:
        run: The run.
        engine: The module whose function `run(config)` repeats the experiment; `None` if there is
            no such function.
        config: The settings of the experiment, an object with `seed` and `to_json`.
        **further: More settings, as values for JSON.
    """
    again = {} if engine is None else {"engine": engine}
    own = settings(run) | again | {"Config": json.loads(config.to_json())} | further
    return run.assign_attrs(seed=config.seed, settings=json.dumps(own))


def settings(run: xr.Dataset) -> dict[str, Any]:
    """Returns the settings that a run was made with, by callback; empty if it holds none."""
    return json.loads(run.attrs.get("settings", "{}"))


def missing(run: xr.Dataset) -> dict[str, str]:
    """Returns why values are missing from a run: `{"variable/layer": reason}`."""
    return json.loads(run.attrs.get("missing", "{}"))


def dims_along_training(name: str, count: int) -> tuple[str, ...]:
    """Returns the dimensions of a variable that is measured at several steps.

    Args:
        name: One of `VARIABLES`.
        count: How many dimensions its values have, `step` included.

    Raises:
        ValueError: If the variable has no such dimensions.
    """
    _lookup(name, VARIABLES, "variable")
    for dims in _dims(name):
        if len(dims) == count and dims[0] == "step":
            return dims
    raise ValueError(
        f"The variable '{name}' has the dimensions {VARIABLES[name].dims}; received values with "
        f"{count} dimensions along training."
    )


def is_taken(name: str) -> bool:
    """Returns whether a name already has a meaning in runs, so that no new quantity may use it."""
    return name in VARIABLES or name in COORDINATES


def is_run(data: xr.Dataset) -> bool:
    """Returns whether a dataset is a run: it is marked, or holds one of `VARIABLES` by layer."""
    if MARKER in data.attrs:
        return True
    return any(
        name in VARIABLES and "layer" in values.dims and _own(values.dims) in _dims(name)
        for name, values in data.data_vars.items()
    )


def _own(dims: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    return tuple(dim for dim in dims if dim != "seed")


def _dims(name: Hashable) -> list[tuple[str, ...]]:
    return [tuple(choice.split()) for choice in VARIABLES[str(name)].dims]


def coordinate(name: str, values: Any) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
    """Returns the dimensions, the values and the description of a coordinate.

    Raises:
        ValueError: If no coordinate has this name, or it cannot have these values.
    """
    quantity = _lookup(name, COORDINATES, "coordinate")
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"The coordinate '{name}' must be a list of values; received {values!r}.")
    if quantity.whole:
        if not _are_whole(array):
            raise ValueError(f"The values of '{name}' must be whole numbers; received {array}.")
        array = array.astype(np.int64)
    elif array.dtype.kind in "OUST":
        array = array.astype(str)
    if name in ("layer", "step", "update") and len(set(array.tolist())) != len(array):
        raise ValueError(f"The values of '{name}' must all be different; received {array}.")
    return (quantity.dims[0],), array, _described(quantity)


def _are_whole(array: np.ndarray) -> bool:
    if array.dtype.kind == "f":
        return bool(np.isfinite(array).all() and (array == np.trunc(array)).all())
    return array.dtype.kind in "iub"


def _variable(
    name: str,
    dims: tuple[str, ...],
    values: Any,
    coords: Mapping[str, Any],
    described: Mapping[str, str] | None = None,
) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
    if described is not None and name not in VARIABLES:
        own = " ".join(map(str, _own(dims)))
        quantity = Quantity(described["long_name"], described["units"], (own,))
    else:
        quantity = _lookup(name, VARIABLES, "variable")
    if described is None and _own(dims) not in _dims(name):
        choices = " or ".join(f"({choice.replace(' ', ', ')})" for choice in quantity.dims)
        raise ValueError(
            f"The variable '{name}' must have the dimensions {choices}; received {dims}."
        )
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != len(dims):
        raise ValueError(
            f"The variable '{name}' must be an array over {dims}; received the shape {array.shape}."
        )
    for dim, size in zip(dims, array.shape, strict=True):
        _check_size(f"variable '{name}'", dim, size, coords)
    return dims, array, _described(quantity)


def _described(quantity: Quantity) -> dict[str, str]:
    return {"long_name": quantity.long_name, "units": quantity.units}


def _check_size(what: str, dim: str, size: int, coords: Mapping[str, Any]) -> None:
    if dim not in coords:
        raise ValueError(
            f"The {what} has the dimension '{dim}', for which `coords` received no values."
        )
    if len(coords[dim]) != size:
        raise ValueError(
            f"The {what} must have as many values along '{dim}' as the coordinate, "
            f"{len(coords[dim])}; received {size}."
        )


def _lookup(name: str, table: Mapping[str, Quantity], what: str) -> Quantity:
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=3) or sorted(table)
    raise ValueError(
        f"'{name}' is not the name of a {what} in a run. Such names are: {', '.join(near)}."
    )


def _plain(name: str, value: Any) -> str | int | float:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, str | int | float) else _json(name, value)


def _json(name: str, value: Any) -> str:
    try:
        return json.dumps(value, default=_encode)
    except TypeError as error:
        raise ValueError(
            f"The run's {name} must be valid in JSON; received {value!r}: {error}."
        ) from error


def _encode(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} is not a type of JSON")
