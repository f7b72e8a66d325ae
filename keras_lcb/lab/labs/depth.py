"""The lab in which users vary depth and learning rate, and watch the layers learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_lcb.lab.declaration import Declaration
from keras_lcb.lab.engine.untrained import outline, untrained
from keras_lcb.lab.lab import Lab
from keras_lcb.lab.settings.function import Settings
from keras_lcb.lab.settings.presets import PRESETS
from keras_lcb.lab.views.cached import cached_view
from keras_lcb.lab.views.questions import QUESTIONS
from keras_lcb.lab.views.sentence import describe
from keras_lcb.lab.views.view import view_of

if TYPE_CHECKING:
    from keras_lcb.lab.engine.training import Training


def _engine(settings: Settings, seed: int) -> Training:
    from keras_lcb.lab.engine.training import Training

    return Training(settings.config(seed), settings.planned_rates)


class DepthLab(Lab):
    """A lab for a notebook: networks on a function of one variable, with live pictures.

    Make it in the last line of a cell to show it. Training runs in the background, through
    `model.fit` with the package's callbacks. If the cell runs again, its previous lab is closed.

    Args:
        preset: The name of the settings to start from, one of `lab.PRESETS`. The arguments `depth`
            to `speed` change single settings of it. Defaults to "bias".
        depth: The number of hidden layers, 1 to 12.
        width: The number of units of each hidden layer, 4 to 256.
        residual: Whether layers add to their input.
        activation: "relu", "tanh" or "sigmoid".
        optimizer: "sgd", "momentum" or "adam".
        learning_rate: The learning rate, 1e-5 to 10.
        target: "four sines", "square", "sawtooth", "step", "chirp", or a formula of x such as
            `"sin(x) + 0.3*sin(3*x)"`.
        updates: The number of updates, 100 to 20,000.
        seed: The random seed of the initial weights and of the order of the points, 0 to 9999.
        seeds: The number of trainings with successive seeds that make one result, 1 to 5.
        speed: The largest number of updates a second: 400, 200, 100 or 40; 0 for no limit.
        changes: Learning rates to set on the way, such as "1200:0.02".
        show: Names of the controls and sections to show, of `lab.CONTROLS` and `lab.SECTIONS`.
            Defaults to `None`: all of them; on a projector, those for which there is room.
        pictures: Which of "distance", "function", "gradient", "loss" and "frequency" to show.
            Defaults to `None`: all of them.
        predict: Whether the user must predict before Start: `True` or "layer" for which layer comes
            half-way first, "frequency" for which waves are learned first. Defaults to `False`.
        projector: Whether to use large text and thick lines, for 1280 × 720 pixels. Defaults to
            `False`.
        driver: "thread", "asyncio", or "auto", which uses threads except on Colab. Defaults to
            "auto".

    Attributes:
        widget: The whole lab, an ipywidgets widget.
        settings: The current settings of the controls, a `lab.Settings`.
        run: The newest run, an `xarray.Dataset`; `None` before the first.
        config: One line that rebuilds this lab with `from_config`.

    Raises:
        ValueError: If a setting is out of range, or a name is unknown.

    Example:
        >>> lab = DepthLab(depth=3, learning_rate=0.05, show=["depth", "learning_rate"])
        >>> lab.settings.depth, lab.state
        (3, 'ready')
        >>> DepthLab.from_config(lab.config).config == lab.config
        True
    """

    declared = Declaration(
        name="depth",
        title="Which layer learns first?",
        question="A network learns a function of x: do its shallow layers reach their final "
        "weights sooner than its deep ones?",
        presets=PRESETS,
        engine=_engine,
        untrained=untrained,
        outline=outline,
        panels={
            "distance": "quantity:normalized_distance",
            "function": "functions",
            "gradient": "quantity:gradient_norm",
            "frequency": "frequencies",
            "loss": "loss",
        },
        view_of=view_of,
        describe=describe,
        questions=QUESTIONS,
        cached=cached_view,
    )
