"""The controls of a lab, each with a label and an explanation of its term."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from keras_lcb.lab.settings import (
    ACTIVATIONS,
    LIMITS,
    OPTIMIZERS,
    SPEEDS,
    TARGETS,
    Settings,
    target_of,
)

TERMS = {
    "preset": "Interesting settings to start from, each with a run that was made with them.",
    "depth": "How many hidden layers the network has, one after the other. "
    "layer_0 is the shallowest: its input is x itself.",
    "learning_rate": "How far each update moves the weights along the gradient. If it is too "
    "small, training is slow. If it is too large, the loss jumps or grows without bound. It can be "
    "changed while training runs.",
    "optimizer": "How an update is computed from gradients. SGD follows the gradient; momentum "
    "follows a running average of gradients; Adam gives each weight its own step size.",
    "width": "How many units each hidden layer has.",
    "residual": "In a plain network, each layer replaces its input by its output. In a residual "
    "network, each layer adds to its input, so the output is the sum of what all layers add.",
    "activation": "The function at each unit. A sigmoid is flat far from 0 and passes on little "
    "gradient; a ReLU passes on all of it or nothing.",
    "target": "The function that the network learns. Choose one, or type your own.",
    "formula": "A function of x from -π to π, such as sin(x) + 0.3*sin(3*x).",
    "seed": "The start of the random numbers for the initial weights and the order of the points. "
    "The same seed and settings give the same training.",
    "seeds": "Train with so many seeds, one after the other, and show their mean, with a band from "
    "the lowest to the highest value.",
    "updates": "How often the weights are changed before training ends.",
    "speed": "Slow motion: the largest number of updates a second. It can be changed while "
    "training runs.",
    "highlight": "One layer to highlight in all pictures.",
    "compare": "Show a past run on the left (A), and the run that you train now on the right (B), "
    "with the seed of A.",
}
CONTROLS = (
    "preset",
    "depth",
    "width",
    "residual",
    "activation",
    "optimizer",
    "learning_rate",
    "target",
    "updates",
    "seed",
    "seeds",
    "speed",
    "highlight",
    "compare",
)
_LABELS = {
    "preset": "Preset",
    "depth": "Depth",
    "learning_rate": "Learning rate",
    "optimizer": "Optimizer",
    "width": "Width",
    "residual": "Network",
    "activation": "Activation",
    "target": "Target",
    "seed": "Seed",
    "seeds": "Seeds",
    "updates": "Updates",
    "speed": "Speed",
    "highlight": "Highlight",
    "compare": "Compare with",
}
_OWN = "own formula"
_LABEL_WIDTH = "7em"  # relative to the text, which is larger on a projector
_STEP = 0.1  # the step of a logarithmic slider, in powers of ten


class Number:
    """A slider with a box beside it; both show the same number, and either can be set.

    Args:
        name: The name of the setting.
        value: The initial value.
        whole: Whether it is a whole number. Defaults to `True`.
        log: Whether the slider is logarithmic. Defaults to `False`.
    """

    def __init__(self, name: str, value: float, *, whole: bool = True, log: bool = False) -> None:
        low, high = LIMITS[name]
        about = {"tooltip": TERMS[name], "min": low, "max": high}
        self.box: Any = (widgets.BoundedIntText if whole else widgets.BoundedFloatText)(
            value=value,
            description=_LABELS[name],
            style={"description_width": _LABEL_WIDTH},
            layout={"width": "13.5em"},
            **about,
        )
        slider: dict[str, Any] = {"value": value, "readout": False, "layout": {"flex": "1 1 60px"}}
        if log:
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
        """Refuses or accept changes."""
        self.box.disabled = self.slider.disabled = disabled

    def _typed(self, change: Any) -> None:
        self.slider.value = change["new"]

    def _slid(self, change: Any) -> None:
        # When a page first shows a logarithmic slider, it moves it to the nearest step and reports
        # a change. A change of less than half a step is therefore not the user's.
        if abs(_exponent(change["new"] / self.box.value)) > _STEP / 2:
            self.box.value = float(f"{change['new']:.3g}")


class Choice:
    """A list to choose from.

    Args:
        name: The name of the setting.
        options: Pairs (text, value), one for each choice.
        value: The initial value.
    """

    def __init__(self, name: str, options: Sequence[tuple[str, Any]], value: Any) -> None:
        self.widget = widgets.Dropdown(
            options=options,
            value=value,
            description=_explained(_LABELS[name], TERMS[name]),
            description_allow_html=True,
            tooltip=TERMS[name],
            style={"description_width": _LABEL_WIDTH},
            layout={"width": "auto"},
        )

    wrong = ""  # there is nothing to get wrong

    @property
    def value(self) -> Any:
        """What is chosen."""
        return self.widget.value

    @value.setter
    def value(self, value: Any) -> None:
        self.widget.value = value

    def observe(self, act: Callable[[], None]) -> None:
        """Calls `act` when another is chosen."""
        self.widget.observe(lambda _: act(), "value")

    def disable(self, disabled: bool) -> None:
        """Refuses or accept changes."""
        self.widget.disabled = disabled


class TargetChoice:
    """A list of named targets, and a box for a formula, with a message if the formula is wrong.

    Args:
        value: The initial name or formula.
    """

    def __init__(self, value: str) -> None:
        names = [(name, name) for name in TARGETS]
        self._names = Choice("target", [*names, (_OWN, _OWN)], _OWN)
        self._text = widgets.Text(
            description=_explained("f(x) =", TERMS["formula"]),
            description_allow_html=True,
            tooltip=TERMS["formula"],
            continuous_update=False,
            style={"description_width": _LABEL_WIDTH},
            layout={"width": "auto"},
        )
        self._wrong = widgets.HTML()
        self._wrong.add_class("keras-lcb-wrong")
        self.widget = widgets.VBox([self._names.widget, self._text, self._wrong])
        self._valid = value
        self.value = value
        self._names.observe(self._check)
        self._text.observe(lambda _: self._check(), "value")

    @property
    def value(self) -> Any:
        """The last valid name or formula."""
        return self._valid

    @value.setter
    def value(self, value: str) -> None:
        if value in TARGETS:
            self._names.value = value
        else:
            self._text.value = value
            self._names.value = _OWN
        self._check()

    @property
    def wrong(self) -> str:
        """What is wrong with the formula; "" if it is valid."""
        return self._wrong.value

    def observe(self, act: Callable[[], None]) -> None:
        """Calls `act` when there is another target."""
        self._names.observe(act)
        self._text.observe(lambda _: act(), "value")

    def disable(self, disabled: bool) -> None:
        """Refuses or accept changes."""
        self._names.disable(disabled)
        self._text.disabled = disabled

    def _check(self) -> None:
        own = self._names.value == _OWN
        self._text.layout.display = None if own else "none"
        text = self._text.value.strip() if own else self._names.value
        said = ""
        try:
            target_of(text)
            self._valid = text
        except ValueError as error:
            said = str(error)
        self._wrong.value = _escaped(said)
        self._wrong.layout.display = None if said else "none"


Control = Number | Choice | TargetChoice
_NO_RUN = [("no other run", 0)]


def make_controls(
    settings: Settings, presets: Sequence[tuple[str, str]], preset: str
) -> dict[str, Control]:
    """Returns all controls of a lab by name."""
    layers = _layers(settings.depth)
    return {
        "preset": Choice("preset", [("—", ""), *presets], preset),
        "depth": Number("depth", settings.depth),
        "width": Number("width", settings.width),
        "residual": Choice("residual", [("plain", False), ("residual", True)], settings.residual),
        "activation": Choice(
            "activation", [(name, name) for name in ACTIVATIONS], settings.activation
        ),
        "optimizer": Choice(
            "optimizer",
            list(zip(("SGD", "SGD with momentum", "Adam"), OPTIMIZERS, strict=True)),
            settings.optimizer,
        ),
        "learning_rate": Number("learning_rate", settings.learning_rate, whole=False, log=True),
        "target": TargetChoice(settings.target),
        "updates": Number("updates", settings.updates),
        "seed": Number("seed", settings.seed),
        "seeds": Number("seeds", settings.seeds),
        "speed": Choice(
            "speed",
            [(f"{speed} updates a second" if speed else "full", speed) for speed in SPEEDS],
            settings.speed,
        ),
        "highlight": Choice("highlight", layers, ""),
        "compare": Choice("compare", _NO_RUN, 0),
    }


def _layers(depth: int) -> list[tuple[str, str]]:
    names = [f"layer_{index}" for index in range(depth)] + ["readout"]
    return [("none", ""), *((name, name) for name in names)]


def offer_layers(control: Control, depth: int) -> None:
    """Sets the layers that can be highlighted to those of a network of this depth."""
    _offer(control, _layers(depth), "")


def offer_runs(control: Control, titles: Sequence[tuple[str, int]]) -> None:
    """Sets the past runs that can be compared.

    Args:
        control: The control "compare".
        titles: Pairs (title, number), one for each run.
    """
    _offer(control, [*_NO_RUN, *titles], 0)


def _offer(control: Control, options: Sequence[tuple[str, Any]], otherwise: Any) -> None:
    """Replaces the choices. The current choice stays if it is still among them."""
    chosen = control.value
    if list(control.widget.options) != list(options):
        control.widget.options = options
        control.value = chosen if chosen in [value for _, value in options] else otherwise


def _exponent(value: float) -> float:
    return math.log10(value)


def _escaped(text: str) -> str:
    return html.escape(text)


def _explained(label: str, term: str) -> str:
    """Returns a label with a tooltip, since ipywidgets shows no tooltips of labelled boxes."""
    return f'<span title="{html.escape(term, quote=True)}">{html.escape(label)}</span>'
