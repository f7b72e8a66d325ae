"""Where everything in a lab stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets

from keras_lcb.lab.screen.style import style

_BESIDE = {"desk": "300px", "projector": "350px"}


@dataclass(frozen=True)
class Parts:
    """The parts of a lab, from which its widget is made.

    Attributes:
        header: What stands above everything.
        first: What stands beside the pictures: prediction, buttons, progress.
        settings: What stands below it: the controls.
        pictures: The pictures.
        sentence: What they show, in words.
        below: The sections below everything.
    """

    header: Any
    first: Sequence[Any]
    settings: Sequence[Any]
    pictures: Any
    sentence: Any
    below: Sequence[Any]


def laid_out(parts: Parts, projector: bool) -> widgets.Widget:
    """Returns the whole lab."""
    width = _BESIDE["projector" if projector else "desk"]
    controls = widgets.VBox(list(parts.settings))
    controls.add_class("keras-lcb-settings")
    left = widgets.VBox(
        [*parts.first, controls],
        layout={"width": width, "flex": f"0 0 {width}", "max_width": "100%"},
    )
    left.add_class("keras-lcb-left")
    # On a projector, there is more room for the sentence below than beside the controls.
    beside = [parts.pictures] if projector else [parts.pictures, parts.sentence]
    right = widgets.VBox(beside, layout={"flex": "1 1 320px"})
    whole = widgets.VBox(
        [
            widgets.HTML(style(projector), layout={"display": "none"}),
            parts.header,
            widgets.HBox([left, right], layout={"flex_flow": "row wrap"}),
            *([parts.sentence] if projector else []),
            *parts.below,
        ]
    )
    whole.add_class("keras-lcb-lab")
    if projector:
        whole.add_class("keras-lcb-projector")
    return whole
