"""The `RepresentationSimilarity` callback: when what a layer puts out is what it will put out."""

from __future__ import annotations

import math
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

    The similarity is linear CKA on samples that you give, estimated without bias from
    mini-batches: 1 where two sets of activations are the same but for rotation and scale, near 0
    where they have nothing in common (a little below, at times). It looks at what a layer does,
    whatever its parameters are, and so is an independent check on `LayerConvergence`.

    Of each record the Gram matrices of the mini-batches are kept, never activations: 2·n·b bytes a
    layer for n samples in mini-batches of b, since the final ones are known only at the end. A
    record takes one forward pass over the samples, in evaluation mode, and b·n·d multiplications
    for a layer with d outputs; nothing of the model changes.

    Args:
        x: Inputs: arrays, or a data set as `fit` takes it, whose targets are left alone. It is
            read once into memory, now. Some hundred samples tell layers apart.
        every: When a record is taken: "epoch", or a number of updates n: at the first return to
            the host at or after each multiple of n. Defaults to "epoch".
        layers: Which layers, see `LayerConvergence`; `"blocks"` for blocks. The activations of a
            block, a group or a nested model are what it passes on, after shortcuts and
            activation functions that belong to it. Defaults to `None`: the outputs of each layer
            that has parameters.
        batch_size: Most samples in a mini-batch, 4 or more. Defaults to 64.
        budget: Most bytes that records may take. Where they would take more, some of them give up
            their similarity to the final activations (NaN), so that those with one stay evenly
            spread over the training, and exact. Defaults to 2 GiB.
        steps: How many batches to take of a data set. Defaults to `None`: all of them.

    Attributes:
        results: The run, an `xarray.Dataset` with `similarity` and `similarity_to_start` (step,
            layer). During training the newest activations stand in for the final ones, and
            `attrs["provisional"]` is 1. NaN, with a reason in `attrs["missing"]`, where a layer's
            activations are the same for all samples.

    Raises:
        ValueError: For fewer than 4 samples; before training, for samples that do not fit the
            model, an unknown layer, a layer that works within a loop, or a budget below three
            records.

    See `keras_lcb.analysis.time_to_similarity` for when a layer reaches 0.9.

    Reference: Nguyen, Raghu & Kornblith (2020), "Do Wide and Deep Networks Learn the Same Things?
    Uncovering How Neural Network Representations Vary with Width and Depth", arXiv 2010.15327.

    Example:
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
        self.budget = budget
        super().__init__(
            x, None, every, layers, steps=steps, batch_size=batch_size, least=LEAST_SAMPLES
        )

    def attached(self) -> None:
        """Refuses a budget that is too small, and models that cannot be read."""
        needed = _LEAST_RECORDS * self._record_bytes()
        if needed > self.budget:
            raise ValueError(
                f"`budget` is {self.budget / _MIB:,.3f} MiB, and {_LEAST_RECORDS} records, the "
                f"fewest, take {needed / _MIB:,.3f} MiB. Pass fewer samples, a smaller "
                "`batch_size`, fewer `layers`, or a larger `budget`."
            )
        super().attached()

    def _record_bytes(self) -> int:
        return 4 * len(self._rows) * vector_size(self._batch_sizes)

    # Recording.

    def measure(self) -> Record:
        """Measures the layers at the weights as they are."""
        vectors = unit(hsic_vector(self._grams())).astype("float32")
        first = self._records[0][_KEPT] if self._records else vectors
        self._make_room()
        return {_KEPT: vectors, "similarity_to_start": cka(vectors, first)}

    def _make_room(self) -> None:
        """Forgets the vectors of a record where those of one more would not fit."""
        keep = [place for place, record in enumerate(self._records) if _KEPT in record]
        if (len(keep) + 1) * self._record_bytes() <= self.budget:
            return
        if len(keep) == len(self._records):
            warnings.warn(
                f"{len(keep):,} records fill the budget of {self.budget / _MIB:,.3f} MiB: for each "
                "further one, another gives up its similarity to the final activations.",
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
                f"{len(self._records) - len(known)} of {len(self._records)} records gave theirs up "
                "to keep to the budget."
            )
        over = ("step", "layer")
        return {"similarity": (over, similarity), "similarity_to_start": (over, to_start)}

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        return {**super().settings(), "batch_size": self.batch_size, "budget": self.budget}


def _least_missed(steps: Sequence[int]) -> int:
    """Place of the step, neither first nor last, without which the smallest gap is left."""
    return min(range(1, len(steps) - 1), key=lambda place: steps[place + 1] - steps[place - 1])
