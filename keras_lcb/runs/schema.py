"""What a run may hold: names, meanings, units and dimensions; and `dataset`, which builds runs.

A run is an `xarray.Dataset`. Every callback builds its results with `dataset`, so that a name has
the same meaning in all runs. A quantity that is measured in the training step brings its own
description (`keras_lcb.StepQuantity`). Everything else is a line in `VARIABLES`.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

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


@dataclass(frozen=True)
class Quantity:
    """The meaning of a name in a run.

    Attributes:
        long_name: A description that serves as an axis label.
        units: The units; "1" for a pure number.
        dims: The alternative dimensions, each as names that are separated by spaces.
        whole: Whether values are whole numbers. Defaults to `False`.
    """

    long_name: str
    units: str
    dims: tuple[str, ...]
    whole: bool = False


COORDINATES: dict[str, Quantity] = {
    "step": Quantity("optimizer updates applied", "updates", ("step",), whole=True),
    "epoch": Quantity("epochs completed", "epochs", ("step",)),
    "wall_time": Quantity("time since training began", "s", ("step",)),
    "update": Quantity("number of the optimizer update", "updates", ("update",), whole=True),
    "layer": Quantity("layer path relative to the model", "1", ("layer",)),
    "depth": Quantity("position in the order of calls", "1", ("layer",), whole=True),
    "parameters": Quantity("number of trainable parameters", "1", ("layer",), whole=True),
    "shape": Quantity("shapes of the layer's kernels", "1", ("layer",)),
    "kind": Quantity("class of the layer", "1", ("layer",)),
    "role": Quantity("part the layer plays in the network", "1", ("layer",)),
    "frequency": Quantity("wave number", "1", ("frequency",), whole=True),
    "cutoff": Quantity("cut-off frequency", "waves per typical distance", ("cutoff",)),
    "x": Quantity("position", "1", ("x",)),
    "rank": Quantity("place among the largest eigenvalues", "1", ("rank",), whole=True),
    "step_size": Quantity("step size along the gradient", "1", ("step_size",)),
    "direction": Quantity("number of the random direction", "1", ("direction",), whole=True),
    "alpha": Quantity("position along the first direction", "1", ("alpha",)),
    "beta": Quantity("position along the second direction", "1", ("beta",)),
    "seed": Quantity("seed of the run", "1", ("seed",), whole=True),
}

_STEP_LAYER = ("step layer",)
_UPDATE_LAYER = ("update layer",)
_LAYER = ("layer", "step layer")
_LAYER_RANK = ("layer rank", "step layer rank")
_LAYER_STEP_SIZE = ("layer step_size", "step layer step_size")

VARIABLES: dict[str, Quantity] = {
    # How far each layer is from where it ends.
    "distance": Quantity("distance to the converged parameters", "1", _STEP_LAYER),
    "distance_standard_error": Quantity("standard error of a sketched distance", "1", _STEP_LAYER),
    "normalized_distance": Quantity("distance relative to its initial value", "1", _STEP_LAYER),
    "effective_distance": Quantity(
        "distance between the kernels that LoRA layers use", "1", _STEP_LAYER
    ),
    "angle": Quantity("1 - cosine between kernels now and at the start", "1", _STEP_LAYER),
    "angle_to_end": Quantity("1 - cosine between kernels now and at the end", "1", _STEP_LAYER),
    "way_from_start": Quantity(
        "distance from the initial parameters relative to that of the converged ones",
        "1",
        _STEP_LAYER,
    ),
    "parameter_norm": Quantity("norm of the parameters", "1", _STEP_LAYER),
    # How similar its activations are to those at another moment.
    "similarity": Quantity("similarity of activations to the final ones", "1", _STEP_LAYER),
    "similarity_to_start": Quantity(
        "similarity of activations to the initial ones", "1", _STEP_LAYER
    ),
    # How large each layer's gradients are, and how far it moves.
    "gradient_norm": Quantity("RMS gradient norm since the last record", "1", _STEP_LAYER),
    "update_norm": Quantity("RMS update norm since the last record", "1", _STEP_LAYER),
    "gradient_norm_per_update": Quantity("gradient norm of each update", "1", _UPDATE_LAYER),
    "update_norm_per_update": Quantity("norm of each update", "1", _UPDATE_LAYER),
    # How training goes.
    "loss": Quantity("training loss", "1", ("step", "direction alpha", "alpha beta")),
    "validation_loss": Quantity("validation loss", "1", ("step",)),
    "learning_rate": Quantity("learning rate", "1", ("step", "layer", "step layer")),
    # Which frequencies each layer carries.
    "frequency_share": Quantity(
        "share of the target's frequency carried by the layer", "1", ("step layer frequency",)
    ),
    "frequency_centroid": Quantity(
        "energy centroid of the layer's spectrum, leakage included", "1", _STEP_LAYER
    ),
    "frequency_error": Quantity(
        "error at a frequency relative to the target", "1", ("step frequency",)
    ),
    "r2": Quantity(
        "R² of a linear read-out for a frequency",
        "1",
        ("layer frequency", "step layer frequency"),
    ),
    # How much of what varies fast with the image, by a Gaussian filter.
    "response_frequency": Quantity(
        "share of the layer's response above the cut-off frequency", "1", ("step layer cutoff",)
    ),
    "target_frequency": Quantity(
        "share of the target above the cut-off frequency, as a function of the layer's output",
        "1",
        ("step layer cutoff",),
    ),
    "input_target_frequency": Quantity(
        "share of the target above the cut-off frequency, as a function of the input",
        "1",
        ("cutoff",),
    ),
    # The output of a network of one variable.
    "target": Quantity("what is to be learned", "1", ("x",)),
    "prediction": Quantity("output of the network", "1", ("step x",)),
    "contribution": Quantity("what the layer adds to the output", "1", ("step layer x",)),
    # What the loss looks like around a layer.
    "eigenvalue": Quantity("largest eigenvalues of the Hessian block", "1", _LAYER_RANK),
    "smallest_eigenvalue": Quantity("smallest eigenvalue of the Hessian block", "1", _LAYER),
    "smallest_residual": Quantity(
        "residual of the smallest eigenvalue relative to the largest magnitude", "1", _LAYER
    ),
    "residual": Quantity("relative residual of the eigenpair", "1", _LAYER_RANK),
    "scaled_eigenvalue": Quantity(
        "largest eigenvalues times the squared norm of the parameters", "1", _LAYER_RANK
    ),
    "eigenvalue_per_parameter": Quantity(
        "largest eigenvalues times the mean square of the parameters",
        "1",
        _LAYER_RANK,
    ),
    "filter_curvature": Quantity("curvature along filter-normalised directions", "1", _LAYER),
    "filter_curvature_standard_error": Quantity(
        "standard error of the curvature along filter-normalised directions", "1", _LAYER
    ),
    "products": Quantity("Hessian-vector products taken", "1", _LAYER),
    "trace": Quantity("trace of the Hessian block", "1", _LAYER),
    "trace_standard_error": Quantity("standard error of the trace", "1", _LAYER),
    "gradient_change": Quantity("change of the gradient after a step", "1", _LAYER_STEP_SIZE),
    "relative_gradient_change": Quantity(
        "change of the gradient relative to its norm", "1", _LAYER_STEP_SIZE
    ),
    "gradient_cosine": Quantity(
        "cosine between the gradients before and after a step", "1", _LAYER_STEP_SIZE
    ),
    "smoothness": Quantity("effective smoothness", "1", _LAYER),
    "lower": Quantity("largest learning rate seen to be stable", "1", ("layer",)),
    "upper": Quantity("smallest learning rate seen to be unstable", "1", ("layer",)),
    "theory": Quantity("2 / largest eigenvalue", "1", _LAYER),
    "stable_learning_rate": Quantity("largest stable learning rate", "1", _LAYER),
    "layer_slice": Quantity("loss along a random direction", "1", ("step layer alpha",)),
    "slice_rise": Quantity("rise of the loss half a filter norm away", "1", _LAYER),
}


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

    coordinates = {name: _coordinate(name, values) for name, values in coords.items()}
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
    """Returns whether a dataset is a run: marked as one, or with a run's variables of layers."""
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


def _coordinate(name: str, values: Any) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
    quantity = _lookup(name, COORDINATES, "coordinate")
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"The coordinate '{name}' must be a list of values; received {values!r}.")
    if quantity.whole:
        array = array.astype(np.int64)
    elif array.dtype.kind in "OUST":
        array = array.astype(str)
    if name in ("layer", "step", "update") and len(set(array.tolist())) != len(array):
        raise ValueError(f"The values of '{name}' must all be different; received {array}.")
    return (quantity.dims[0],), array, _described(quantity)


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
