"""Figures of a run: each function takes a run and an optional `ax`, and returns the artists.

Every function `plot_...` or `animate_...` in a file of this folder is public here; there is no list
of them. No function shows a figure or changes Matplotlib's settings. Without `ax`, a function makes
a new pyplot figure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_lcb.plotting.figures import Figure, figure, figures_of, functions
from keras_lcb.plotting.style import PROJECTOR, depth_colors

__all__ = ["PROJECTOR", "Figure", "depth_colors", "figure", "figures_of", *sorted(functions())]


def __getattr__(name: str) -> Callable[..., Any]:
    if name in functions():
        return functions()[name]
    raise AttributeError(f"module '{__name__}' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
