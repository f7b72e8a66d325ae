"""One training of a lab, with `model.fit` and the package's callbacks, in pieces of any length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import xarray as xr

from keras_lcb.callbacks import GradientNorms, LayerConvergence
from keras_lcb.lab.engine.live import along
from keras_lcb.lab.views.layers import LayersView, stages
from keras_lcb.runs import schema
from keras_lcb.runs.merging import collect

# Trains a model with these callbacks, from this record on.
Fit = Callable[[keras.Model, list[Any], int], None]


class LayersTraining:
    """Trains one network. It can stop after any record and continue later.

    Args:
        model: The compiled network.
        config: The experiment. If it has `layers`, they say what the rows of the run are.
        fit: Trains the network; a record is taken at the end of each of its epochs.
        planned: Pairs of an update and the learning rate to set there. Defaults to none.

    Attributes:
        planned: The pairs that are still to come.
        learning_rate: The learning rate from the next record on. Any thread may set it.
        changes: Pairs of an update and the learning rate that was set there.
        diverged: Whether the loss has become infinite or NaN, which ends the training.
    """

    def __init__(
        self,
        model: keras.Model,
        config: Any,
        fit: Fit,
        planned: Sequence[tuple[int, float]] = (),
    ) -> None:
        self.config = config
        self.planned = list(planned)
        self.learning_rate = config.learning_rate
        self.changes: list[tuple[int, float]] = []
        self.diverged = False
        rows = getattr(config, "layers", None)
        self._convergence = LayerConvergence(layers=rows)
        self._gradients = GradientNorms(layers=rows)
        self._recorders: list[Any] = [self._convergence, self._gradients]
        self._model, self._fit = model, fit
        self._pace = _Pace(self)
        self._rate_in_force = config.learning_rate
        self._records = 0  # without the first, which is taken before training

    @property
    def records(self) -> int:
        """The number of records so far, without the one before training."""
        return self._records

    @property
    def step(self) -> int:
        """Updates so far."""
        return self._records * self.config.record_every

    @property
    def done(self) -> bool:
        """Whether all updates are made, or the loss is not finite."""
        return self.diverged or self.step >= self.config.updates

    @property
    def news(self) -> int:
        """A number that grows with everything that `view` shows; 0 if there is no view yet."""
        return self._records

    def advance(self, enough: Callable[[], bool]) -> None:
        """Continues to train, in one `fit`, until all updates are made or `enough()` is true.

        `enough` is called after each record.
        """
        self._pace.enough = enough
        self._fit(self._model, [*self._recorders, self._pace], self._records)

    def view(self) -> LayersView:
        """Returns the current view, with a provisional endpoint. Any thread may call this."""
        convergence, gradients = self._convergence.records, self._gradients.records
        records = min(len(convergence), len(gradients))
        return LayersView(
            layers=tuple(row.name for row in self._convergence.followed),
            updates=self.config.updates,
            **along(convergence[:records], gradients[:records]),
            provisional=True,
            changes=self._stages(),
        )

    def run(self) -> xr.Dataset:
        """Returns the run so far, with distances to the newest weights."""
        # No engine, since none can repeat a training with changing learning rates.
        changed = {"learning_rate_changes": self.changes} if self.changes else {}
        return schema.of_experiment(collect(*self._parts()), None, self.config, **changed)

    def _parts(self) -> tuple[Any, ...]:
        """Returns everything that has recorded a part of the run."""
        return tuple(self._recorders)

    def _stages(self) -> tuple[tuple[int, float, float], ...]:
        return stages(self.config.learning_rate, self.changes, self.config.record_every)


class _Pace(keras.callbacks.Callback):
    """Sets the learning rate, counts the records, and ends `fit` when `enough` says so."""

    def __init__(self, training: LayersTraining) -> None:
        super().__init__()
        self._training = training
        self.enough: Callable[[], bool] = lambda: False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        training = self._training
        while training.planned and training.planned[0][0] <= training.step:
            training.learning_rate = training.planned.pop(0)[1]
        rate = training.learning_rate
        if rate != training._rate_in_force:
            self.model.optimizer.learning_rate = rate
            training._rate_in_force = rate
            training.changes.append((training.step, rate))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._training._records += 1
        self._training.diverged = not np.isfinite((logs or {}).get("loss", 0.0))
        if self._training.diverged or self.enough():
            self.model.stop_training = True
