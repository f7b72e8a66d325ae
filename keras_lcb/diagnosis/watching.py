"""The `Diagnosis` callback: warns while training as soon as something is found."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from keras_lcb.callbacks.recorder import Record
from keras_lcb.callbacks.step_quantities import StepQuantities
from keras_lcb.callbacks.unseen_updates import squared_norms
from keras_lcb.diagnosis.diagnosing import diagnose
from keras_lcb.diagnosis.finding import CERTAIN
from keras_lcb.diagnosis.findings import Findings
from keras_lcb.quantities import DeadUnits, FirstGradient, GradientNorm, UpdateNorm
from keras_lcb.training.selection import LayerSelection

# A look at the run takes longer the more records it has.
_GROWTH = 1.05


class Diagnosis(StepQuantities):
    """Watches a training and warns, once a finding, of what goes wrong in it.

    It records what the rules of `lcb.diagnose` need: norms of gradients, updates and weights, the
    gradient of the first update, and the share of units without gradient. What other callbacks
    measure too is measured once. A look at the run takes milliseconds, on the host; from some
    dozens of records on, not each one brings a look. What is not certain is told when two looks
    in a row find it, or at the end. `collect` it with `LayerConvergence`, and `diagnose` tells
    more.

    Args:
        every: When a record is taken: "epoch", or a number of updates n: at the first return to
            the host at or after each multiple of n. Defaults to "epoch".
        layers: Which layers to follow, see `StepQuantities`. Defaults to `None`: every layer.
        backup: A folder that keeps the record, written at each one; a new process with the same
            folder goes on from it. Defaults to `None`.
        optimizer: The optimizer, or a list of them, that train the model, where they are no
            attributes of it. Defaults to `None`: they are found.

    Attributes:
        results: The run, an `xarray.Dataset` with `gradient_norm`, `update_norm`, `dead_units`,
            `first_gradient` and `parameter_norm` (step, layer).
        findings: What `diagnose` says of it.

    Raises:
        ValueError: Before training, for a model that is not compiled, an unknown layer, or an
            optimizer whose gradients cannot be followed.

    Example:
    >>> import keras, numpy as np, warnings
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
    >>> model.compile(keras.optimizers.SGD(10.0), "mse")
    >>> watched = Diagnosis()
    >>> x, y = np.ones((64, 2)), np.zeros((64, 1))
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     history = model.fit(x, y, epochs=30, verbose=0, callbacks=[watched])
    >>> "not finite" in watched.findings.names, len(told) >= 1
    (True, True)
    """

    needs_weights = True

    def __init__(
        self,
        every: str | int = "epoch",
        layers: LayerSelection = None,
        *,
        backup: str | os.PathLike[str] | None = None,
        optimizer: Any = None,
    ) -> None:
        super().__init__(
            GradientNorm(),
            UpdateNorm(),
            DeadUnits(),
            FirstGradient(),
            every=every,
            layers=layers,
            backup=backup,
            optimizer=optimizer,
        )

    def reset(self) -> None:
        """Forgets everything recorded, so that the next `fit` begins a new run."""
        super().reset()
        self._told: set[str] = set()  # names of what was warned of
        self._suspected: set[str] = set()  # names of what was found at the last look
        self._looked = 0  # records at the last look

    @property
    def findings(self) -> Findings:
        """What is found in the run so far.

        Raises:
            RuntimeError: If nothing has been recorded yet.
        """
        return diagnose(self.results)

    def on_train_end(self, logs: Any = None) -> None:
        """Takes the last record, and a last look."""
        super().on_train_end(logs)
        if self._records:
            self._look()

    def _take(self, step: int) -> None:
        super()._take(step)
        if len(self._records) >= max(2, _GROWTH * self._looked):
            self._look()

    def _look(self) -> None:
        """Warns of what is certain, or found at two looks in a row or at the end."""
        self._looked = len(self._records)
        findings = self.findings
        for finding in findings:
            clear = self._ended or finding.sure == CERTAIN or finding.name in self._suspected
            if clear and finding.name not in self._told:
                self._told.add(finding.name)
                warnings.warn(str(finding), stacklevel=2)
        self._suspected = set(findings.names)

    # Recording.

    def measure(self) -> Record:
        """Takes what was measured in the step, and the size of the weights."""
        norms = np.sqrt(squared_norms(self._model, self._rows))
        return super().measure() | {"parameter_norm": norms}

    def _columns(self) -> dict[str, tuple[Any, ...]]:
        return super()._columns() | {"parameter_norm": self._column("parameter_norm")}

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        settings = super().settings()
        del settings["quantities"], settings["per_update"]  # the class says them
        return settings
