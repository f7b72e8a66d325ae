"""The `GradientNorms` callback: how large each layer's gradients and updates are."""

from __future__ import annotations

import os
from typing import Any

from keras_lcb.callbacks.step_quantities import StepQuantities
from keras_lcb.quantities import GradientNorm, UpdateNorm
from keras_lcb.training.selection import LayerSelection


class GradientNorms(StepQuantities):
    """Records the norms of each layer's gradients and updates, measured inside the training step.

    The gradient measured is the one that training computes anyway, reduced over all devices and
    before clipping. Mixed precision's loss scale is divided out, and steps that the loss scaler
    skips do not count. Accumulated gradients are measured once they are complete. Sums stay on the
    device until a record is due, so the cost is two sums of squares for each variable and update.
    Model, optimizer and saved files stay as they are. The callback is `StepQuantities` with the
    quantities `GradientNorm` and `UpdateNorm`.

    Args:
        every: When to take a record: "epoch" for the end of each epoch, or a number n for every
            n updates. Where one call of the step makes several updates (`steps_per_execution`),
            the record is taken at the end of the call that reaches n. Defaults to "epoch".
        per_update: Whether to keep the norms of each single update, too. Defaults to `False`.
        layers: Which layers to follow: `None` for all; "blocks" to group layers into the blocks
            that their names tell; a list of layers or nested models, or of their names, each
            measured as one; or a function that takes a Keras layer and returns the name of its
            group, or `None` to leave the layer out. Defaults to `None`.
        log: Whether to add `gradient_norm/<layer>` and `update_norm/<layer>`, the root mean square
            over the epoch, to the epoch's logs. `History` and the loggers that come later in the
            list of callbacks write them. Defaults to `False`.
        backup: A folder to which each record is written. A new process that is given the same
            folder continues the run. Defaults to `None`: nothing is written.
        optimizer: The optimizer that trains the model, or a list of optimizers. Needed only if
            they are not attributes of the model. Defaults to `None`: they are found there.

    Attributes:
        results: The run, an `xarray.Dataset` with `gradient_norm` and `update_norm`
            (step, layer): the root mean square over the layer's updates since the previous record.
            Both are NaN before training, and for a layer that no gradient reaches. With
            `per_update`, the run also has `gradient_norm_per_update` and `update_norm_per_update`
            (update, layer).

    Raises:
        ValueError: Before training, if the model is not compiled, a layer is unknown, or the
            optimizer's gradients cannot be measured.

    Example:
    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
    >>> model.compile("sgd", "mse")
    >>> gradients = GradientNorms()
    >>> x, y = np.ones((8, 2)), np.zeros((8, 1))
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[gradients])
    >>> gradients.results.gradient_norm.sel(layer="lin").shape
    (3,)
    """

    def __init__(
        self,
        every: str | int = "epoch",
        per_update: bool = False,
        layers: LayerSelection = None,
        *,
        log: bool = False,
        backup: str | os.PathLike[str] | None = None,
        optimizer: Any = None,
    ) -> None:
        super().__init__(
            GradientNorm(),
            UpdateNorm(),
            every=every,
            per_update=per_update,
            layers=layers,
            log=log,
            backup=backup,
            optimizer=optimizer,
        )

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        settings = super().settings()
        del settings["quantities"]  # always the same two
        return settings
