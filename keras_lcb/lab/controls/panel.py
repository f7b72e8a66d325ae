"""All controls of a lab: those of its settings, and those of every lab."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from keras_lcb.lab.controls import Control
from keras_lcb.lab.controls.choice import ChoiceControl
from keras_lcb.lab.settings.declared import Declared
from keras_lcb.lab.settings.presets import Preset

_NO_RUN = [("no other run", 0)]
# The controls that every lab has beside those of its settings, before them and after them.
_BEFORE, _AFTER = ("preset",), ("highlight", "compare")


def names(settings: type[Declared]) -> tuple[str, ...]:
    """Returns the names of all controls of a lab with these settings, in their order."""
    shown = [name for name, known in settings.declared().items() if known.shown]
    return (*_BEFORE, *shown, *_AFTER)


def names_on_projector(settings: type[Declared]) -> tuple[str, ...]:
    """Returns the names of the controls for which a projector has room."""
    known = settings.declared()
    return tuple(name for name in names(settings) if name not in known or known[name].projector)


class Controls:
    """All controls of a lab.

    Args:
        settings: The initial settings.
        presets: The presets that can be chosen.
        preset: The name of the preset that has these settings; "" for none.

    Attributes:
        by_name: The controls by their names.
        preset, highlight, compare: The three that every lab has.
    """

    def __init__(self, settings: Declared, presets: Mapping[str, Preset], preset: str) -> None:
        self._kind = type(settings)
        self.preset = ChoiceControl(
            "Preset",
            "Interesting settings to start from, each with a run that was made with them.",
            [("—", ""), *((known.title, name) for name, known in presets.items())],
            preset,
        )
        self.highlight = ChoiceControl(
            "Highlight", "One layer to highlight in all pictures.", _layers(settings.layers), ""
        )
        self.compare = ChoiceControl(
            "Compare with",
            "Show a past run on the left (A), and the run that you train now on the right (B), "
            "with the seed of A.",
            _NO_RUN,
            0,
        )
        self._settings = {
            name: known.control(name, getattr(settings, name))
            for name, known in settings.declared().items()
        }
        self.by_name: dict[str, Control] = {
            "preset": self.preset,
            **self._settings,
            "highlight": self.highlight,
            "compare": self.compare,
        }

    @property
    def settings(self) -> Any:
        """What the controls are set to."""
        return self._kind(**{name: control.value for name, control in self._settings.items()})

    @settings.setter
    def settings(self, settings: Declared) -> None:
        for name, value in dataclasses.asdict(settings).items():
            self._settings[name].value = value

    @property
    def wrong(self) -> bool:
        """Whether something that was written cannot be trained."""
        return any(control.wrong for control in self._settings.values())

    def of_settings(self) -> Mapping[str, Control]:
        """Returns the controls of the settings, by name."""
        return self._settings

    def lock(self, active: bool) -> None:
        """Locks what must not change while a training is active, or unlocks it."""
        known = self._kind.declared()
        for name, control in self.by_name.items():
            control.disable(active and name != "highlight" and not _live(known, name))

    def offer_layers(self) -> None:
        """Offers the layers of a network of the current settings to be highlighted."""
        self.highlight.offer(_layers(self.settings.layers))

    def offer_runs(self, titles: Sequence[tuple[str, int]]) -> None:
        """Offers past runs to be compared, as pairs (title, number)."""
        self.compare.offer([*_NO_RUN, *titles])


def _live(known: Mapping[str, Any], name: str) -> bool:
    return name in known and known[name].live


def _layers(layers: Sequence[str]) -> list[tuple[str, str]]:
    return [("none", ""), *((name, name) for name in layers)]
