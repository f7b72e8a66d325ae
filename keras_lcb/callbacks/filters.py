"""The `Filters` callback: what some filters of the convolutions look like along training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.callbacks.recorder import Record, Recorder
from keras_lcb.training.layers import TrackedLayer, is_complete, tracked_layers
from keras_lcb.training.selection import LayerSelection, select_layers

MOST = 4  # filters of a layer
LARGEST = 8  # rows and columns of a filter


class Filters(Recorder):
    """Records some filters of each convolution, which the viewer shows inside its network.

    Of each convolution, these are the first four filters, each as it looks at the first channel of
    its input. They are always the same ones, so that one sees them change. Of a group of layers,
    the filters are those of its first convolution.

    Args:
        every: When to take a record: "epoch" for the end of each epoch, or a number n for every
            n updates. Where one call of the step makes several updates (`steps_per_execution`),
            the record is taken at the end of the call that reaches n. Defaults to "epoch".
        layers: Which layers to follow: `None` for all; "blocks" to group layers into the blocks
            that their names tell; a list of layers or nested models, or of their names, each
            measured as one; or a function that takes a Keras layer and returns the name of its
            group, or `None` to leave the layer out. Defaults to `None`.

    Attributes:
        results: The run, an `xarray.Dataset` with `filters` (step, layer, filter, row, column), the
            weights. They are NaN for a layer without filters, and beyond the edge of a filter that
            is smaller than others. Filters of a convolution in one dimension have one row. Of
            filters with more than 8 rows or columns, there are 8, evenly spaced.

    Raises:
        ValueError: Before training, if none of the layers is a convolution in one or two
            dimensions.

    Cost: each record reads the kernels of the convolutions, and keeps at most 256 numbers of each.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> layers = [keras.layers.Conv2D(4, 3, name="conv"), keras.layers.Flatten()]
    >>> model = keras.Sequential([keras.Input((5, 5, 1)), *layers])
    >>> model.compile("sgd", "mse")
    >>> filters = Filters()
    >>> x, y = np.ones((8, 5, 5, 1)), np.zeros((8, 36))
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[filters])
    >>> dict(filters.results.filters.sizes)
    {'step': 3, 'layer': 1, 'filter': 4, 'row': 3, 'column': 3}
    """

    def __init__(self, every: str | int = "epoch", layers: LayerSelection = None) -> None:
        super().__init__(every, layers)

    def reset(self) -> None:
        """Forgets everything recorded, so that the next `fit` begins a new run."""
        super().reset()
        self._kernels: list[tuple[Any, int] | None] = []

    def attached(self) -> None:
        """Finds the kernels."""
        self._kernels = [_kernel_of(row) for row in self.followed]
        if not any(kernel is not None for kernel in self._kernels):
            raise ValueError(
                f"Filters needs a convolution in one or two dimensions; the model "
                f"'{self._model.name}' has none among the layers to follow. Leave the callback out."
            )

    def measure(self) -> Record:
        """Returns the filters at the present weights."""
        return {"filters": _together(self._kernels)}

    def coordinates(self) -> dict[str, Any]:
        """Returns the numbers of filters, rows and columns."""
        sizes = self._records[0]["filters"].shape[1:]
        return {
            name: range(size) for name, size in zip(("filter", "row", "column"), sizes, strict=True)
        }


def filters_of(rows: Sequence[TrackedLayer]) -> np.ndarray:
    """Returns what `Filters` records of rows, at least one of which has filters."""
    return _together([_kernel_of(row) for row in rows])


def has_filters(model: keras.Model, layers: LayerSelection = None) -> bool:
    """Returns whether `Filters` can record such layers of a model; `False` if it is not built."""
    if not is_complete(model):
        return False
    rows = select_layers(tracked_layers(model).layers, layers)
    return any(_kernel_of(row) is not None for row in rows)


# Their kernels are (…, outputs, inputs) or (…, inputs, outputs of each): filters come before last.
_BEFORE_LAST = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)


def _kernel_of(row: TrackedLayer) -> tuple[Any, int] | None:
    """Returns the kernel of a row's first convolution, and which of its axes counts filters."""
    for layer in row.layers:
        size = tuple(getattr(layer, "kernel_size", ()))
        for variable in layer.weights:
            if len(size) in (1, 2) and tuple(variable.shape)[:-2] == size:
                return variable, -2 if isinstance(layer, _BEFORE_LAST) else -1
    return None


def _together(kernels: Sequence[tuple[Any, int] | None]) -> np.ndarray:
    """Returns the filters of kernels as one array, NaN where there are none."""
    found = [None if kernel is None else _shown(*kernel) for kernel in kernels]
    sizes = np.max([each.shape for each in found if each is not None], axis=0)
    filters = np.full((len(found), *sizes), np.nan)
    for place, each in enumerate(found):
        if each is not None:
            count, rows, columns = each.shape
            filters[place, :count, :rows, :columns] = each
    return filters


def _shown(kernel: Any, axis: int) -> np.ndarray:
    """Returns the filters of a kernel that are shown, (filters, rows, columns)."""
    values = keras.ops.convert_to_numpy(kernel)
    values = values[..., 0, :MOST] if axis == -1 else values[..., :MOST, 0]
    values = values.transpose(values.ndim - 1, *range(values.ndim - 1))
    if values.ndim == 2:  # a convolution in one dimension
        values = values[:, np.newaxis]
    for at in (1, 2):
        length = values.shape[at]
        if length > LARGEST:
            kept = np.linspace(0, length - 1, LARGEST).round().astype(int)
            values = values.take(kept, at)
    return values
