"""How far each layer has come on its way from its first to its last weights.

What does not depend on the last weights is computed once for each record. What does depend on
them is computed again with each new record, since the newest weights stand in for the last ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_lcb.callbacks.lora import effective_distance, has_lora
from keras_lcb.callbacks.snapshots import kernel_slices
from keras_lcb.callbacks.weight_distances import angle, distances, norms
from keras_lcb.training.layers import TrackedLayer


class Ways:
    """Computes norms, distances and angles of layers.

    Args:
        rows: The layers.
        initial: The parameters of each layer at the start, as one vector.
    """

    def __init__(self, rows: Sequence[TrackedLayer], initial: Sequence[np.ndarray]) -> None:
        self._rows = rows
        self._initial = initial
        self._kernels = [kernel_slices(row) for row in rows]
        self._initial_norms = [
            norms(vector, kernels) for vector, kernels in zip(initial, self._kernels, strict=True)
        ]

    def from_start(self, vectors: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Returns norms, and distances and angles from the start: arrays of one number a layer.

        Args:
            vectors: The parameters of each layer, as one vector.
        """
        found = []
        for place, (vector, kernels) in enumerate(zip(vectors, self._kernels, strict=True)):
            whole, kernel = norms(vector, kernels)
            moved, kernel_moved = distances(vector, self._initial[place], kernels)
            turned = angle(kernel, self._initial_norms[place][1], kernel_moved)
            found.append((whole, kernel, moved, turned))
        names = ("parameter_norm", "kernel_norm", "distance_from_start", "angle")
        return dict(zip(names, np.array(found).T, strict=True))

    def lengths(self, ends: Sequence[np.ndarray | None]) -> np.ndarray:
        """Returns ‖θ* − θ(0)‖ for each layer; NaN if its endpoint is unknown or a sketch."""
        return np.array(
            [
                distances(end, start)[0] if end is not None and len(end) == len(start) else math.nan
                for end, start in zip(ends, self._initial, strict=True)
            ]
        )

    def to_end(
        self,
        vectors: Sequence[np.ndarray],
        known: Any,
        ends: Sequence[np.ndarray | None],
        lengths: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Returns distances and angles to the end, and ‖θ(t) − θ(0)‖ / ‖θ* − θ(0)‖.

        Args:
            vectors: The parameters of each layer, or sketches of them.
            known: What `from_start` returned for these parameters.
            ends: The parameters at the end, or sketches of them; `None` where they are unknown.
            lengths: The distance from start to end of each layer, from `lengths`.
        """
        found = np.full((2, len(vectors)), math.nan)
        for place, (vector, end) in enumerate(zip(vectors, ends, strict=True)):
            if end is None:
                continue
            if len(end) != self._rows[place].parameters:  # a sketch, which mixes all parameters
                found[0, place] = distances(vector, end)[0]
                continue
            whole, kernels_apart = distances(vector, end, self._kernels[place])
            end_kernel = norms(end, self._kernels[place])[1]
            found[:, place] = whole, angle(known["kernel_norm"][place], end_kernel, kernels_apart)
        with np.errstate(divide="ignore", invalid="ignore"):
            done = np.asarray(known["distance_from_start"]) / lengths
        done[~(np.isfinite(lengths) & (lengths > 0))] = math.nan
        return {"distance": found[0], "angle_to_end": found[1], "way_from_start": done}

    def effective(
        self, vectors: Sequence[np.ndarray], ends: Sequence[np.ndarray | None]
    ) -> np.ndarray:
        """Returns distances to the end of the effective kernels; NaN for layers without LoRA."""
        return np.array(
            [
                effective_distance(row, vector, end)
                if has_lora(row) and end is not None and len(end) == row.parameters
                else math.nan
                for row, vector, end in zip(self._rows, vectors, ends, strict=True)
            ]
        )

    def why_no_angle(self, place: int) -> str:
        """Explains why a layer has no angle; returns "" if it has one."""
        if not self._kernels[place]:
            return "The layer has no kernel to compare."
        if not self._initial_norms[place][1]:
            return "The layer's kernel is zero at the start, so it has no direction."
        return ""
