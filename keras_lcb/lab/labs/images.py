"""The lab in which users watch the layers of an image network learn digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras_lcb.lab.declaration import Declaration
from keras_lcb.lab.lab import Lab
from keras_lcb.lab.settings.declared import Declared
from keras_lcb.lab.settings.function import (
    CHANGES,
    LEARNING_RATE,
    OPTIMIZER,
    RESIDUAL,
    SEED,
    SEEDS,
    SPEED,
)
from keras_lcb.lab.settings.presets import Preset
from keras_lcb.lab.settings.setting import Choice, Number, setting
from keras_lcb.lab.views.layers import LayersView, before_training, layers_view_of
from keras_lcb.lab.views.questions import LAYER
from keras_lcb.lab.views.sentence import describe_layers

if TYPE_CHECKING:
    from keras_lcb.lab.engine.layers_training import LayersTraining

DEPTH = Number(
    label="Depth",
    term="How many convolutions the network has, one after the other. conv_0 is the shallowest: it "
    "sees the image itself.",
    low=2,
    high=10,
    said="depth {}",
    projector=True,
)
NORMALIZATION = Choice(
    label="Normalization",
    term="Whether batch normalization follows each convolution. It keeps the size of what a layer "
    "passes on.",
    options={False: "none", True: "batch"},
    words_for={False: "", True: "batch normalization"},
    projector=True,
)
WIDTH = Number(
    label="Width", term="How many channels each convolution has.", low=4, high=32, said="width {}"
)
UPDATES = Number(
    label="Updates",
    term="How often the weights are changed before training ends.",
    low=60,
    high=6000,
    said="{:,} updates",
)


@dataclass(frozen=True)
class ImageSettings(Declared):
    """What the images lab trains, and how; see `ImagesLab`."""

    depth: int = setting(6, DEPTH)
    width: int = setting(12, WIDTH)
    residual: bool = setting(False, RESIDUAL)
    normalization: bool = setting(False, NORMALIZATION)
    optimizer: str = setting("sgd", OPTIMIZER)
    learning_rate: float = setting(0.1, LEARNING_RATE)
    updates: int = setting(900, UPDATES)
    seed: int = setting(0, SEED)
    seeds: int = setting(1, SEEDS)
    speed: int = setting(0, SPEED)
    changes: str = setting("", CHANGES)

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers of such a network."""
        return layers_of(self.depth, self.normalization)


def layers_of(depth: int, normalization: bool) -> tuple[str, ...]:
    """Returns the names of the layers of a stack of convolutions."""
    kinds = ("conv", "norm") if normalization else ("conv",)
    return (*(f"{kind}_{at}" for at in range(depth) for kind in kinds), "head")


def _engine(settings: ImageSettings, seed: int) -> LayersTraining:
    from keras_lcb.lab.engine.image_networks import experiment, prepared
    from keras_lcb.lab.engine.layers_training import LayersTraining

    config = experiment(settings, seed, settings.width, settings.normalization)
    model, fit, _ = prepared(config)
    return LayersTraining(model, config, fit, settings.planned_rates)


def untrained(settings: Declared) -> LayersView:
    """Returns the view before training, of which only the layers are known."""
    return before_training(settings.layers, settings.planned)


class ImagesLab(Lab):
    """A lab for a notebook: convolutional networks that learn to read digits, with live pictures.

    The images are the 8 × 8 digits of scikit-learn (`vision.load("digits")`).

    Args:
        preset: "plain", "normalized" or "adam". Defaults to "plain".
        depth: The number of convolutions, 2 to 10.
        width: The number of channels of each convolution, 4 to 32.
        residual: Whether each convolution adds to its input.
        normalization: Whether batch normalization follows each convolution.
        optimizer: "sgd", "momentum" or "adam".
        learning_rate: The learning rate, 1e-5 to 10.
        updates: The number of updates, 60 to 6000.
        pictures: Which of "distance", "gradient" and "loss" to show. Defaults to `None`: all.
        predict: Whether the user must predict before Start: `True` or "layer" for which layer
            comes half-way first. Defaults to `False`.
        seed, seeds, speed, changes, show, projector, driver: See `DepthLab`.

    Attributes:
        widget, settings, run, config: See `DepthLab`.

    Raises:
        ValueError: If a setting is out of range, or a name is unknown.

    Example:
        >>> lab = ImagesLab(depth=3, show=["depth", "learning_rate"])
        >>> ImagesLab.from_config(lab.config).config == lab.config
        True
    """

    declared = Declaration(
        name="images",
        title="Which layer learns digits first?",
        question="A convolutional network learns to read digits: do its shallow layers settle "
        "sooner, and what does normalization change?",
        presets={
            "plain": Preset(
                "A plain network",
                "Shallow layers come half-way sooner than deep ones.",
                ImageSettings(),
            ),
            "normalized": Preset(
                "With normalization",
                "What passes from layer to layer keeps its size.",
                ImageSettings(normalization=True, residual=True),
            ),
            "adam": Preset(
                "With Adam",
                "Each weight has a step size of its own.",
                ImageSettings(optimizer="adam", learning_rate=0.003),
            ),
        },
        engine=_engine,
        untrained=untrained,
        panels={
            "distance": "quantity:normalized_distance",
            "gradient": "quantity:gradient_norm",
            "loss": "loss",
        },
        view_of=layers_view_of,
        describe=describe_layers,
        questions={"layer": LAYER},
    )
