"""A callback that records the distance to an earlier endpoint."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from keras_lcb.callbacks.recorder import Record, Recorder
from keras_lcb.callbacks.snapshots import parameter_vector

DISTANCE_TO_MIDWAY = "distance_to_midway"
_MIDWAY = {"long_name": "distance to the parameters midway", "units": "1"}
_KEPT = "kept"


class DistanceToMidway(Recorder):
    """Records ‖θ_l(t) − θ_l(T)‖₂ up to T, the end of half of the epochs.

    So both endpoints, that at T and that at the end, can be compared in one training.

    Args:
        epochs: Number of epochs of the training.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self._midway = epochs // 2

    def measure(self) -> Record:
        """Keeps the weights of the layers."""
        if len(self._records) > self._midway:
            return {}
        return {_KEPT: [parameter_vector(row.variables) for row in self.followed]}

    def _columns(self) -> dict[str, tuple[Any, ...]]:
        distance = np.full((len(self._records), len(self.followed)), math.nan)
        kept = [record[_KEPT] for record in self._records if _KEPT in record]
        for step, weights in enumerate(kept):
            ends = zip(weights, kept[-1], strict=True)
            distance[step] = [np.linalg.norm(now - end) for now, end in ends]
        return {DISTANCE_TO_MIDWAY: (("step", "layer"), distance, _MIDWAY)}
