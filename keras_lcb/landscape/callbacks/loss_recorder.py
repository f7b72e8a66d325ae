"""The base of callbacks that measure the loss around the weights, on given data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras_lcb.backend import internals
from keras_lcb.callbacks.recorder import Recorder
from keras_lcb.training.selection import LayerSelection

if TYPE_CHECKING:
    from keras_lcb.landscape.objective import Objective


class LossRecorder(Recorder):
    """The base of recorders that measure the model's loss on given data.

    The loss is available to subclasses as a function of the weights, `self._objective`. The data
    are read into memory at the construction, so that all records see the same samples.

    Args:
        x: Inputs, or a data set.
        y: Targets, or `None`.
        every: See `Recorder`.
        layers: See `Recorder`.
        sample_weight: Weights of the samples, or `None`.
        steps: Number of batches to read from a data set; `None` for all batches.
        loss: A loss to use instead of the compiled one, or `None`.
        training: Whether layers behave as in training.
        batch_size: Largest number of samples processed at once.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        every: str | int,
        layers: LayerSelection,
        *,
        sample_weight: Any,
        steps: int | None,
        loss: Any,
        training: bool,
        batch_size: int,
    ) -> None:
        from keras_lcb.landscape.samples import read

        given = {"x": x, "y": y, "sample_weight": sample_weight, "loss": loss}
        self.data = tuple(name for name, value in given.items() if value is not None)
        self._data = read(x, y, sample_weight, steps)
        self.steps = steps
        self.loss = loss
        self.training = bool(training)
        self.batch_size = batch_size
        super().__init__(every, layers, None)

    def reset(self) -> None:
        """Forgets everything recorded, so that the next `fit` begins a new run."""
        super().reset()
        self._made: Objective | None = None
        self._made_of: list[Any] = []

    @property
    def _objective(self) -> Objective:
        """Returns the loss. It is made again after `compile`, freezing or unfreezing."""
        model = self._model
        # Compares the objects, not their ids: a new object may get the id of a deleted one.
        made_of = [model, internals.compiled_loss(model), *model.trainable_variables]
        if self._made is None or not _same(made_of, self._made_of):
            from keras_lcb.landscape.objective import Objective

            self._made = Objective(
                model,
                self._data,
                loss=self.loss,
                training=self.training,
                batch_size=self.batch_size,
            )
            self._made_of = made_of
        return self._made

    def _build_ahead(self) -> bool:
        from keras_lcb.landscape.building import build_on

        build_on(self._model, self._data, type(self).__name__)
        return True

    def attached(self) -> None:
        """Checks that the model can be measured."""
        _ = self._objective  # raises its errors before training begins

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        from keras_lcb.landscape.loss import loss_name

        return {
            **super().settings(),
            "samples": self._data.count,
            "measured_loss": loss_name(self.loss),
            "steps": self.steps,
            "batch_size": self.batch_size,
            "training": self.training,
        }


def _same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
