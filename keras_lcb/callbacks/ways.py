"""How far each layer has come on its way from its first to its last weights.

What does not depend on the last weights is computed once for each record. What does depend on
them is computed again with each new record, since the newest weights stand in for the last ones.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_lcb.callbacks.lora import effective_distance, has_lora
from keras_lcb.callbacks.snapshots import kernel_slices, on_host
from keras_lcb.callbacks.weight_distances import Layout, Parts, angle, weights
from keras_lcb.training.layers import TrackedLayer


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
        self._layout = Layout(self._sizes, self._kernels)
        # One layer after the other, since they may be on the device.
        self._initial_norms = [
            float(Layout([size], [kernels]).lengths([[on_host(vector)]], None)[0][1][0, 0])
            for size, kernels, vector in zip(self._sizes, self._kernels, initial, strict=True)
        ]

    def from_start(self, records: Sequence[Parts]) -> dict[str, np.ndarray]:
        """Returns norms, and distances and angles from the start: arrays (records, layers).

        Args:
            records: The parameters of each layer at each record.
        """
        start = list(map(on_host, self._initial))
        norms, moved = self._layout.lengths(records, None, start)
        turned = angle(norms[1], self._initial_norms, moved[1])
        return {
            "parameter_norm": norms[0],
            "kernel_norm": norms[1],
            "distance_from_start": moved[0],
            "angle": turned,
        }

    def lengths(self, ends: Sequence[np.ndarray | None]) -> np.ndarray:
        """Returns ‖θ* − θ(0)‖ for each layer; NaN if its endpoint is unknown or a sketch."""
        start, whole = [], []
        for first, end, size in zip(self._initial, ends, self._sizes, strict=True):
            if end is None or len(end) != size:
                first = end = _unknown(size)
            start.append(on_host(first))
            whole.append(end)
        return self._layout.lengths([whole], start)[0][0][0]

    def to_end(
        self,
        records: Sequence[Parts],
        known: Mapping[str, np.ndarray],
        ends: Sequence[np.ndarray | None],
        lengths: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Returns distances and angles to the end, and ‖θ(t) − θ(0)‖ / ‖θ* − θ(0)‖.

        Args:
            records: The parameters of each layer at each record, or sketches of them. They may be
                joined to fewer parts.
            known: What `from_start` returned for these parameters.
            ends: The parameters at the end, or sketches of them; `None` where they are unknown.
            lengths: The distance from start to end of each layer, from `lengths`.

        Returns:
            Arrays (records, layers).
        """
        sizes = [
            size if end is None else len(end) for end, size in zip(ends, self._sizes, strict=True)
        ]
        whole = [size == own for size, own in zip(sizes, self._sizes, strict=True)]
        # A sketch mixes all parameters, so that it has no kernels.
        kernels = [own if kept else [] for own, kept in zip(self._kernels, whole, strict=True)]
        layout = self._layout if all(whole) else Layout(sizes, kernels)
        known_ends = [
            _unknown(size) if end is None else end for end, size in zip(ends, sizes, strict=True)
        ]
        away, apart = layout.lengths(records, known_ends)[0]
        end_kernels = layout.lengths([known_ends], None)[0][1]
        turned = np.where(whole, angle(known["kernel_norm"], end_kernels, apart), math.nan)
        from_start = np.asarray(known["distance_from_start"])
        with np.errstate(divide="ignore", invalid="ignore"):
            done = from_start / lengths
        done[:, ~(np.isfinite(lengths) & (lengths > 0))] = math.nan
        return {
            "distance": away,
            "angle_to_end": turned,
            "way_from_start": done,
            "effective_distance": self._effective(records, ends, sizes),
        }

    def _effective(
        self,
        records: Sequence[Parts],
        ends: Sequence[np.ndarray | None],
        sizes: Sequence[int],
    ) -> np.ndarray:
        """Returns distances to the end of the effective kernels; NaN for layers without LoRA."""
        found = np.full((len(records), len(sizes)), math.nan)
        edges = [0, *itertools.accumulate(sizes)]
        for place, (row, end) in enumerate(zip(self._rows, ends, strict=True)):
            if has_lora(row) and end is not None and len(end) == self._sizes[place]:
                start, stop = edges[place : place + 2]
                vectors = (weights([parts], start, stop)[0] for parts in records)
                found[:, place] = [effective_distance(row, own, end) for own in vectors]
        return found

    def why_no_angle(self, place: int) -> str:
        """Explains why a layer has no angle; returns "" if it has one."""
        if not self._kernels[place]:
            return "The layer has no kernel to compare."
        if not self._initial_norms[place]:
            return "The layer's kernel is zero at the start, so it has no direction."
        return ""


def _unknown(size: int) -> np.ndarray:
    return np.broadcast_to(math.nan, size)
