"""The base class of callbacks that read the activations of layers on given samples."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_lcb.callbacks.recorder import Recorder
from keras_lcb.landscape.building import build_on
from keras_lcb.landscape.samples import read
from keras_lcb.similarity.batches import mini_batches
from keras_lcb.similarity.grams import GramReader
from keras_lcb.training.selection import LayerSelection


class ActivationRecorder(Recorder):
    """Computes Gram matrices of layers' activations on mini-batches of given samples.

    The constructor reads the samples into memory, so all records use the same ones.

    Args:
        x: Inputs, or a data set.
        y: Targets, or `None`.
        every: See `Recorder`.
        layers: See `Recorder`.
        steps: The number of batches to read from a data set; `None` for all.
        batch_size: The largest number of samples in a mini-batch; `None` for all in one.
        least: The smallest number of samples in a mini-batch.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        every: str | int,
        layers: LayerSelection,
        *,
        steps: int | None,
        batch_size: int | None,
        least: int,
    ) -> None:
        self.data = ("x",) if y is None else ("x", "y")
        self._data = read(x, y, None, steps)
        self.steps = steps
        self.batch_size = batch_size
        self._batches_of_x = mini_batches(self._data, batch_size, least)
        self._batch_sizes = [len(keras.tree.flatten(batch)[0]) for batch in self._batches_of_x]
        super().__init__(every, layers, None)

    def reset(self) -> None:
        """Forgets everything recorded, so that the next `fit` begins a new run."""
        super().reset()
        self._made: GramReader | None = None
        self._unread: dict[str, str] = {}  # reasons why rows had no activations at the last record

    @property
    def _reader(self) -> GramReader:
        """Returns the reader. Makes a new one if the model has other variables than before."""
        if self._made is None or not self._made.is_current():
            self._made = GramReader(self._model, self._rows, self.layers)
        return self._made

    def _build_ahead(self) -> bool:
        build_on(self._model, self._data, type(self).__name__)
        return True

    def attached(self) -> None:
        """Reads the layers once, so that errors come before training."""
        self._reader(self._on_device(self._batches_of_x[0]))

    def _grams(self) -> list[np.ndarray]:
        """Returns the matrices of each mini-batch, (layers, n, n), at the present weights."""
        found = [self._reader(self._on_device(batch)) for batch in self._batches_of_x]
        self._unread = self._reader.unread
        return found

    @staticmethod
    def _on_device(batch: Any) -> Any:
        return keras.tree.map_structure(keras.ops.convert_to_tensor, batch)

    def _note_missing(self, name: str, values: np.ndarray) -> None:
        """Notes why layers have missing values.

        Args:
            name: The name of the variable.
            values: Its values, (steps, layers, ...).
        """
        for place, row in enumerate(self._rows):
            if np.isnan(values[:, place]).any():
                why = self._unread.get(row.name) or self._why(name, place)
                self._missing[f"{name}/{row.name}"] = why

    def _why(self, name: str, place: int) -> str:
        """Returns why a variable is missing in some records of a layer that can be read.

        Args:
            name: The name of the variable.
            place: The place of the layer among the rows.
        """
        return CONSTANT

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        return {**super().settings(), "samples": self._data.count, "steps": self.steps}


CONSTANT = (
    "In some records, the layer's activations were the same for all samples, like those of dead "
    "units, or not finite."
)
