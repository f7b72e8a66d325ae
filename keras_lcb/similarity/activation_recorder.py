"""What callbacks share that read layers' activations on given samples."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_lcb.callbacks.recorder import Recorder
from keras_lcb.landscape.samples import read
from keras_lcb.similarity.batches import mini_batches
from keras_lcb.similarity.grams import GramReader
from keras_lcb.training.selection import LayerSelection


class ActivationRecorder(Recorder):
    """A recorder of Gram matrices of layers' activations on mini-batches of given samples.

    The samples are taken into memory at once, so that all records see the same ones.

    Args:
        x: Inputs, or a data set.
        y: Targets, or `None`.
        every: See `Recorder`.
        layers: See `Recorder`.
        steps: How many batches to take of a data set.
        batch_size: Most samples in a mini-batch; `None` for all at once.
        least: Fewest samples in a mini-batch.
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
        self._unread: dict[str, str] = {}  # why rows could not be read at the newest record

    @property
    def _reader(self) -> GramReader:
        """Reads the layers; made again where the model has other variables than before."""
        if self._made is None or not self._made.is_current():
            self._made = GramReader(self._model, self._rows, self.layers)
        return self._made

    def attached(self) -> None:
        """Reads the layers once."""
        self._reader(self._on_device(self._batches_of_x[0]))  # what it refuses is refused now

    def _grams(self) -> list[np.ndarray]:
        """The matrices of each mini-batch, (layers, n, n), at the model's present weights."""
        found = [self._reader(self._on_device(batch)) for batch in self._batches_of_x]
        self._unread = self._reader.unread
        return found

    @staticmethod
    def _on_device(batch: Any) -> Any:
        return keras.tree.map_structure(keras.ops.convert_to_tensor, batch)

    def _note_missing(self, name: str, values: np.ndarray) -> None:
        """Says why values of layers are missing.

        Args:
            name: Name of the variable.
            values: (steps, layers, ...)
        """
        for place, row in enumerate(self._rows):
            if np.isnan(values[:, place]).any():
                why = self._unread.get(row.name) or self._why(name, values[:, place])
                self._missing[f"{name}/{row.name}"] = why

    def _why(self, name: str, values: np.ndarray) -> str:
        """Returns why a layer that can be read has no value of a variable in some records."""
        return _ALIKE

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        return {**super().settings(), "samples": self._data.count, "steps": self.steps}


_ALIKE = (
    "In some records the layer's activations were the same for all samples, as those of dead units "
    "are, or not finite."
)
