"""Explains why distances and angles are missing from a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_lcb.callbacks.lora import has_lora
from keras_lcb.callbacks.ways import Ways
from keras_lcb.training.layers import TrackedLayer

_MIXED = "A sketch does not separate kernels from other parameters. Use memory='exact'."
_NOT_WHOLE = "The records hold sketches instead of whole parameters. Use memory='exact'."
_NOT_FINITE = (
    "The layer's first or last weights are not finite. To measure the time before that, pass "
    "finite weights, such as an earlier checkpoint, as `reference`."
)


def why_missing(
    rows: Sequence[TrackedLayer],
    ways: Ways,
    columns: Mapping[str, np.ndarray],
    given: Sequence[Any] | None,
    sketched: bool,
    why_no_way: str,
) -> dict[str, str]:
    """Returns the reasons for missing values, by "variable/layer".

    Args:
        rows: The layers.
        ways: Tells which layers have no angle.
        columns: The values (records, layers) of each variable.
        given: The endpoint of each layer that the user gave; `None` for a layer that it lacks, or
            if the user gave none.
        sketched: Whether records hold sketches.
        why_no_way: Why the distance of a layer is zero at the start.
    """
    reasons: dict[str, str] = {}

    def explain(layer: str, reason: str, *names: str) -> None:
        reasons.update({f"{name}/{layer}": reason for name in names})

    for place, row in enumerate(rows):
        why_no_angle = ways.why_no_angle(place)
        if why_no_angle:
            explain(row.name, why_no_angle, "angle", "angle_to_end")
        elif sketched and np.isnan(columns["angle_to_end"][:, place]).all():
            explain(row.name, _MIXED, "angle_to_end")
        if has_lora(row) and np.isnan(columns["effective_distance"][:, place]).all():
            explain(row.name, _NOT_WHOLE if sketched else _NOT_FINITE, "effective_distance")
        if given is not None and given[place] is None:
            explain(row.name, "The reference does not hold this layer.", "distance")
        elif not np.isfinite(columns["distance"][0, place]):
            explain(row.name, _NOT_FINITE, "distance")
        elif columns["distance"][0, place] == 0:
            explain(row.name, why_no_way, "normalized_distance", "way_from_start")
    return reasons
