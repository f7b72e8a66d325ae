"""The lab in which users freeze layers while the others train, and see what it saves and costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from keras_lcb.lab.declaration import Declaration
from keras_lcb.lab.lab import Lab
from keras_lcb.lab.labs.images import outline
from keras_lcb.lab.settings.declared import Declared
from keras_lcb.lab.settings.function import CHANGES, LEARNING_RATE, OPTIMIZER, SEED, SEEDS, SPEED
from keras_lcb.lab.settings.images import DEPTH, UPDATES, layers_of
from keras_lcb.lab.settings.presets import Preset
from keras_lcb.lab.settings.setting import Choice, setting
from keras_lcb.lab.views.freezing_view import (
    FREEZING_QUESTIONS,
    describe_freezing,
    freezing_view_of,
)

if TYPE_CHECKING:
    from keras_lcb.lab.engine.freezing_training import FreezingTraining

_WIDTH = 24
_START = 0.3  # the part of the training after which a schedule freezes the first layer

NETWORK = Choice(
    label="Network",
    term="In a residual network, each convolution adds to its input, and batch normalization keeps "
    "the size of what it passes on. A plain network has neither.",
    options={True: "residual", False: "plain"},
    words_for={True: "residual", False: "plain"},
    projector=True,
)
_DEPTH = replace(DEPTH, term="How many convolutions the network has, one after the other.")
FREEZING = Choice(
    label="Freezing",
    term="When layers stop to train, shallow ones first. A schedule says for each layer at which "
    "update, and lets its steps fall to zero until then. By evidence, a layer freezes once it "
    "hardly moves, and all before it hardly move.",
    options={"none": "not at all", "schedule": "on a schedule", "evidence": "by evidence"},
    words_for={
        "none": "no freezing",
        "schedule": "frozen on a schedule",
        "evidence": "frozen by evidence",
    },
    projector=True,
)
_UPDATES = replace(UPDATES, low=120)


@dataclass(frozen=True)
class FreezingSettings(Declared):
    """What the freezing lab trains, and how; see `FreezingLab`."""

    freezing: str = setting("none", FREEZING)
    residual: bool = setting(True, NETWORK)
    depth: int = setting(6, _DEPTH)
    optimizer: str = setting("sgd", OPTIMIZER)
    learning_rate: float = setting(0.1, LEARNING_RATE)
    updates: int = setting(1200, _UPDATES)
    seed: int = setting(0, SEED)
    seeds: int = setting(1, SEEDS)
    speed: int = setting(0, SPEED)
    changes: str = setting("", CHANGES)

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers of such a network."""
        return layers_of(self.depth, self.residual)


def _engine(settings: FreezingSettings, seed: int) -> FreezingTraining:
    from keras_lcb.freezing import FreezeConverged
    from keras_lcb.lab.engine.freezing_training import FreezingTraining
    from keras_lcb.lab.engine.image_networks import experiment

    residual, depth = settings.residual, settings.depth
    network = {"depth": depth, "residual": residual, "normalization": residual, "width": _WIDTH}
    config = experiment(settings, seed, **network)
    freeze = {
        "none": lambda: None,
        "schedule": lambda: FreezeConverged("cubic", _START, layers=_together),
        "evidence": lambda: FreezeConverged(layers=_together),
    }[settings.freezing]()
    return FreezingTraining(config, freeze, settings.planned_rates)


def _together(layer: Any) -> str | None:
    """Returns the convolution with which a layer freezes; the last layer trains to the end."""
    return None if layer.name == "head" else str(layer.name).replace("norm_", "conv_")


class FreezingLab(Lab):
    """A lab for a notebook: layers that freeze while the others train, and what that saves.

    The network is a small one that learns to read the digits of scikit-learn, with
    `FreezeConverged`: on its cubic schedule, which freezes the first layer after 0.3 of the
    training, or by evidence, with its usual patience and threshold. The time of a training is that
    of its updates, with all that is compiled, but without the time of recording and of pictures. In
    slow motion, and after each pause, the training step is compiled again, which takes time, too.

    Args:
        preset: "none", "schedule" or "evidence". Defaults to "none".
        freezing: "none", "schedule" or "evidence".
        residual: Whether the network is residual, with batch normalization; otherwise it is plain.
        depth: The number of convolutions, 2 to 10.
        optimizer: "sgd", "momentum" or "adam".
        learning_rate: The learning rate, 1e-5 to 10.
        updates: The number of updates, 120 to 6000.
        pictures: Which of "distance", "gradient" and "loss" to show. Defaults to `None`: all.
        predict: Whether the user must predict before Start: `True` or "speed" for how much faster
            an update is at the end. Defaults to `False`.
        seed, seeds, speed, changes, show, projector, driver: See `DepthLab`.

    Attributes:
        widget, settings, config: See `DepthLab`.
        run: The newest run, with `frozen`, and beside the usual quantities `update_time` (step) in
            seconds and `test_accuracy`; `None` before the first.

    Raises:
        ValueError: If a setting is out of range, or a name is unknown.

    Example:
        >>> lab = FreezingLab("schedule", depth=3, show=["freezing", "depth"])
        >>> FreezingLab.from_config(lab.config).config == lab.config
        True
    """

    declared = Declaration(
        name="freezing",
        title="Can layers stop early?",
        question="A network learns to read digits: if its shallow layers freeze early, what time "
        "does it save, and what accuracy does it cost?",
        presets={
            "none": Preset(
                "Nothing freezes",
                "All layers train to the end: time and accuracy to compare others with.",
                FreezingSettings(),
            ),
            "schedule": Preset(
                "On a schedule",
                "Layers freeze one after the other. It saves little time here, since the training "
                "step is compiled again each time.",
                FreezingSettings(freezing="schedule"),
            ),
            "evidence": Preset(
                "By evidence",
                "All convolutions soon seem to have arrived, and freeze nearly at once. It takes "
                "less time, but the network reads fewer digits.",
                FreezingSettings(freezing="evidence"),
            ),
        },
        engine=_engine,
        untrained=outline,
        panels={
            "distance": "quantity:normalized_distance",
            "gradient": "quantity:gradient_norm",
            "loss": "loss",
        },
        view_of=freezing_view_of,
        describe=describe_freezing,
        questions=FREEZING_QUESTIONS,
    )
