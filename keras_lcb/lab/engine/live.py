"""Views during training, from what the callbacks have recorded so far.

`collect` is too slow for twenty pictures a second. Finished runs are converted to the same kind of
view by the functions `…view_of` in `views`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_lcb.callbacks.recorder import Record
from keras_lcb.callbacks.snapshots import kept
from keras_lcb.lab.views.view import View

_MOST_DISTANCES = 60  # in a view, since each new endpoint changes all distances


def live_view(
    convergence: Sequence[Record],
    gradients: Sequence[Record],
    responses: Sequence[Record],
    *,
    layers: tuple[str, ...],
    updates: int,
    x: np.ndarray,
    target: np.ndarray,
    frequencies: np.ndarray,
    changes: tuple[tuple[int, float, float], ...] = (),
) -> View:
    """Returns the view during training, from the records of the three callbacks."""
    records = min(len(convergence), len(gradients), len(responses))
    responses = responses[:records]
    newest = responses[-1]
    shares = [record for record in responses if "frequency_share" in record or "r2" in record]
    carries = "share" if "frequency_share" in shares[-1] else "r2"
    return View(
        layers=layers,
        updates=updates,
        **along(convergence[:records], gradients[:records]),
        x=x,
        target=target,
        prediction=newest["prediction"],
        contribution=newest.get("contribution"),
        frequencies=frequencies,
        carried=shares[-1]["frequency_share" if carries == "share" else "r2"],
        carries=carries,
        error=np.stack([record["frequency_error"] for record in responses]),
        provisional=True,
        changes=changes,
    )


def along(convergence: Sequence[Record], gradients: Sequence[Record]) -> dict[str, Any]:
    """Returns the parts of a view along training, from the records of the two callbacks."""
    layers = gradients[0]["gradient_norm"].shape[0]
    chosen = [convergence[place] for place in _evenly(len(convergence))]
    return {
        "steps": np.array([record["step"] for record in convergence]),
        "distance_steps": np.array([record["step"] for record in chosen]),
        "distance": distances(chosen, layers),
        "gradient": np.stack([record["gradient_norm"] for record in gradients]),
        "loss": np.array([record["loss"] for record in convergence]),
    }


def _evenly(count: int) -> list[int]:
    places = np.linspace(0, count - 1, min(count, _MOST_DISTANCES))
    return np.unique(places.round().astype(int)).tolist()


def distances(records: Sequence[Record], layers: int) -> np.ndarray:
    """Returns the normalized distances of the records to the last one."""
    found = np.empty((len(records), layers))
    with np.errstate(all="ignore"):
        for layer in range(layers):
            name = kept(layer)
            end = np.asarray(records[-1][name])  # sketches may be kept in a file
            for place, record in enumerate(records):
                apart = np.asarray(record[name]) - end
                found[place, layer] = np.sqrt(np.dot(apart, apart))
        return np.where(found[0] > 0, found / found[0], np.nan)
