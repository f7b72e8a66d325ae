"""The `ResponseFrequency` callback: how fast what each layer puts out varies with the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.callbacks.recorder import Record
from keras_lcb.response.gaussian_filter import GaussianFilter
from keras_lcb.response.targets import as_functions
from keras_lcb.similarity.activation_recorder import ActivationRecorder
from keras_lcb.training.selection import LayerSelection

CUTOFFS = (0.3, 0.4, 0.5, 0.6)
_MOST_OWN = 0.5
_OVER = ("step", "layer", "cutoff")
_TOO_SPARSE = (
    "In some records the samples lay so far apart in the layer's output that averages at the "
    "highest cut-offs are mostly one sample's own value: take lower `cutoffs` or more samples."
)


class ResponseFrequency(ActivationRecorder):
    """Records how much of each layer's response varies fast, and what it leaves to those above.

    Two different things are told apart:

    - `response_frequency`: what the layer *contributes*. Its output is a function of the image;
      this is the share of it above each cut-off frequency. Of a shortcut's branch, the last layer
      says what the branch adds; a block (`layers="blocks"`) says what is passed on, shortcut
      included.
    - `target_frequency`: what is *left for the layers above*, which see the layer's output in the
      place of the image. This is the share of the target above each cut-off, as a function of
      that output. By the deep frequency principle it falls with depth.

    Both by the Gaussian-kernel method, which averages over neighbouring samples: see
    `keras_lcb.response.GaussianFilter`. A cut-off of 0.5 separates what goes through less than
    half a wave over the typical distance between two samples from what goes through more.

    A record takes one forward pass over all samples at once, in evaluation mode, and on the host a
    matrix of n × n numbers for n samples, for each layer and cut-off. Nothing of the model
    changes.

    Args:
        x: Images, or other inputs; or a data set as `fit` takes it. It is read once into memory,
            now. Some hundred samples; with more, higher cut-offs can be told apart.
        y: Targets: labels of classes, or numbers; `None` for a data set. Without targets there is
            no `target_frequency`.
        every: When a record is taken: "epoch", or a number of updates n: at the first return to
            the host at or after each multiple of n. Defaults to "epoch".
        cutoffs: The cut-off frequencies, ascending, in waves over the root mean square of the
            distances between two samples: images for `response_frequency`, a layer's outputs for
            `target_frequency`. Defaults to (0.3, 0.4, 0.5, 0.6).
        layers: Which layers, see `LayerConvergence`; `"blocks"` for blocks. Defaults to `None`:
            the outputs of each layer that has parameters.
        steps: How many batches to take of a data set. Defaults to `None`: all of them.

    Attributes:
        results: The run, an `xarray.Dataset` with `response_frequency` and, where targets are
            given, `target_frequency` (step, layer, cutoff), as well as `input_target_frequency`
            (cutoff), the same of the images themselves, before the first layer. NaN, with a reason
            in `attrs["missing"]`, where a layer's output is the same for all samples, or where
            they lie too far apart in it.

    Raises:
        ValueError: For cut-offs that are not positive and ascending, or too high for so few
            samples; before training, for samples that do not fit the model, an unknown layer, or a
            layer that works within a loop.

    References: Xu et al. (2020), "Frequency Principle" (arXiv 1901.06523), for the method; Xu &
    Zhou (2020), "Deep frequency principle towards understanding why deeper learning is faster"
    (arXiv 2007.14313), for the target that is left, there by the energy of the low part alone.

    Example:
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
            raise ValueError("All samples must have one shape: resize or pad them.")
        _, targets, _ = self._data.parts[0]
        self._targets = None if targets is None else as_functions(targets)
        self._filters = _filters_of_inputs(self._batches_of_x[0], self.cutoffs)

    # Recording.

    def measure(self) -> Record:
        """Measures the layers at the weights as they are."""
        (grams,) = self._grams()
        record: Record = {
            "response_frequency": np.array(
                [[each.share_above_in(gram) for each in self._filters] for gram in grams]
            )
        }
        if self._targets is not None:
            record["target_frequency"] = np.stack(
                [_left(self._targets, gram, self.cutoffs) for gram in grams]
            )
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

    def _why(self, name: str, values: np.ndarray) -> str:
        some = np.isfinite(values).any(axis=-1).all()
        return _TOO_SPARSE if name == "target_frequency" and some else super()._why(name, values)

    def coordinates(self) -> dict[str, Any]:
        """Returns the values along further dimensions."""
        return {"cutoff": self.cutoffs}

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        return {**super().settings(), "cutoffs": self.cutoffs.tolist()}


_NAMES = ("response_frequency", "target_frequency")


def _left(targets: np.ndarray, gram: np.ndarray, cutoffs: np.ndarray) -> np.ndarray:
    """Shares of the targets as a function of a layer's output; NaN where samples are sparse."""
    filters = [GaussianFilter(gram, cutoff) for cutoff in cutoffs]
    return np.array(
        [
            each.share_above(targets) if each.own_weight <= _MOST_OWN else math.nan
            for each in filters
        ]
    )


def _checked(cutoffs: Sequence[float]) -> np.ndarray:
    values = np.asarray(cutoffs, dtype="float64")
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"`cutoffs` is a list of frequencies, such as {CUTOFFS}; got {cutoffs!r}.")
    if values[0] <= 0 or np.any(np.diff(values) <= 0):
        raise ValueError(f"`cutoffs` must be above 0 and ascending; received {cutoffs!r}.")
    return values


def _filters_of_inputs(x: Any, cutoffs: np.ndarray) -> list[GaussianFilter]:
    inputs = keras.tree.flatten(x)
    rows = np.concatenate([part.reshape(len(part), -1) for part in inputs], axis=1, dtype="float64")
    rows -= rows.mean(axis=0)
    if not rows.any():
        raise ValueError(f"The {len(rows)} samples are all the same: take different ones.")
    filters = [GaussianFilter(rows @ rows.T, cutoff) for cutoff in cutoffs]
    for cutoff, each in zip(cutoffs, filters, strict=True):
        if not each.own_weight <= _MOST_OWN:
            raise ValueError(
                f"The {len(rows)} samples lie too far apart for a cut-off of {cutoff:g}: an "
                f"average would be to {each.own_weight:.0%} the sample's own value. Take lower "
                "`cutoffs` or more samples."
            )
    return filters
