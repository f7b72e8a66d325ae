"""The lab in which users watch the loss around each layer along training."""

from __future__ import annotations

from typing import Any

import xarray as xr

from keras_lcb.lab.base import Lab
from keras_lcb.lab.flatness_panels import FLATNESS_PANELS, flatness_outline
from keras_lcb.lab.flatness_training import FlatnessTraining
from keras_lcb.lab.flatness_view import (
    FLATNESS_QUESTIONS,
    FlatnessView,
    describe_flatness,
    flatness_view_of,
)
from keras_lcb.lab.settings import Settings


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
            seed, seeds, speed, show, projector, driver: See `DepthLab`.

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

    name = "flatness"
    panels = FLATNESS_PANELS
    questions = FLATNESS_QUESTIONS

    @staticmethod
    def outline(view: FlatnessView) -> Any:
        """Returns the properties of a view that determine the axes."""
        return flatness_outline(view)

    @staticmethod
    def make_training(settings: Settings, seed: int) -> FlatnessTraining:
        """Makes the training of these settings with this seed."""
        return FlatnessTraining(settings.config(seed))

    @staticmethod
    def opening(settings: Settings) -> str:
        """Returns what happens before the first picture, and how long it takes."""
        layers = settings.depth + 1
        # A rough estimate, which includes compiling.
        return (
            f"compiling the measurement, and measuring around {layers} layers for the first time: "
            f"about {layers} s"
        )

    @staticmethod
    def view_of(run: xr.Dataset, updates: int) -> FlatnessView:
        """Returns the view of a finished run."""
        return flatness_view_of(run, updates)

    @staticmethod
    def describe(view: FlatnessView) -> str:
        """Returns what the pictures show, in words."""
        return describe_flatness(view)
