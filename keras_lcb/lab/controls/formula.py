"""The control of a formula: a list of names, and a box for a formula of one's own."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from keras_lcb.lab.controls.choice import ChoiceControl
from keras_lcb.lab.controls.labels import LABEL_WIDTH, explained

if TYPE_CHECKING:
    from keras_lcb.lab.settings.setting import Formula

_OWN = "own formula"
_INVITATION = "Type a formula, then press Enter. {}"


class FormulaControl:
    """A list of named targets, and a box for a formula, with a message if the formula is wrong.

    Args:
        known: What is known of the setting.
        value: The initial name or formula.
    """

    def __init__(self, known: Formula, value: str) -> None:
        self._known = known
        names = [(name, name) for name in (*known.names, _OWN)]
        self._names = ChoiceControl(known.label, known.term, names, _OWN)
        self._text = widgets.Text(
            description=explained("f(x) =", known.formula_term),
            description_allow_html=True,
            tooltip=known.formula_term,
            continuous_update=False,
            style={"description_width": LABEL_WIDTH},
            layout={"width": "auto"},
        )
        self._fault = ""
        self._wrong = widgets.HTML()
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
        if value in self._known.names:
            self._names.value = value
        else:
            self._text.value = value
            self._names.value = _OWN
        self._check()

    @property
    def wrong(self) -> str:
        """What is wrong with the formula; "" if it is valid."""
        return self._fault

    def observe(self, act: Callable[[], None]) -> None:
        """Calls `act` when there is another target."""
        self._names.observe(act)
        self._text.observe(lambda _: act(), "value")

    def disable(self, disabled: bool) -> None:
        """Refuses or accepts changes."""
        self._names.disable(disabled)
        self._text.disabled = disabled

    def _check(self) -> None:
        own = self._names.value == _OWN
        self._text.layout.display = None if own else "none"
        text = self._text.value.strip() if own else self._names.value
        self._fault = said = ""
        try:
            self._known.read(text)
            self._valid = text
        except ValueError as error:
            self._fault = str(error)
            # Nothing is wrong yet while nothing is written.
            said = self._fault if text else _INVITATION.format(self._known.formula_term)
        self._wrong.value = html.escape(said)
        (self._wrong.add_class if text else self._wrong.remove_class)("keras-lcb-wrong")
        self._wrong.layout.display = None if said else "none"
