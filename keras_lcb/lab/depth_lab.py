"""The lab in which depth and learning rate are varied and the layers are watched as they learn."""

from __future__ import annotations

from typing import Any

import xarray as xr

from keras_lcb.lab.cached import cached_view
from keras_lcb.lab.depth_panels import DEPTH_PANELS, depth_outline
from keras_lcb.lab.frame import Lab
from keras_lcb.lab.prediction import QUESTIONS
from keras_lcb.lab.sentence import describe
from keras_lcb.lab.settings import Settings
from keras_lcb.lab.view import View, view_of


class DepthLab(Lab):
    """A lab for a notebook: networks on a function of one variable, with live pictures.

    The last line of a cell shows it. Training runs beside the notebook, through `model.fit` with
    the package's callbacks; a cell that is run again ends what its old lab was doing.

    Args:
        preset: Name of the settings to start from, one of `lab.PRESETS`; the other arguments
            change single ones. Defaults to "bias".
        depth: Hidden layers, 1 to 12.
        width: Units a layer, 4 to 256.
        residual: Whether layers add to the layers before them.
        activation: "relu", "tanh" or "sigmoid".
        optimizer: "sgd", "momentum" or "adam".
        learning_rate: Of the optimizer, 1e-5 to 10.
        target: "four sines", "square", "sawtooth", "step", "chirp", or a formula of x such as
            `"sin(x) + 0.3*sin(3*x)"`.
        updates: How many updates a training takes, 100 to 20,000.
        seed: Of the initial weights and of the order of the points.
        seeds: How many seeds in a row make one result, shown as a band; 1 to 5.
        speed: Most updates a second: 400, 200, 100 or 40; 0 for as fast as it goes.
        show: Names of what to show beside the pictures, out of `lab.CONTROLS` and
            `lab.SECTIONS`. Defaults to all, and on a projector to those that have room.
        pictures: Which of "distance", "function", "gradient" and "frequency" to show. Defaults
            to all.
        predict: Whether Start waits for a prediction: `True` or "layer" for which layer comes
            half-way first, "frequency" for which waves are learned first. Defaults to `False`.
        projector: Whether it is for a room: large text, thick lines, 1280 × 720 pixels.
        driver: "thread", "asyncio", or "auto", which takes threads but on Colab.

    Attributes:
        widget: The whole as one ipywidgets widget.
        settings: What the controls say, a `lab.Settings`.
        run: The newest run, an `xarray.Dataset`, or `None`.
        config: One line that rebuilds this lab with `from_config`.

    Raises:
        ValueError: If a setting is out of its range, or a name is unknown.

    Example:
        >>> lab = DepthLab(depth=3, learning_rate=0.05, show=["depth", "learning_rate"])
        >>> lab.settings.depth, lab.state
        (3, 'ready')
        >>> DepthLab.from_config(lab.config).config == lab.config
        True
    """

    name = "depth"
    panels = DEPTH_PANELS
    questions = QUESTIONS

    @staticmethod
    def outline(view: View) -> Any:
        """What a view must have in common with the last one for the axes to stay."""
        return depth_outline(view)

    @staticmethod
    def view_of(run: xr.Dataset, updates: int) -> View:
        """What the pictures show of a finished run."""
        return view_of(run, updates)

    @staticmethod
    def describe(view: View) -> str:
        """What the pictures show, in words."""
        return describe(view)

    @staticmethod
    def cached(settings: Settings) -> tuple[str, View] | None:
        """What these settings show, in a sentence, and a view of a run that comes with the lab."""
        return cached_view(settings)
