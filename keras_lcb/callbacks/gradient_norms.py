"""The `GradientNorms` callback: how large each layer's gradients and updates are."""

from __future__ import annotations

import os
from typing import Any

from keras_lcb.callbacks.step_quantities import StepQuantities
from keras_lcb.quantities import GradientNorm, UpdateNorm
from keras_lcb.training.selection import LayerSelection


class GradientNorms(StepQuantities):
    """Records the norms of each layer's gradients and updates, measured inside the training step.

    Norms are of the effective gradient: unscaled under mixed precision, of the accumulated batch
    where gradients are accumulated, reduced over devices, before clipping, and without the steps
    that a loss scaler leaves out. The sums stay on the device until a record is due; the gradients
    are those that training computes anyway. Model, optimizer and saved files stay as they are.
    It is `StepQuantities` with two quantities.

    Args:
        every: When a record is taken: "epoch", or a number of updates n: at the first return to
            the host at or after each multiple of n. Defaults to "epoch".
        per_update: Whether to keep each update's norms too. Defaults to `False`.
        layers: `None` for every layer; "blocks" for blocks, as far as names tell them; a list of
            layer names, of names of nested models, or of Keras layers, each read as one; or a
            function from a Keras layer to the name of its group, `None` to leave it out. Defaults
            to `None`.
        log: Whether to put `gradient_norm/<layer>` and `update_norm/<layer>`, RMS over the epoch,
            into the epoch's logs, where `History` and the loggers that stand later in the list
            of callbacks find them. Defaults to `False`.
        backup: A folder that keeps the record, written at each one; a new process with the same
            folder goes on from it. Defaults to `None`.
        optimizer: The optimizer, or a list of them, that train the model, where they are no
            attributes of it. Defaults to `None`: they are found.

    Attributes:
        results: The run, an `xarray.Dataset` with `gradient_norm` and `update_norm`
            (step, layer): RMS over the layer's own updates since the previous record, NaN before
            training and for a layer that no gradient reaches. With `per_update`, also
            `gradient_norm_per_update` and `update_norm_per_update` (update, layer).

    Raises:
        ValueError: Before training, for a model that is not compiled, an unknown layer, or an
            optimizer whose gradients cannot be followed.

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
        del settings["quantities"]  # the class says them
        return settings
