"""The `GradientPredictiveness` callback: how much gradients change along their own direction."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_lcb.callbacks.recorder import Record
from keras_lcb.landscape.callbacks.loss_recorder import LossRecorder
from keras_lcb.training.selection import LayerSelection

_QUANTITIES = ("gradient_change", "relative_gradient_change", "gradient_cosine", "smoothness")
_UNKNOWN = "In some records the layer was frozen, or its gradient was NaN or infinite."
_NO_GRADIENT = (
    "In some records the layer's gradient was zero, so there was no direction to move along."
)


class GradientPredictiveness(LossRecorder):
    """Records how much each layer's gradient changes when that layer alone follows it.

    `keras_lcb.landscape.gradient_predictiveness` measures the same quantities at any time.

    The cost of a record is one gradient over the given data for each layer and step size, and one
    more; see there. This time grows with the number of samples; a few hundred samples are enough to
    distinguish layers.

    Args:
        x: Inputs: arrays, or a data set as `fit` takes it. A data set is read once into memory, at
            the construction of the callback; see `keras_lcb.landscape.Objective`. This pass
            advances the random state of a data set that shuffles: a training on the same object
            then sees another order.
        y: Targets; `None` for a data set. Defaults to `None`.
        every: When to record: "epoch" for the end of each epoch, or a number of updates n. A record
            is then taken when Keras calls back for the first time at or after each multiple of n.
            Defaults to "epoch".
        step_sizes: The step sizes, positive and ascending. Each layer moves by its gradient times
            the step size. Defaults to five step sizes from 0.001 to 0.1.
        layers: The layers to measure, see `keras_lcb.training.selection.select_layers`. Defaults to
            all layers.
        sample_weight: Weights of the samples; `None` for a data set.
        steps: Number of batches to read from a data set. Defaults to `None`: all batches.
        loss: A loss to use instead of the compiled one, see `keras_lcb.landscape.Objective`.
            Defaults to `None`.
        training: Whether layers behave as in training. Defaults to `False`.
        batch_size: Largest number of samples processed at once, which bounds the memory. Defaults
            to 512.

    Attributes:
        results: The run, an `xarray.Dataset` with `gradient_change`, `relative_gradient_change`
            and `gradient_cosine` (step, layer, step_size), and `smoothness` (step, layer). Frozen
            layers have NaN.

    Raises:
        ValueError: If step sizes are not positive and ascending, or
            `keras_lcb.landscape.Objective` refuses the data. When training begins, if the model
            has no loss.

    Example:
    >>> import keras, numpy as np
    >>> inputs = keras.Input((3,))
    >>> outputs = keras.layers.Dense(1)(keras.layers.Dense(4, activation="relu")(inputs))
    >>> model = keras.Model(inputs, outputs)
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((8, 3)), np.ones((8, 1))
    >>> predictiveness = GradientPredictiveness(x, y, step_sizes=[0.01, 0.1])
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[predictiveness])
    >>> dict(predictiveness.results.gradient_change.sizes)
    {'step': 3, 'layer': 2, 'step_size': 2}
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        every: str | int = "epoch",
        step_sizes: ArrayLike | None = None,
        *,
        layers: LayerSelection = None,
        sample_weight: Any = None,
        steps: int | None = None,
        loss: Any = None,
        training: bool = False,
        batch_size: int = 512,
    ) -> None:
        from keras_lcb.landscape.predictiveness import STEP_SIZES, checked_step_sizes

        self.step_sizes = checked_step_sizes(STEP_SIZES if step_sizes is None else step_sizes)
        super().__init__(
            x,
            y,
            every,
            layers,
            sample_weight=sample_weight,
            steps=steps,
            loss=loss,
            training=training,
            batch_size=batch_size,
        )

    # Recording.

    def measure(self) -> Record:
        """Measures the layers at the current weights."""
        from keras_lcb.landscape.predictiveness import measure

        objective = self._objective
        parts = [objective.moving(row) for row in self._rows]
        moving = [part for part in parts if part is not None]
        found = measure(objective, moving, self.step_sizes) if moving else {}
        places = [place for place, part in enumerate(parts) if part is not None]
        record = {}
        for name in _QUANTITIES:
            shape = (len(parts),) if name == "smoothness" else (len(parts), len(self.step_sizes))
            record[name] = np.full(shape, math.nan)
            if moving:
                record[name][places] = found[name]
        return record

    # The run.

    def coordinates(self) -> dict[str, Any]:
        """Returns the coordinates of the dimensions other than `step` and `layer`."""
        return {"step_size": self.step_sizes}

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        return {**super().settings(), "step_sizes": self.step_sizes.tolist()}

    def _explain_missing(self) -> None:
        self._missing = {}
        for place, row in enumerate(self._rows):
            change = np.stack([record["gradient_change"][place] for record in self._records])
            if np.isnan(change).all(axis=1).any():
                self._missing |= {f"{name}/{row.name}": _UNKNOWN for name in _QUANTITIES}
            elif not change.any(axis=1).all():
                self._missing |= {f"{name}/{row.name}": _NO_GRADIENT for name in _QUANTITIES[1:]}
