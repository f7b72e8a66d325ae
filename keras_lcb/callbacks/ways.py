"""How far each layer has come on its way from its first to its last weights.

What does not depend on the last weights is computed once for each record. What does depend on
them is computed again with each new record, since the newest weights stand in for the last ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_lcb.callbacks.lora import effective_distance, has_lora
from keras_lcb.callbacks.snapshots import kernel_slices, on_host
from keras_lcb.callbacks.weight_distances import angle, distances, norms
from keras_lcb.training.layers import TrackedLayer

# For each layer, its parameters at each record.
Vectors = Sequence[Sequence[np.ndarray]]


class Ways:
    """Computes norms, distances and angles of layers.

    Args:
        rows: The layers.
        initial: The parameters of each layer at the start, as one vector, on the host or not.
    """

    def __init__(self, rows: Sequence[TrackedLayer], initial: Sequence[Any]) -> None:
        self._rows = rows
        self._initial = initial
        self._sizes = [row.parameters for row in rows]
        self._kernels = [kernel_slices(row) for row in rows]
        self._initial_norms = [
            float(norms([on_host(vector)], kernels)[1][0])
            for vector, kernels in zip(initial, self._kernels, strict=True)
        ]

    def from_start(self, vectors: Vectors) -> dict[str, np.ndarray]:
        """Returns norms, and distances and angles from the start: arrays (records, layers).

        Args:
            vectors: For each layer, its parameters at each record, as one vector.
        """
        found = []
        for place, (own, kernels) in enumerate(zip(vectors, self._kernels, strict=True)):
            whole, kernel = norms(own, kernels)
            moved, kernel_moved = distances(own, on_host(self._initial[place]), kernels)
            turned = angle(kernel, self._initial_norms[place], kernel_moved)
            found.append((whole, kernel, moved, turned))
        names = ("parameter_norm", "kernel_norm", "distance_from_start", "angle")
        return dict(zip(names, np.array(found).transpose(1, 2, 0), strict=True))

    def lengths(self, ends: Sequence[np.ndarray | None]) -> np.ndarray:
        """Returns ‖θ* − θ(0)‖ for each layer; NaN if its endpoint is unknown or a sketch."""
        return np.array(
            [
                distances([end], on_host(start))[0][0]
                if end is not None and len(end) == len(start)
                else math.nan
                for end, start in zip(ends, self._initial, strict=True)
            ]
        )

    def to_end(
        self,
        vectors: Vectors,
        known: Mapping[str, np.ndarray],
        ends: Sequence[np.ndarray | None],
        lengths: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Returns distances and angles to the end, and ‖θ(t) − θ(0)‖ / ‖θ* − θ(0)‖.

        Args:
            vectors: For each layer, its parameters at each record, or sketches of them.
            known: What `from_start` returned for these parameters.
            ends: The parameters at the end, or sketches of them; `None` where they are unknown.
            lengths: The distance from start to end of each layer, from `lengths`.

        Returns:
            Arrays (records, layers).
        """
        from_start = np.asarray(known["distance_from_start"])
        away = np.full(from_start.shape, math.nan)
        turned = np.full(from_start.shape, math.nan)
        for place, (own, end) in enumerate(zip(vectors, ends, strict=True)):
            if end is None:
                continue
            if len(end) != self._sizes[place]:  # a sketch, which mixes all parameters
                away[:, place] = distances(own, end)[0]
                continue
            kernels = self._kernels[place]
            away[:, place], apart = distances(own, end, kernels)
            end_kernel = norms([end], kernels)[1]
            turned[:, place] = angle(known["kernel_norm"][:, place], end_kernel, apart)
        with np.errstate(divide="ignore", invalid="ignore"):
            done = from_start / lengths
        done[:, ~(np.isfinite(lengths) & (lengths > 0))] = math.nan
        return {
            "distance": away,
            "angle_to_end": turned,
            "way_from_start": done,
            "effective_distance": self._effective(vectors, ends),
        }

    def _effective(self, vectors: Vectors, ends: Sequence[np.ndarray | None]) -> np.ndarray:
        """Returns distances to the end of the effective kernels; NaN for layers without LoRA."""
        found = np.full((len(vectors[0]), len(vectors)), math.nan)
        for place, (row, end) in enumerate(zip(self._rows, ends, strict=True)):
            if has_lora(row) and end is not None and len(end) == self._sizes[place]:
                found[:, place] = [effective_distance(row, own, end) for own in vectors[place]]
        return found

    def why_no_angle(self, place: int) -> str:
        """Explains why a layer has no angle; returns "" if it has one."""
        if not self._kernels[place]:
            return "The layer has no kernel to compare."
        if not self._initial_norms[place]:
            return "The layer's kernel is zero at the start, so it has no direction."
        return ""
