"""What callbacks share that measure the loss around the weights: data, and its compiled loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras_lcb.callbacks.recorder import Recorder
from keras_lcb.training.selection import LayerSelection

if TYPE_CHECKING:
    from keras_lcb.landscape.objective import Objective


class LossRecorder(Recorder):
    """A recorder of the model's loss on given data, as a function of the weights.

    The data are taken into memory at once, so that all records see the same samples.

    Args:
        x: Inputs, or a data set.
        y: Targets, or `None`.
        every: See `Recorder`.
        layers: See `Recorder`.
        sample_weight: Weights of the samples, or `None`.
        steps: How many batches to take of a data set.
        loss: A loss in place of the compiled one, or `None`.
        training: Whether layers behave as in training.
        batch_size: Most samples at once.
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
        """The loss, made again after `compile`, freezing or unfreezing."""
        model = self._model
        # The objects themselves, not their ids, which others may have once these are gone.
        made_of = [model, getattr(model, "_compile_loss", None), *model.trainable_variables]
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

    def attached(self) -> None:
        """Refuses models that it cannot measure."""
        _ = self._objective  # what it refuses is refused before training

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
