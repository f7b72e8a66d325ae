"""The `ResponseFrequency` callback: how fast the outputs of layers vary with the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.callbacks.recorder import Record
from keras_lcb.response.gaussian_filter import GaussianFilter
from keras_lcb.response.targets import TEXT, as_functions
from keras_lcb.similarity.activation_recorder import CONSTANT, ActivationRecorder
from keras_lcb.training.selection import LayerSelection

CUTOFFS = (0.3, 0.4, 0.5, 0.6)
_MOST_OWN = 0.5  # largest `own_weight` at which frequencies are separated
_OVER = ("step", "layer", "cutoff")
_OWN = "own_weight"  # for each layer and cut-off, of the layer's output
_TOO_SPARSE = (
    "In some records, the samples were so far apart in the layer's output that an average at high "
    "cut-offs consists mostly of a single sample. Use lower `cutoffs` or more samples."
)


class ResponseFrequency(ActivationRecorder):
    """Records how fast each layer's output varies, and what it leaves for the layers above.

    It measures two different things:

    - `response_frequency`: what the layer *contributes*. The layer's output is a function of the
      image, and this is the share of its energy above each cut-off frequency. If a layer is the
      last one of a residual branch, this describes what the branch adds. A block
      (`layers="blocks"`) describes what it passes on, including the shortcut.
    - `target_frequency`: what is *left for the layers above*. They see the layer's output instead
      of the image, so the target is a function of that output. This is the share of its energy
      above each cut-off frequency. By the deep frequency principle, it falls with depth.

    Both use the Gaussian-kernel method, which averages over neighbouring samples; see
    `keras_lcb.response.GaussianFilter`. For example, a cut-off of 0.5 separates functions that make
    less than half a wave over the typical distance of two samples from those that make more. The
    model does not change. Stateful RNNs are measured from states of zero.

    Args:
        x: Images or other inputs, or a data set as `fit` takes it. The samples are read into memory
            once, when the callback is created. A few hundred are enough for the default cut-offs;
            higher ones need more.
        y: Targets: class labels as integers, or floating point numbers. `None` if `x` is a data
            set, or if there are no targets; then there is no `target_frequency`. Defaults to
            `None`.
        every: When to take a record: "epoch" for the end of each epoch, or a number n for every
            n updates. Where one call of the step makes several updates (`steps_per_execution`),
            the record is taken at the end of the call that reaches n. Defaults to "epoch".
        cutoffs: The cut-off frequencies in ascending order, in waves over the typical distance (the
            root mean square) of two samples. This is the distance of images for
            `response_frequency`, and of a layer's outputs for `target_frequency`. Defaults to
            (0.3, 0.4, 0.5, 0.6).
        layers: Which layers to follow: `None` for all; "blocks" to group layers into the blocks
            that their names tell; a list of layers or nested models, or of their names, each
            measured as one; or a function that takes a Keras layer and returns the name of its
            group, or `None` to leave the layer out. Defaults to `None`.
        steps: The number of batches to read from a data set. Defaults to `None`: all.

    Attributes:
        results: The run, an `xarray.Dataset` with `response_frequency` (step, layer, cutoff). With
            targets, it also has `target_frequency` (step, layer, cutoff), and
            `input_target_frequency` (cutoff) for the target as a function of the images, before
            the first layer. Values are NaN, with a reason in `attrs["missing"]`, if a layer's
            output is the same for all samples, or if the samples are too far apart in it.

    Raises:
        ValueError: If the cut-offs are not positive and ascending, or too high for the number of
            samples; or if `x` or `y` hold text, NaN or infinite values. Before training, if the
            samples do not fit the model, a layer is unknown, or a layer is called within a loop.

    Cost: each record takes a forward pass over all samples at once, in evaluation mode. For n
    samples, the host then computes an n × n kernel and its product with the targets for each layer
    and cut-off.

    References: Xu et al. (2020), "Frequency Principle" (arXiv 1901.06523), for the method; Xu &
    Zhou (2020), "Deep frequency principle towards understanding why deeper learning is faster"
    (arXiv 2007.14313), for the target that is left. They use the energy of the low-frequency part
    instead of the share.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3, name="lin")])
    >>> model.compile("sgd", "mse")
    >>> x = np.linspace(0, 1, 64)[:, None]
    >>> response = ResponseFrequency(x, np.sin(20 * x), cutoffs=[0.5, 1, 2])
    >>> history = model.fit(x, x, epochs=1, verbose=0, callbacks=[response])
    >>> dict(response.results.target_frequency.sizes)
    {'step': 2, 'layer': 1, 'cutoff': 3}
    >>> response.results.response_frequency[0, 0].values.round(2)  # linear: of low frequency
    array([0.04, 0.  , 0.  ])
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        every: str | int = "epoch",
        cutoffs: Sequence[float] = CUTOFFS,
        layers: LayerSelection = None,
        *,
        steps: int | None = None,
    ) -> None:
        self.cutoffs = _checked(cutoffs)
        super().__init__(x, y, every, layers, steps=steps, batch_size=None, least=4)
        if len(self._data.parts) > 1:
            raise ValueError(
                "All samples must have the same shape; received several shapes. Resize or pad them."
            )
        _, targets, _ = self._data.parts[0]
        self._targets = None if targets is None else as_functions(targets)
        self._filters = _filters_of_inputs(self._batches_of_x[0], self.cutoffs)

    # Recording.

    def measure(self) -> Record:
        """Measures the layers at the present weights."""
        (grams,) = self._grams()
        record: Record = {
            "response_frequency": np.array(
                [[each.share_above_in(gram) for each in self._filters] for gram in grams]
            )
        }
        if self._targets is not None:
            left = [_left(self._targets, gram, self.cutoffs) for gram in grams]
            record["target_frequency"], record[_OWN] = map(np.array, zip(*left, strict=True))
        return record

    # The run.

    def _columns(self) -> dict[str, tuple[tuple[str, ...], Any]]:
        self._missing = {}
        names = [name for name in _NAMES if name in self._records[0]]
        variables: dict[str, tuple[tuple[str, ...], Any]] = {}
        for name in names:
            values = np.stack([record[name] for record in self._records])
            self._note_missing(name, values)
            variables[name] = (_OVER, values)
        if self._targets is not None:
            shares = [each.share_above(self._targets) for each in self._filters]
            variables["input_target_frequency"] = (("cutoff",), shares)
        else:
            self._missing["target_frequency"] = "No target was given."
        return variables

    def _why(self, name: str, place: int) -> str:
        if name != "target_frequency":
            return super()._why(name, place)
        own = np.stack([record[_OWN][place] for record in self._records])
        reasons = {_TOO_SPARSE: own > _MOST_OWN, CONSTANT: np.isnan(own)}
        return " ".join(reason for reason, holds in reasons.items() if holds.any())

    def coordinates(self) -> dict[str, Any]:
        """Returns the cut-off frequencies, the coordinate of the dimension `cutoff`."""
        return {"cutoff": self.cutoffs}

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        return {**super().settings(), "cutoffs": self.cutoffs.tolist()}


_NAMES = ("response_frequency", "target_frequency")


def _left(
    targets: np.ndarray, gram: np.ndarray, cutoffs: np.ndarray
) -> tuple[list[float], list[float]]:
    """Returns the shares of the targets, as functions of a layer's output, above each cut-off.

    A share is NaN if the samples are too far apart in this output. The second list has the weights
    of a sample's own value, which tell this.
    """
    filters = [GaussianFilter(gram, cutoff) for cutoff in cutoffs]
    own = [each.own_weight for each in filters]
    shares = [
        each.share_above(targets) if each.own_weight <= _MOST_OWN else math.nan for each in filters
    ]
    return shares, own


def _checked(cutoffs: Sequence[float]) -> np.ndarray:
    try:
        values = np.asarray(cutoffs, dtype="float64")
    except (TypeError, ValueError):  # text, or lists of different lengths
        values = np.empty(0)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"`cutoffs` must be a list of frequencies, such as {CUTOFFS}; received {cutoffs!r}."
        )
    if values[0] <= 0 or np.any(np.diff(values) <= 0):
        raise ValueError(f"`cutoffs` must be above 0 and ascending; received {cutoffs!r}.")
    return values


def _filters_of_inputs(x: Any, cutoffs: np.ndarray) -> list[GaussianFilter]:
    inputs = keras.tree.flatten(x)
    if any(part.dtype.kind in TEXT for part in inputs):
        raise ValueError(
            "Distances of samples need numbers, but `x` holds text. Pass `x` as numbers, and the "
            "model without the layers that turn text into numbers."
        )
    rows = np.concatenate([part.reshape(len(part), -1) for part in inputs], axis=1, dtype="float64")
    broken = np.count_nonzero(~np.isfinite(rows).all(axis=1))
    if broken:
        raise ValueError(
            f"{broken} of the {len(rows)} samples in `x` have values that are NaN or infinite. "
            "Leave these samples out, or replace the values."
        )
    rows -= rows.mean(axis=0)
    if not rows.any():
        raise ValueError(
            f"Received {len(rows)} samples that are all the same. Pass different samples."
        )
    filters = [GaussianFilter(rows @ rows.T, cutoff) for cutoff in cutoffs]
    for cutoff, each in zip(cutoffs, filters, strict=True):
        if not each.own_weight <= _MOST_OWN:
            raise ValueError(
                f"The {len(rows)} samples are too far apart for a cut-off of {cutoff:g}: a "
                f"sample's own value would make up {each.own_weight:.0%} of the average around it. "
                "Use lower `cutoffs` or more samples."
            )
    return filters
