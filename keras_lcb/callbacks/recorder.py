"""`Recorder`: the base class of callbacks that measure layers from time to time, as a run."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_lcb.callbacks.kept_records import LOCK, Record
from keras_lcb.callbacks.loop_timing import LoopTiming
from keras_lcb.callbacks.measured import checked
from keras_lcb.callbacks.rates import learning_rate, rate_of_each_layer
from keras_lcb.runs import schema
from keras_lcb.runs.names import COORDINATES
from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.selection import LayerSelection

if TYPE_CHECKING:  # xarray takes longer to import than the rest of the package together
    import xarray as xr

__all__ = ["LOCK", "Record", "Recorder"]

# Entries of every record, whatever its callback measures.
COMMON_ENTRIES = {"step", "epoch", "wall_time", "loss", "validation_loss", "learning_rates"}


class Recorder(LoopTiming):
    """Base class of callbacks that measure something about each layer when a record is due.

    A subclass defines `measure`, which returns the measured arrays, and `variables`, which names
    and describes them. The first record is taken before training. If `fit` is called several times
    on one model, the run continues. To measure inside the training step, where the gradients are,
    write a `StepQuantity` instead.

    A record costs what `measure` costs. Between records, the callback does no work.

    Args:
        every: When to take a record: "epoch" for the end of each epoch, or a number n for every
            n updates. Where one call of the step makes several updates (`steps_per_execution`),
            the record is taken at the end of the call that reaches n. Defaults to "epoch".
        layers: Which layers to follow: `None` for all; "blocks"; a list of layers or names; or a
            function from a Keras layer to the name of its group. Defaults to `None`.
        backup: A folder to which each record is written. A new process that is given the same
            folder continues the run. Defaults to `None`: nothing is written.
        optimizer: The optimizer that trains the model, or a list of optimizers. Needed only if
            they are not attributes of the model. Defaults to `None`: they are found there.

    Attributes:
        variables: A mapping from the name of each array that `measure` returns to its
            description: `long_name`, `units`, and optionally `dims`, which defaults to
            `("layer",)`.
        needs_weights: Whether `measure` reads weights. On JAX, `fit` keeps them outside the model,
            so they are first copied back into it. Defaults to `True`.
        data: Names of those arguments of the constructor that are data. A run does not store them.
        followed: The followed layers, each with its `name`, its `variables`, and `layers`, the
            Keras layers that it stands for. Available in `attached` and afterwards.
        results: The run so far, an `xarray.Dataset`. It can be read at any time, from any thread.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> import keras_lcb as lcb
    >>> class Sparsity(lcb.Recorder):
    ...     variables = {"sparsity": {"long_name": "share of weights near zero", "units": "1"}}
    ...
    ...     def measure(self):
    ...         return {"sparsity": [self.share(layer.variables) for layer in self.followed]}
    ...
    ...     def share(self, variables):
    ...         values = [keras.ops.convert_to_numpy(each).ravel() for each in variables]
    ...         return (abs(np.concatenate(values)) < 0.01).mean()
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
    >>> model.compile("sgd", "mse")
    >>> sparsity = Sparsity()
    >>> history = model.fit(np.ones((8, 2)), np.ones(8), verbose=0, callbacks=[sparsity])
    >>> dict(sparsity.results.sparsity.sizes)
    {'step': 2, 'layer': 1}
    """

    variables: Mapping[str, Mapping[str, Any]] = {}
    data: tuple[str, ...] = ()

    def __init__(
        self,
        every: str | int = "epoch",
        layers: LayerSelection = None,
        backup: Any = None,
        optimizer: Any = None,
    ) -> None:
        _check_names(self.variables)
        super().__init__(every, layers, backup, optimizer)

    # Subclasses define these methods.

    def attached(self) -> None:
        """Prepares the measurement, before training, once the model's variables exist.

        `followed` is known here. Raise an error here if the model or the data do not fit.
        """

    def coordinates(self) -> dict[str, Any]:
        """Returns the coordinates of all dimensions but `step` and `layer`.

        A run knows the dimensions in `keras_lcb.runs.names.COORDINATES`, such as `frequency`.
        """
        return {}

    def attributes(self) -> dict[str, Any]:
        """Returns attributes that describe the run as a whole."""
        return {}

    def settings(self) -> dict[str, Any]:
        """Returns the callback's settings, which the run stores."""
        chosen = self.layers
        if callable(chosen) and not isinstance(chosen, keras.Layer):
            chosen = getattr(chosen, "__name__", "")
        elif chosen is not None and not isinstance(chosen, str):
            chosen = [getattr(each, "name", each) for each in chosen]
        return {"every": self.every, "layers": chosen}

    # Built-in callbacks override these methods. They leave `variables` empty.

    def _checked_measure(self) -> Record:
        """Returns what `measure` returns, checked, so that errors come with the first record."""
        measured = self.measure()
        if not self.variables:
            return measured
        return checked(type(self).__name__, measured, self.variables, self._size_of)

    def _size_of(self, dim: str) -> int:
        coordinates = self.coordinates()
        own = sorted({"step", "layer"} & set(coordinates))
        if own:
            raise ValueError(
                f"`coordinates` of {type(self).__name__} returns '{own[0]}', which every run has "
                "by itself. Leave it out."
            )
        if dim == "layer":
            return len(self._rows)
        if dim not in coordinates:
            raise ValueError(
                f"`coordinates` of {type(self).__name__} must return the values along the "
                f"dimension '{dim}', which `variables` names; received {sorted(coordinates)}."
            )
        return len(schema.coordinate(dim, coordinates[dim])[1])

    def _columns(self) -> dict[str, tuple[Any, ...]]:
        """Builds the run's variables from the records."""
        names = [name for name in self._records[0] if name not in COMMON_ENTRIES]
        return {name: self._column(name) for name in names}

    def _column(self, name: str) -> tuple[Any, ...]:
        values = np.stack([np.asarray(record[name], float) for record in self._records])
        if name in self.variables:
            described = self.variables[name]
            return ("step", *described.get("dims", ("layer",))), values, described
        return schema.dims_along_training(name, values.ndim), values

    def _explain_missing(self) -> None:
        """Writes to `_missing` why values are missing."""

    # The run.

    @property
    def results(self) -> xr.Dataset:
        """The run so far, an `xarray.Dataset`. It can be read at any time, from any thread.

        Raises:
            RuntimeError: If nothing has been recorded yet.
        """
        if self._copied is not None:
            return self._copied.copy(deep=True)
        if not self._records:
            raise RuntimeError(
                f"This {type(self).__name__} has recorded nothing yet: pass it to "
                "`model.fit(..., callbacks=[...])` first."
            )
        with LOCK:
            return self._run()

    @property
    def records(self) -> tuple[Record, ...]:
        """The records as `measure` returned them; much quicker to read than `results`."""
        with LOCK:
            return tuple(self._records)

    @property
    def followed(self) -> tuple[TrackedLayer, ...]:
        """The followed layers, in the order of their first call."""
        return tuple(self._rows)

    def __getstate__(self) -> dict[str, Any]:
        """Returns the state for a copy or a pickle: the settings and the run, without the model."""
        recorded = self._records or self._copied is not None
        run = self.results if recorded else None
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__, _store=None)
        copied.reset()
        copied._copied, copied._store = run, self._store
        return copied.__dict__

    def _run(self) -> xr.Dataset:
        def column(name: str) -> list[Any]:
            return [record[name] for record in self._records]

        coordinates = {name: column(name) for name in ("step", "epoch", "wall_time")}
        coordinates |= {
            "layer": [row.name for row in self._rows],
            "depth": list(range(len(self._rows))),
            "parameters": [row.parameters for row in self._rows],
            "shape": [row.shape for row in self._rows],
            "kind": [row.kind for row in self._rows],
            "role": [row.role for row in self._rows],
        }
        variables: dict[str, tuple[Any, ...]] = {
            name: (("step",), column(name))
            for name in ("loss", "validation_loss")
            if not all(math.isnan(value) for value in column(name))
        }
        stepped = self._used_optimizers()
        rates = rate_of_each_layer(column("learning_rates"), stepped)
        variables |= learning_rate(rates)
        self._explain_missing()
        variables |= self._columns()  # before the attributes, since it may add to `_missing`
        kinds = [
            each.kind for each, used in zip(self._updates.optimizers, stepped, strict=True) if used
        ]
        notes = {f"depth/{name}".rstrip("/"): note for name, note in self._notes.items()}
        sentence = self._unseen.sentence or self._interrupted
        unseen = {"step": sentence} if sentence else {}
        attributes = {
            "provisional": int(not self._ended),
            "seed": self._seed_in_force,
            "keras_version": keras.__version__,
            "backend": keras.backend.backend(),
            "backend_version": _backend_version(),
            "optimizer": "+".join(dict.fromkeys(kinds)),
            "learning_rate": float(next(iter(rates[np.isfinite(rates)]), math.nan)),
            "missing": {**self._missing, **notes, **unseen},
            **self.attributes(),
            "settings": {type(self).__name__: self._described()},
        }
        return schema.dataset(variables, coordinates | self.coordinates(), attributes)

    def _described(self) -> dict[str, Any]:
        """Returns everything that is needed to make an equal callback again."""
        own = type(self)
        public = own.__module__.startswith("keras_lcb.")
        made_of = {} if public else {"class": f"{own.__module__}.{own.__qualname__}"}
        return made_of | ({"data": list(self.data)} if self.data else {}) | self.settings()

    def _used_optimizers(self) -> list[bool]:
        """Returns whether each optimizer made updates; `True` for all if none did."""
        stepped = self._updates.stepped
        return stepped if any(stepped) else [True] * len(stepped)


def _check_names(variables: Mapping[str, Mapping[str, Any]]) -> None:
    for name, described in variables.items():
        if schema.is_taken(name) or name in COMMON_ENTRIES:
            raise ValueError(
                f"`variables` uses the name '{name}', which already has another meaning in a run. "
                "Choose another name."
            )
        dims = described.get("dims", ("layer",))
        known = sorted(COORDINATES.keys() - {"step"})
        if not isinstance(dims, tuple | list) or not set(dims) <= set(known):
            raise ValueError(
                f"`dims` of '{name}' in `variables` must be a tuple of dimensions without `step`, "
                f"such as ('layer',); received {dims!r}. A run knows these: {', '.join(known)}."
            )
        lacking = sorted({"long_name", "units"} - set(described))
        if lacking:
            raise ValueError(
                f"`variables` must describe '{name}' with a `long_name` and `units`; received "
                f"{dict(described)!r}, which lacks {' and '.join(lacking)}."
            )


def _backend_version() -> str:
    return importlib.metadata.version(keras.backend.backend())
