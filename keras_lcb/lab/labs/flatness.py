"""The lab in which users watch the loss around each layer along training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_lcb.lab.declaration import Declaration
from keras_lcb.lab.engine.untrained import outline, untrained
from keras_lcb.lab.lab import Lab
from keras_lcb.lab.settings.function import Settings
from keras_lcb.lab.settings.presets import PRESETS
from keras_lcb.lab.views.flatness_view import (
    CHANGE,
    FLATNESS_QUESTIONS,
    describe_flatness,
    flatness_view_of,
)

if TYPE_CHECKING:
    from keras_lcb.lab.engine.flatness_training import FlatnessTraining


def _opening(settings: Settings) -> str:
    layers = settings.depth + 1
    # A rough estimate, which includes compiling.
    return (
        f"compiling the measurement, and measuring around {layers} layers for the first time: "
        f"about {layers} s"
    )


def _engine(settings: Settings, seed: int) -> FlatnessTraining:
    from keras_lcb.lab.engine.flatness_training import FlatnessTraining

    return FlatnessTraining(settings.config(seed), settings.planned_rates)


class FlatnessLab(Lab):
    """A lab for a notebook: how flat the loss is around each layer, along training.

    At the start, at the end, and at seven moments between, training pauses while the loss around
    each layer is measured on the training data: slices along random directions, how much the
    gradient changes after a step along it, and the largest learning rate at which training is
    stable if this layer alone moves. The first measurement of a training takes some seconds longer,
    because it is compiled; the status says so.

    Args:
        pictures: Which of "rate", "slice", "change" and "distance" to show. Defaults to `None`:
            all of them.
        predict: Whether the user must predict before Start: `True` or "rate" for which layer has
            the largest stable learning rate at the end. Defaults to `False`.
        preset, depth, width, residual, activation, optimizer, learning_rate, target, updates,
            seed, seeds, speed, changes, show, projector, driver: See `DepthLab`.

    Attributes:
        widget: The whole lab, an ipywidgets widget.
        settings: The current settings of the controls, a `lab.Settings`.
        run: The newest run, an `xarray.Dataset`; `None` before the first. `layer_slice`,
            `relative_gradient_change` and `stable_learning_rate` are NaN between the moments.
        config: One line that rebuilds this lab with `from_config`.

    Raises:
        ValueError: If a setting is out of range, or a name is unknown.

    Example:
        >>> lab = FlatnessLab(depth=3, show=["depth", "learning_rate"])
        >>> FlatnessLab.from_config(lab.config).config == lab.config
        True
    """

    declared = Declaration(
        name="flatness",
        title="How flat is the loss around each layer?",
        question="Which layer can take the largest steps before its training becomes unstable, and "
        "does that change as the network learns?",
        presets=PRESETS,
        engine=_engine,
        untrained=untrained,
        outline=outline,
        panels={
            "rate": "quantity:stable_learning_rate",
            "slice": "slices",
            "change": f"quantity:{CHANGE}",
            "distance": "quantity:normalized_distance",
        },
        view_of=flatness_view_of,
        describe=describe_flatness,
        questions=FLATNESS_QUESTIONS,
        opening=_opening,
    )
