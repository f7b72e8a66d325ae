"""The lab in which the loss around each layer is watched along training."""

from __future__ import annotations

from typing import Any

import xarray as xr

from keras_lcb.lab.flatness_panels import FLATNESS_PANELS, flatness_outline
from keras_lcb.lab.flatness_training import FlatnessTraining
from keras_lcb.lab.flatness_view import (
    FLATNESS_QUESTIONS,
    FlatnessView,
    describe_flatness,
    flatness_view_of,
)
from keras_lcb.lab.frame import Lab
from keras_lcb.lab.settings import Settings


class FlatnessLab(Lab):
    """A lab for a notebook: how flat the loss is around each layer, along training.

    At the start, at the end and at seven moments between, training rests while the loss around
    each layer is measured on the training data: its slices along random directions, how much the
    gradient changes after a step along it, and the largest learning rate that the layer, moved
    alone, bears. The first measurement of a training takes some seconds longer, since it is
    compiled: the status says so.

    Args:
        pictures: Which of "rate", "slice", "change" and "distance" to show. Defaults to all.
        predict: Whether Start waits for a prediction: `True` or "rate" for which layer bears the
            largest learning rate at the end. Defaults to `False`.
        preset, depth, width, residual, activation, optimizer, learning_rate, target, updates,
            seed, seeds, speed, show, projector, driver: See `DepthLab`.

    Attributes:
        widget: The whole as one ipywidgets widget.
        settings: What the controls say, a `lab.Settings`.
        run: The newest run, an `xarray.Dataset`, or `None`; `layer_slice`,
            `relative_gradient_change` and `stable_learning_rate` are NaN between the moments.
        config: One line that rebuilds this lab with `from_config`.

    Raises:
        ValueError: If a setting is out of its range, or a name is unknown.

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
        """What a view must have in common with the last one for the axes to stay."""
        return flatness_outline(view)

    @staticmethod
    def make_training(settings: Settings, seed: int) -> FlatnessTraining:
        """Make the training of these settings with this seed."""
        return FlatnessTraining(settings.config(seed))

    @staticmethod
    def opening(settings: Settings) -> str:
        """What happens before the first picture, where that takes long."""
        layers = settings.depth + 1
        # A rough guess, compiling included: what it says is that this takes seconds, not for ever.
        return (
            f"compiling the measurement, and measuring around {layers} layers for the first time: "
            f"about {layers} s"
        )

    @staticmethod
    def view_of(run: xr.Dataset, updates: int) -> FlatnessView:
        """What the pictures show of a finished run."""
        return flatness_view_of(run, updates)

    @staticmethod
    def describe(view: FlatnessView) -> str:
        """What the pictures show, in words."""
        return describe_flatness(view)
