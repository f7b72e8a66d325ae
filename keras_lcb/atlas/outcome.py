"""What a training answered: which came half the way first, the first hidden layer or the last."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from keras_lcb.analysis.convergence import time_to_fraction

if TYPE_CHECKING:
    import xarray as xr

FIRST, LAST, ALIKE, NEITHER = "first", "last", "alike", "neither"
_ALIKE_WITHIN = 0.1


def outcome(run: xr.Dataset) -> dict[str, str]:
    """Returns which layer came half the way first, and the sentence that says so.

    Args:
        run: One run.

    Returns:
        `answer`: `"first"`, `"last"`, `"alike"` (within a tenth, or between the same two
        records) or `"neither"`; and `text`.

    Example:
        >>> import xarray as xr
        >>> distance = (("step", "layer"), [[4.0, 4.0], [1.0, 3.0], [0.0, 0.0]])
        >>> coords = {"step": [0, 12, 24], "layer": ["a", "b"], "role": ("layer", ["hidden"] * 2)}
        >>> outcome(xr.Dataset({"distance": distance}, coords))["answer"]
        'first'
    """
    diverged = int(run.attrs.get("first_nonfinite_update", -1))
    if diverged >= 0:
        text = f"Training diverged: NaN or infinity from update {diverged:,}. No layer has an end."
        return {"answer": NEITHER, "text": text}
    hidden = np.flatnonzero(run["role"].values == "hidden")
    times = time_to_fraction(run).isel(layer=hidden)
    first, last = float(times[0]), float(times[-1])
    if not (math.isfinite(first) and math.isfinite(last) and first > 0 and last > 0):
        return {"answer": NEITHER, "text": "One of the two layers never moved."}
    named = [f"{name.item()} at update {time:,.0f}" for name, time in _ends(times)]
    answer, told = _compared(first, last, run["step"].values)
    return {"answer": answer, "text": f"Half the way: {', '.join(named)}. {told}"}


def _compared(first: float, last: float, steps: np.ndarray) -> tuple[str, str]:
    records = np.searchsorted(steps, [first, last])
    if records[0] == records[1]:
        since, until = steps[records[0] - 1], steps[records[0]]
        return ALIKE, f"Both lie between the records at {since:,} and {until:,}: a tie."
    ratio = last / first
    if abs(math.log(ratio)) <= math.log1p(_ALIKE_WITHIN):
        return ALIKE, "They took about the same."
    if ratio > 1:
        return FIRST, f"The first came sooner: the last took {ratio:.2g} times as long."
    return LAST, f"The last came sooner: the first took {1 / ratio:.2g} times as long."


def _ends(times: xr.DataArray) -> list[tuple[xr.DataArray, float]]:
    return [(times["layer"][place], float(times[place])) for place in (0, -1)]
