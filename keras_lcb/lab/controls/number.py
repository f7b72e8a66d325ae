"""The control of a number: a slider with a box beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from keras_lcb.lab.controls.labels import LABEL_WIDTH

if TYPE_CHECKING:
    from keras_lcb.lab.settings.setting import Number

_STEP = 0.1  # the step of a logarithmic slider, in powers of ten


class NumberControl:
    """A slider with a box beside it; both show the same number, and either can be set.

    Args:
        known: What is known of the setting.
        value: The initial value.
    """

    def __init__(self, known: Number, value: float) -> None:
        low, high = known.low, known.high
        about = {"tooltip": known.term, "min": low, "max": high}
        self.box: Any = (widgets.BoundedIntText if known.whole else widgets.BoundedFloatText)(
            value=value,
            description=known.label,
            style={"description_width": LABEL_WIDTH},
            layout={"width": "13.5em"},
            **about,
        )
        slider: dict[str, Any] = {"value": value, "readout": False, "layout": {"flex": "1 1 60px"}}
        if known.log:
            exponents = {"min": _exponent(low), "max": _exponent(high), "step": _STEP}
            self.slider: Any = widgets.FloatLogSlider(**slider, **{**about, **exponents})
            self.box.observe(self._typed, "value")
            self.slider.observe(self._slid, "value")
        else:
            self.slider = widgets.IntSlider(**slider, **about)
            self._link = widgets.link((self.box, "value"), (self.slider, "value"))
        self.widget = widgets.HBox([self.box, self.slider], layout={"width": "100%"})

    wrong = ""  # there is nothing to get wrong

    @property
    def value(self) -> Any:
        """The number."""
        return self.box.value

    @value.setter
    def value(self, value: float) -> None:
        self.box.value = value

    def observe(self, act: Callable[[], None]) -> None:
        """Calls `act` when the number has changed."""
        self.box.observe(lambda _: act(), "value")

    def disable(self, disabled: bool) -> None:
        """Refuses or accepts changes."""
        self.box.disabled = self.slider.disabled = disabled

    def _typed(self, change: Any) -> None:
        self.slider.value = change["new"]

    def _slid(self, change: Any) -> None:
        # When a page first shows a logarithmic slider, it moves it to the nearest step and reports
        # a change. A change of less than half a step is therefore not the user's.
        if abs(_exponent(change["new"] / self.box.value)) > _STEP / 2:
            self.box.value = float(f"{change['new']:.3g}")


def _exponent(value: float) -> float:
    return math.log10(value)
