"""`Recorder`: the base of callbacks that measure layers at records, and the run that they make."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import internals
from keras_lcb.callbacks.rates import learning_rate, rate_of_each_layer
from keras_lcb.callbacks.record_timing import LOCK, Record, RecordTiming
from keras_lcb.runs import schema
from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.selection import LayerSelection

__all__ = ["LOCK", "Record", "Recorder"]

# What each record holds beside what is measured.
_STANDING = {"step", "epoch", "wall_time", "loss", "validation_loss", "learning_rates"}


class Recorder(RecordTiming):
    """Base class of callbacks that measure something about each layer when a record is due.

    A subclass says what it measures (`measure`) and what that is called (`variables`). The first
    record is taken before training; several `fit` calls on one model go on with one run. What can
    only be measured within the training step, such as gradients, is a `StepQuantity` instead.

    A record costs what `measure` costs, and nothing is done between records.

    Args:
        every: When a record is taken: "epoch", or a number of updates n: at the first return to
            the host at or after each multiple of n. Defaults to "epoch".
        layers: Which layers to follow: `None` for all; "blocks"; a list of layers or names; or a
            function from a Keras layer to the name of its group. Defaults to `None`.
        backup: A folder that keeps the record, written at each one; a new process with the same
            folder goes on from it. Defaults to `None`.
        optimizer: The optimizer, or a list of them, that train the model, where they are no
            attributes of it. Defaults to `None`: they are found.

    Attributes:
        variables: What `measure` returns, by name: `long_name`, `units`, and `dims`, which is
            `("layer",)` unless said otherwise.
        needs_weights: Whether `measure` reads weights, which on JAX have to be brought back into
            the model first. Defaults to `True`.
        data: Names of the arguments that were given as data, which a run does not keep.
        followed: The followed layers, each with its `name`, its `variables`, and `layers`, the
            Keras layers behind it. Known from `attached` on.
        results: The run so far, an `xarray.Dataset`; readable at any time, from any thread.

    Example:
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

    # What a subclass fills in.

    def measure(self) -> Record:
        """Measures the followed layers as they are now.

        Returns:
            Arrays by name, each over the dimensions that `variables` says.
        """
        raise TypeError(f"{type(self).__name__} does not say what it measures: define `measure`.")

    def attached(self) -> None:
        """Called when the model's variables exist and `followed` is known, before training.

        This is where to refuse a model or data.
        """

    def coordinates(self) -> dict[str, Any]:
        """Returns the values along the dimensions that are neither records nor layers."""
        return {}

    def attributes(self) -> dict[str, Any]:
        """Returns what is known of the run as a whole."""
        return {}

    def settings(self) -> dict[str, Any]:
        """Returns the settings, so that a run says how it was recorded."""
        chosen = self.layers
        if callable(chosen) and not isinstance(chosen, keras.Layer):
            chosen = getattr(chosen, "__name__", "")
        elif chosen is not None and not isinstance(chosen, str):
            chosen = [getattr(each, "name", each) for each in chosen]
        return {"every": self.every, "layers": chosen}

    # What built-in callbacks do differently.

    def _columns(self) -> dict[str, tuple[Any, ...]]:
        """Makes the run's variables of the records."""
        names = [name for name in self._records[0] if name not in _STANDING]
        return {name: self._column(name) for name in names}

    def _column(self, name: str) -> tuple[Any, ...]:
        values = np.stack([np.asarray(record[name], float) for record in self._records])
        if name in self.variables:
            described = self.variables[name]
            return ("step", *described.get("dims", ("layer",))), values, described
        return schema.dims_along_training(name, values.ndim), values

    def _explain_missing(self) -> None:
        """Notes in `_missing` why values are missing."""

    # The run.

    @property
    def results(self):
        """The run so far, an `xarray.Dataset`; readable at any time, from any thread.

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
        """What was measured at each record so far, raw; as quick to read as `results` is not."""
        with LOCK:
            return tuple(self._records)

    @property
    def followed(self) -> tuple[TrackedLayer, ...]:
        """The followed layers, in the order of their first call."""
        return tuple(self._rows)

    def __getstate__(self) -> dict[str, Any]:
        """A copy holds the settings and the run, not the model of which it was recorded."""
        recorded = self._records or self._copied is not None
        run = self.results if recorded else None
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__, _store=None)
        copied.reset()
        copied._copied, copied._store = run, self._store
        return copied.__dict__

    def _run(self):
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
        variables |= self._columns()  # before the attributes: it may note what is missing
        kinds = [
            each.kind for each, used in zip(self._updates.optimizers, stepped, strict=True) if used
        ]
        notes = {f"depth/{name}".rstrip("/"): note for name, note in self._notes.items()}
        unseen = {"step": self._unseen.sentence} if self._unseen.sentence else {}
        attributes = {
            "provisional": int(not self._ended),
            "seed": internals.seed_in_force(),
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
        """Returns the settings, and what else it takes to make such a callback again."""
        own = type(self)
        public = own.__module__.startswith("keras_lcb.")
        made_of = {} if public else {"class": f"{own.__module__}.{own.__qualname__}"}
        return made_of | ({"data": list(self.data)} if self.data else {}) | self.settings()

    def _used_optimizers(self) -> list[bool]:
        """For each optimizer, whether it made updates; all of them where none did."""
        stepped = self._updates.stepped
        return stepped if any(stepped) else [True] * len(stepped)


def _check_names(variables: Mapping[str, Mapping[str, Any]]) -> None:
    for name, described in variables.items():
        if schema.is_taken(name):
            raise ValueError(
                f"The name '{name}' means something else in a run. Give what you measure another "
                "name in `variables`."
            )
        lacking = {"long_name", "units"} - set(described)
        if lacking:
            raise ValueError(f"`variables` says no {' and no '.join(sorted(lacking))} of '{name}'.")


def _backend_version() -> str:
    return importlib.metadata.version(keras.backend.backend())
