"""The lab in which users watch the layers of image networks learn digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_lcb.lab.declaration import Declaration
from keras_lcb.lab.lab import Lab
from keras_lcb.lab.settings.declared import Declared
from keras_lcb.lab.settings.images import NETWORKS, ImageSettings
from keras_lcb.lab.settings.presets import Preset
from keras_lcb.lab.views.images_view import RESPONSE, describe_images, images_view_of
from keras_lcb.lab.views.layers import LayersView, before_training
from keras_lcb.lab.views.questions import LAYER

if TYPE_CHECKING:
    from keras_lcb.lab.engine.images_training import ImagesTraining


def _engine(settings: ImageSettings, seed: int) -> ImagesTraining:
    from keras_lcb.lab.engine.image_networks import experiment
    from keras_lcb.lab.engine.images_training import ImagesTraining

    config = experiment(settings, seed, **settings.built())
    return ImagesTraining(config, settings.planned_rates)


def _opening(settings: ImageSettings) -> str:
    return NETWORKS[settings.network].opening


def outline(settings: Declared) -> LayersView:
    """Returns the view before training as far as it is known without the network: its layers."""
    return before_training(settings.layers, settings.planned)


def _untrained(settings: ImageSettings) -> LayersView:
    from keras_lcb.lab.engine.untrained_images import untrained

    return untrained(settings)


class ImagesLab(Lab):
    """A lab for a notebook: image networks that learn to read digits, with live pictures.

    The images are the 8 × 8 digits of scikit-learn (`vision.load("digits")`). The rows of a run are
    the layers of a convolutional network, or the blocks of a transformer. Nodes of convolutions
    hold some of their filters. At nine moments, and at pauses, `ResponseFrequency` measures on 200
    images that are not trained on how much of each layer's response is above some frequencies.

    Args:
        preset: "plain", "normalized", "adam" or "transformer". Defaults to "plain".
        network: "plain" or "residual" for convolutions, or "transformer" for `vision.build_vit` on
            patches of 2 × 2 pixels, with 4 heads, or 2 or 1 where these do not divide the width.
        depth: The number of convolutions, or of the transformer's blocks, 2 to 10.
        width: The number of channels of each convolution, or of numbers in a token, 4 to 32.
        normalization: Whether batch normalization follows each convolution, or layer normalization
            precedes each part of the transformer.
        optimizer: "sgd", "momentum" or "adam".
        learning_rate: The learning rate, 1e-5 to 10.
        updates: The number of updates, 60 to 6000.
        pictures: Which of "distance", "gradient", "loss" and "response" to show. Defaults to
            `None`: all.
        predict: Whether the user must predict before Start: `True` or "layer" for which layer
            comes half-way first. Defaults to `False`.
        seed, seeds, speed, changes, show, projector, driver: See `DepthLab`.

    Attributes:
        widget, settings, config: See `DepthLab`.
        run: The newest run, with `filters` and `response_frequency`, which is NaN between the
            moments; `None` before the first.

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
        question="A network learns to read digits: do its shallow layers settle sooner, and what "
        "changes with another kind of network?",
        presets={
            "plain": Preset(
                "A plain network",
                "Shallow layers come half-way sooner than deep ones.",
                ImageSettings(),
            ),
            "normalized": Preset(
                "With normalization",
                "What passes from layer to layer keeps its size.",
                ImageSettings("residual", normalization=True),
            ),
            "adam": Preset(
                "With Adam",
                "Each weight has a step size of its own.",
                ImageSettings(optimizer="adam", learning_rate=0.003),
            ),
            "transformer": Preset(
                "A transformer",
                "The patches, which see the image itself, come half-way first.",
                ImageSettings(
                    "transformer",
                    depth=3,
                    width=16,
                    normalization=True,
                    optimizer="adam",
                    learning_rate=0.005,
                    updates=480,
                ),
            ),
        },
        engine=_engine,
        untrained=_untrained,
        outline=outline,
        panels={
            "distance": "quantity:normalized_distance",
            "gradient": "quantity:gradient_norm",
            "loss": "loss",
            "response": f"quantity:{RESPONSE}",
        },
        view_of=images_view_of,
        describe=describe_images,
        questions={"layer": LAYER},
        opening=_opening,
    )
