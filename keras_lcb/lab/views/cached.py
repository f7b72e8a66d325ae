"""Views of the presets' runs, which come with the package, so that a lab has pictures at once.

`python -m keras_lcb.lab.views.making_cached` makes them again.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

from keras_lcb.lab.settings import Settings
from keras_lcb.lab.settings.presets import PRESETS
from keras_lcb.lab.views.view import View

FOLDER = Path(__file__).with_name("runs")
_RECORDS = 51
_POINTS = 128
_DIGITS = 4
_ALONG_STEPS = ("steps", "gradient", "loss", "error")
_ALONG_DISTANCES = ("distance_steps", "distance")
_ALONG_X = ("x", "target", "prediction", "contribution")


@functools.cache
def cached_view(settings: Settings) -> tuple[str, View] | None:
    """Returns a sentence about a preset, and the view of a run that was made with it.

    Returns:
        The sentence and the view; `None` if the settings are not those of a preset.
    """
    for name, preset in PRESETS.items():
        if preset.settings == settings:
            return preset.shows, from_text((FOLDER / f"{name}.json").read_text())
    return None


def to_text(view: View) -> str:
    """Returns a view as JSON, with no more values than a picture can show."""
    values = dataclasses.asdict(view)
    for names, axis, most in (
        (_ALONG_STEPS, 0, _RECORDS),
        (_ALONG_DISTANCES, 0, _RECORDS),
        (_ALONG_X, -1, _POINTS),
    ):
        for name in names:
            if values[name] is not None:
                values[name] = _thinned(values[name], axis, most)
    return json.dumps({name: _plain(value) for name, value in values.items()}) + "\n"


def from_text(text: str) -> View:
    """Returns a view from the text that `to_text` returned."""
    values: dict[str, Any] = json.loads(text)
    for name, value in values.items():
        if name in ("layers", "heads") and value is not None:
            values[name] = tuple(value)
        elif isinstance(value, list):
            values[name] = np.array(value)
    return View(**values)


def _thinned(values: np.ndarray, axis: int, most: int) -> np.ndarray:
    length = values.shape[axis]
    places = np.linspace(0, length - 1, min(length, most)).round().astype(int)
    return values.take(np.unique(places), axis=axis)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.vectorize(lambda number: float(f"{number:.{_DIGITS}g}"))(value).tolist()
    return value.tolist() if isinstance(value, np.ndarray) else value
