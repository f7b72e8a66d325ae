"""The `RepresentationSimilarity` callback: how similar activations are to the final ones."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_lcb.callbacks.recorder import LOCK, Record
from keras_lcb.similarity.activation_recorder import ActivationRecorder
from keras_lcb.similarity.cka import LEAST_SAMPLES, cka, hsic_vector, unit, vector_size
from keras_lcb.training.selection import LayerSelection

_KEPT = "kept"
_LEAST_RECORDS = 3
_MIB = 2**20


class RepresentationSimilarity(ActivationRecorder):
    """Records how similar each layer's activations are to its final and to its initial ones.

    The similarity is linear CKA on given samples, estimated without bias from mini-batches. It is 1
    if two sets of activations differ only by a rotation and a scale, and near 0 (sometimes a
    little below) if they have nothing in common. It measures what a layer does, and not its
    weights, so it is an independent check on `LayerConvergence`. The model does not change.
    Stateful RNNs are measured from states of zero in each mini-batch.

    `keras_lcb.analysis.time_to_similarity` returns when a layer reaches a similarity of 0.9.

    Args:
        x: Inputs: arrays, or a data set as `fit` takes it, whose targets are ignored. The samples
            are read into memory once, when the callback is created. A few hundred are enough.
        every: When to take a record: "epoch" for the end of each epoch, or a number n for every
            n updates. Where one call of the step makes several updates (`steps_per_execution`),
            the record is taken at the end of the call that reaches n. Defaults to "epoch".
        layers: Which layers to follow: `None` for all; "blocks" to group layers into the blocks
            that their names tell; a list of layers or nested models, or of their names, each
            measured as one; or a function that takes a Keras layer and returns the name of its
            group, or `None` to leave the layer out. The activations of a block, a group or a
            nested model are those that it passes on, after its shortcuts and activation functions.
            Defaults to `None`.
        batch_size: The largest number of samples in a mini-batch, 4 or more. Defaults to 64.
        budget: The most memory, in bytes, that records may take. If they need more, some of them
            lose their similarity to the final activations, which is then NaN. The records that
            keep it are exact, and evenly spread over the training. Defaults to 2 GiB.
        steps: The number of batches to read from a data set. Defaults to `None`: all.

    Attributes:
        results: The run, an `xarray.Dataset` with `similarity` and `similarity_to_start` (step,
            layer). During training, the newest activations replace the final ones, and
            `attrs["provisional"]` is 1. Values are NaN, with a reason in `attrs["missing"]`, if
            a layer's activations are the same for all samples.

    Raises:
        ValueError: If there are fewer than 4 samples, or `budget` is no number. Before training, if
            the samples do not fit the model, a layer is unknown, a layer is called within a loop,
            or three records do not fit into `budget`.

    Cost: each record takes a forward pass over the samples, in evaluation mode, and n·b·d
    multiplications for a layer with d outputs, n samples and mini-batches of b samples. The final
    activations are known only when training ends, so each record keeps the Gram matrices of the
    mini-batches, which take 2·n·b bytes for each layer.

    Reference: Nguyen, Raghu & Kornblith (2020), "Do Wide and Deep Networks Learn the Same Things?
    Uncovering How Neural Network Representations Vary with Width and Depth", arXiv 2010.15327.

    Example:
    >>> import numpy as np
    >>> import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="lin")])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.random.default_rng(0).normal(size=(2, 16, 3))
    >>> similarity = RepresentationSimilarity(x[:, :2])
    >>> history = model.fit(x[:, :2], y, epochs=2, verbose=0, callbacks=[similarity])
    >>> float(similarity.results.similarity.sel(layer="lin")[-1])
    1.0
    """

    def __init__(
        self,
        x: Any,
        every: str | int = "epoch",
        layers: LayerSelection = None,
        *,
        batch_size: int = 64,
        budget: int = 2 * 2**30,
        steps: int | None = None,
    ) -> None:
        _check_budget(budget)
        self.budget = budget
        super().__init__(
            x, None, every, layers, steps=steps, batch_size=batch_size, least=LEAST_SAMPLES
        )

    def attached(self) -> None:
        """Checks that the budget is large enough, and that the activations can be read."""
        needed = _LEAST_RECORDS * self._record_bytes()
        if needed > self.budget:
            raise ValueError(
                f"`budget` must hold {_LEAST_RECORDS} records, which take {needed / _MIB:,.3f} "
                f"MiB; received {self.budget / _MIB:,.3f} MiB. Pass fewer samples, a smaller "
                "`batch_size`, fewer `layers`, or a larger `budget`."
            )
        super().attached()

    def _record_bytes(self) -> int:
        return 4 * len(self._rows) * vector_size(self._batch_sizes)

    # Recording.

    def measure(self) -> Record:
        """Measures the layers at the present weights."""
        vectors = unit(hsic_vector(self._grams())).astype("float32")
        first = self._records[0][_KEPT] if self._records else vectors
        self._make_room()
        return {_KEPT: vectors, "similarity_to_start": cka(vectors, first)}

    def _make_room(self) -> None:
        """Deletes the vectors of one record if those of the next would not fit into the budget."""
        keep = [place for place, record in enumerate(self._records) if _KEPT in record]
        if (len(keep) + 1) * self._record_bytes() <= self.budget:
            return
        if len(keep) == len(self._records):
            warnings.warn(
                f"{len(keep):,} records fill the budget of {self.budget / _MIB:,.3f} MiB. For each "
                "new record, an earlier one loses its similarity to the final activations.",
                stacklevel=2,
            )
        steps = [self._records[place]["step"] for place in keep] + [self._updates.now()]
        with LOCK:
            del self._records[keep[_least_missed(steps)]][_KEPT]

    # The run.

    def _columns(self) -> dict[str, tuple[tuple[str, ...], Any]]:
        end = self._records[-1][_KEPT]
        known = [place for place, record in enumerate(self._records) if _KEPT in record]
        similarity = np.full((len(self._records), len(self._rows)), math.nan)
        for place in known:
            similarity[place] = cka(self._records[place][_KEPT], end)
        to_start = np.stack([record["similarity_to_start"] for record in self._records])
        self._missing = {}
        self._note_missing("similarity", similarity[known])
        self._note_missing("similarity_to_start", to_start)
        if len(known) < len(self._records):
            self._missing["similarity"] = (
                f"{len(self._records) - len(known)} of {len(self._records)} records lost their "
                "values to keep to `budget`."
            )
        over = ("step", "layer")
        return {"similarity": (over, similarity), "similarity_to_start": (over, to_start)}

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        return {**super().settings(), "batch_size": self.batch_size, "budget": self.budget}


def _check_budget(budget: Any) -> None:
    if not (isinstance(budget, numbers.Real) and float(budget) > 0):
        raise ValueError(f"`budget` must be a number of bytes; received {budget!r}.")


def _least_missed(steps: Sequence[int]) -> int:
    """Returns the place of the inner step whose removal leaves the smallest gap."""
    return min(range(1, len(steps) - 1), key=lambda place: steps[place + 1] - steps[place - 1])
