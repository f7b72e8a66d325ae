"""`Declaration`, all that makes one lab differ from another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import xarray as xr

from keras_lcb.lab.settings.declared import Declared
from keras_lcb.lab.settings.presets import Preset
from keras_lcb.lab.views.questions import Question
from keras_lcb.runs.names import VARIABLES

if TYPE_CHECKING:
    from keras_lcb.lab.engine.layers_training import LayersTraining

_FIGURES = ("normalized_distance", "gradient_norm")


def _nothing(settings: Any) -> None:
    return None


def _at_once(settings: Any) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """All that makes one lab differ from another.

    Attributes:
        name: The lab's name in the address of a page.
        title: What stands above the lab.
        question: What it is about, in one sentence.
        presets: Settings to start from, by name; the first is the default. Their class says which
            settings the lab has.
        engine: A function of settings and a seed that makes a training. It imports what it needs
            when it is called, so that a page does not wait for Keras.
        panels: The viewer's panels by the names of the pictures, in reading order.
        untrained: A function of settings that returns the view before training, within a tenth of
            a second.
        view_of: A function of a finished run and the planned updates that returns its view.
        describe: A function of a view that returns what the pictures show, in words.
        questions: What users can predict, by name; the first is the default.
        cached: A function of settings that returns a sentence about them and the view of a run that
            comes with the package, or `None`. Defaults to `None` for all settings.
        opening: A function of settings that returns what happens before the first picture, if that
            takes long. Defaults to "".
        outline: A function of settings that returns the part of the view before training for which
            no network is needed, and so no Keras. Defaults to `None`: `untrained` needs none.
    """

    name: str
    title: str
    question: str
    presets: Mapping[str, Preset]
    engine: Callable[[Any, int], LayersTraining]
    panels: Mapping[str, str]
    untrained: Callable[[Any], Any]
    view_of: Callable[[xr.Dataset, int], Any]
    describe: Callable[[Any], str]
    questions: Mapping[str, Question]
    cached: Callable[[Any], tuple[str, Any] | None] = field(default=_nothing)
    opening: Callable[[Any], str] = field(default=_at_once)
    outline: Callable[[Any], Any] | None = None

    @property
    def further(self) -> tuple[str, ...]:
        """The quantities that have a panel, but no figure of their own in `plotting`."""
        return tuple(n for n in self.quantities if n in VARIABLES and n not in _FIGURES)

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantities that have a panel."""
        kept = [panel.partition(":")[2] for panel in self.panels.values()]
        return tuple(name for name in kept if name)

    @property
    def settings(self) -> type[Declared]:
        """The class of the lab's settings."""
        return type(next(iter(self.presets.values())).settings)
