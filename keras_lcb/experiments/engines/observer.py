"""A callback that records what a layer computes, and its distance to an earlier endpoint."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import xarray as xr

from keras_lcb.callbacks.snapshots import parameter_vector

DISTANCE_TO_MIDWAY = "distance_to_midway"


class Observer(keras.callbacks.Callback):
    """Records, at the start and at the end of each epoch, two companions of the distance.

    - `similarity` (step, layer): linear CKA of a layer's outputs on probe inputs with its outputs
      at the end of training;
    - `distance_to_midway` (step, layer): ‖θ_l(t) − θ_l(T)‖₂ up to half of the epochs, T being
      where that half ends, so that both endpoints can be compared in one training.

    Layers are those of a functional model that have a kernel.

    Args:
        probe: Inputs, a hundred or so.
        every: Updates in an epoch.
        epochs: Epochs of the training.

    Reference: Kornblith et al. (2019), "Similarity of Neural Network Representations Revisited".
    """

    def __init__(self, probe: np.ndarray, every: int, epochs: int) -> None:
        super().__init__()
        self._probe, self._every, self._midway = probe, every, epochs // 2
        self._grams: list[np.ndarray] = []  # (layer, probe, probe) at each record
        self._weights: list[list[np.ndarray]] = []  # each layer's, up to midway

    def on_train_begin(self, logs: Any = None) -> None:
        """Takes the record of the start."""
        self._layers = [layer for layer in self.model.layers if _has_kernel(layer)]
        outputs = [layer.output for layer in self._layers]
        self._activations = keras.Model(self.model.inputs, outputs)
        self._record(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes a record."""
        self._record(epoch + 1)

    def _record(self, epoch: int) -> None:
        outputs = self._activations.predict_on_batch(self._probe)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        self._grams.append(np.stack([unit_gram(output) for output in outputs]))
        if epoch <= self._midway:
            self._weights.append(
                [parameter_vector(layer.trainable_variables) for layer in self._layers]
            )

    def added_to(self, run: xr.Dataset) -> xr.Dataset:
        """Returns a run of the same training with what was recorded."""
        similarity = np.einsum("slij,lij->sl", np.stack(self._grams), self._grams[-1])
        distance = np.full(similarity.shape, np.nan)
        for step, record in enumerate(self._weights):
            ends = zip(record, self._weights[-1], strict=True)
            distance[step] = [np.linalg.norm(now - end) for now, end in ends]
        coords = {
            "step": np.arange(len(similarity)) * self._every,
            "layer": [layer.name for layer in self._layers],
        }
        told = {"similarity": similarity, DISTANCE_TO_MIDWAY: distance}
        words = {
            "similarity": "similarity of activations to the final ones",
            DISTANCE_TO_MIDWAY: "distance to the parameters midway",
        }
        for name, values in told.items():
            attrs = {"long_name": words[name], "units": "1"}
            found = xr.DataArray(values, coords, ("step", "layer"), attrs=attrs)
            run = run.assign({name: found.reindex(step=run["step"], layer=run["layer"])})
        return run


def _has_kernel(layer: keras.layers.Layer) -> bool:
    return any(len(variable.shape) >= 2 for variable in layer.trainable_variables)


def unit_gram(outputs: Any) -> np.ndarray:
    """Returns centred outputs' products with each other, (sample, sample), of Frobenius norm 1.

    The sum of the products of two such matrices is the linear CKA.
    """
    features = np.asarray(outputs, np.float64).reshape(len(outputs), -1)
    centred = features - features.mean(axis=0)
    gram = centred @ centred.T
    norm = np.linalg.norm(gram)
    return (gram / norm if norm > 0 else np.full_like(gram, np.nan)).astype(np.float32)
