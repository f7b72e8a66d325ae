"""The `Diagnosis` callback: warns during training when something goes wrong in a layer."""

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

# The longer the run, the longer a diagnosis takes. So the number of records must grow by this
# factor before the next one, which keeps the total time proportional to the number of records.
_GROWTH = 1.05


class Diagnosis(StepQuantities):
    """Warns during training when something goes wrong in a layer, once for each problem.

    It records what the rules of `lcb.diagnose` need: the norms of gradients, updates and weights,
    the gradient of the first update, and the share of units without a gradient. After records, it
    applies these rules to the run so far. It warns of a finding at once if it is certain, and
    otherwise if two successive diagnoses make it, or if it still holds when training ends. A rule
    that ends with an error does not stop training: there is one warning of it. To let `diagnose`
    find more, `collect` this callback together with `LayerConvergence`.

    Args:
        every: When to take a record: "epoch" for the end of each epoch, or a number n for every
            n updates. Where one call of the step makes several updates (`steps_per_execution`),
            the record is taken at the end of the call that reaches n. Defaults to "epoch".
        layers: Which layers to follow: `None` for all; "blocks" to group layers into the blocks
            that their names tell; a list of layers or nested models, or of their names, each
            measured as one; or a function that takes a Keras layer and returns the name of its
            group, or `None` to leave the layer out. Defaults to `None`.
        backup: A folder to which each record is written. A new process that is given the same
            folder continues the run. Defaults to `None`: nothing is written.
        optimizer: The optimizer that trains the model, or a list of optimizers. Needed only if
            they are not attributes of the model. Defaults to `None`: they are found there.

    Attributes:
        results: The run, an `xarray.Dataset` with `gradient_norm`, `update_norm`, `dead_units`,
            `first_gradient` and `parameter_norm` (step, layer).
        findings: What `diagnose` finds in the run so far.

    Raises:
        ValueError: Before training, if the model is not compiled, a layer is unknown, or the
            gradients of the optimizer cannot be measured.

    Cost: a few sums over the gradients and the weights in each update, inside the compiled step. If
    other callbacks measure the same, it is measured only once. Each record computes the norms of
    the weights, and each diagnosis takes milliseconds on the host. In long runs, not every record
    is followed by a diagnosis.

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
        self._told: set[str] = set()  # findings and failures that were warned of
        self._suspected: set[str] = set()  # findings of the last diagnosis
        self._looked = 0  # number of records at the last diagnosis

    @property
    def findings(self) -> Findings:
        """Returns what `diagnose` finds in the run so far.

        Raises:
            RuntimeError: If nothing has been recorded yet.
        """
        return diagnose(self.results)

    def on_train_end(self, logs: Any = None) -> None:
        """Takes the last record, and diagnoses the run a last time."""
        super().on_train_end(logs)
        if self._records:
            self._look()

    def _take(self, step: int) -> None:
        super()._take(step)
        if len(self._records) >= max(2, _GROWTH * self._looked):
            self._look()

    def _look(self) -> None:
        """Warns of findings that are certain, or made twice in succession, or made at the end."""
        self._looked = len(self._records)
        findings = self.findings
        for finding in findings:
            if self._ended or finding.sure == CERTAIN or finding.name in self._suspected:
                self._warn(finding.name, str(finding))
        for name in findings.failed:
            self._warn(f"{name} failed", f"Not decided: {name}. {findings.untold[name]}")
        self._suspected = set(findings.names)

    def _warn(self, about: str, text: str) -> None:
        """Warns once of each matter."""
        if about not in self._told:
            self._told.add(about)
            warnings.warn(text, stacklevel=3)

    # Recording.

    def measure(self) -> Record:
        """Returns what was measured in the step, and the norms of the weights."""
        norms = np.sqrt(squared_norms(self._model, self._rows))
        return super().measure() | {"parameter_norm": norms}

    def _columns(self) -> dict[str, tuple[Any, ...]]:
        return super()._columns() | {"parameter_norm": self._column("parameter_norm")}

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        settings = super().settings()
        del settings["quantities"], settings["per_update"]  # the same for every Diagnosis
        return settings
