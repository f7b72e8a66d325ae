"""The settings of labs on functions of one variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras_lcb.lab.settings.declared import Declared
from keras_lcb.lab.settings.setting import Choice, Formula, Number, Schedule, setting
from keras_lcb.synthetic import (
    Chirp,
    Expression,
    Sawtooth,
    Square,
    Step,
    Target,
    default_target,
)

if TYPE_CHECKING:
    from keras_lcb.synthetic import Config

# Named targets. Any other text is read as a formula of x.
TARGETS: dict[str, Target] = {
    "four sines": default_target(),
    "square": Square(),
    "sawtooth": Sawtooth(),
    "step": Step(),
    "chirp": Chirp(1, 12),
}
POINTS = 512  # at which functions are known


def target_of(text: str) -> Target:
    """Returns the target with this name, or the one that this formula describes.

    Raises:
        ValueError: If the formula is not valid. The message is meant for the user.
    """
    return TARGETS[text] if text in TARGETS else Expression(text)


def _speed(updates: int) -> str:
    return f"{updates} updates a second" if updates else "full"


DEPTH = Number(
    label="Depth",
    term="How many hidden layers the network has, one after the other. layer_0 is the shallowest: "
    "its input is x itself.",
    low=1,
    high=12,
    said="depth {}",
    projector=True,
)
WIDTH = Number(
    label="Width", term="How many units each hidden layer has.", low=4, high=256, said="width {}"
)
RESIDUAL = Choice(
    label="Network",
    term="In a plain network, each layer replaces its input by its output. In a residual network, "
    "each layer adds to its input, so the output is the sum of what all layers add.",
    options={False: "plain", True: "residual"},
    words_for={False: "plain", True: "residual"},
    projector=True,
)
ACTIVATION = Choice(
    label="Activation",
    term="The function at each unit. A sigmoid is flat far from 0 and passes on little gradient; a "
    "ReLU passes on all of it or nothing.",
    options={"relu": "relu", "tanh": "tanh", "sigmoid": "sigmoid"},
)
OPTIMIZER = Choice(
    label="Optimizer",
    term="How an update is computed from gradients. SGD follows the gradient; momentum follows a "
    "running average of gradients; Adam gives each weight its own step size.",
    options={"sgd": "SGD", "momentum": "SGD with momentum", "adam": "Adam"},
    projector=True,
)
LEARNING_RATE = Number(
    label="Learning rate",
    term="How far each update moves the weights along the gradient. If it is too small, training "
    "is slow. If it is too large, the loss jumps or grows without bound. It can be changed while "
    "training runs.",
    low=1e-5,
    high=10.0,
    whole=False,
    log=True,
    said="rate {:g}",
    live=True,
    projector=True,
)
TARGET = Formula(
    label="Target",
    term="The function that the network learns. Choose one, or type your own.",
    formula_term="A function of x from -π to π, such as sin(x) + 0.3*sin(3*x).",
    names=tuple(TARGETS),
    read=target_of,
)
UPDATES = Number(
    label="Updates",
    term="How often the weights are changed before training ends.",
    low=100,
    high=20_000,
    said="{:,} updates",
)
SEED = Number(
    label="Seed",
    term="The start of the random numbers for the initial weights and the order of the points. The "
    "same seed and settings give the same training.",
    low=0,
    high=9999,
    said="seed {}",
)
SEEDS = Number(
    label="Seeds",
    term="Train with so many seeds, one after the other, and show their mean, with a band from the "
    "lowest to the highest value.",
    low=1,
    high=5,
    said="{} seeds",
    silent=1,
)
SPEED = Choice(
    label="Speed",
    term="Slow motion: the largest number of updates a second. It can be changed while training "
    "runs.",
    options={speed: _speed(speed) for speed in (0, 400, 200, 100, 40)},
    said="",
    live=True,
    projector=True,
)

CHANGES = Schedule(
    label="Changes", term="Learning rates that are set on the way, at these updates."
)


@dataclass(frozen=True)
class Settings(Declared):
    """What a lab on a function of one variable trains, and how.

    Args:
        depth: The number of hidden layers, 1 to 12. Defaults to 5.
        width: The number of units of each hidden layer, 4 to 256. Defaults to 64.
        residual: Whether layers add to their input. Defaults to `False`.
        activation: "relu", "tanh" or "sigmoid". Defaults to "relu".
        optimizer: "sgd", "momentum" or "adam". Defaults to "sgd".
        learning_rate: The learning rate, 1e-5 to 10. Defaults to 0.1.
        target: The name of a target in `TARGETS`, or a formula of x. Defaults to "four sines".
        updates: The number of updates, 100 to 20,000. Defaults to 4000.
        seed: The random seed of the initial weights and of the order of the points, 0 to 9999.
            Defaults to 0.
        seeds: The number of trainings with successive seeds that make one result, 1 to 5.
            Defaults to 1.
        speed: The largest number of updates a second; 0 for no limit. Defaults to 0.
        changes: Learning rates to set on the way, such as "1200:0.02,2400:0.005". Defaults to "":
            none.

    Raises:
        ValueError: If a setting is out of range, or the formula is not valid.

    Example:
        >>> settings = Settings(depth=3, target="sin(x) + 0.3*sin(3*x)")
        >>> Settings.from_text(settings.to_text()) == settings
        True
    """

    records = 100  # enough for a smooth line
    fewest_updates = 10  # since a record takes as long as some updates

    depth: int = setting(5, DEPTH)
    width: int = setting(64, WIDTH)
    residual: bool = setting(False, RESIDUAL)
    activation: str = setting("relu", ACTIVATION)
    optimizer: str = setting("sgd", OPTIMIZER)
    learning_rate: float = setting(0.1, LEARNING_RATE)
    target: str = setting("four sines", TARGET)
    updates: int = setting(4000, UPDATES)
    seed: int = setting(0, SEED)
    seeds: int = setting(1, SEEDS)
    speed: int = setting(0, SPEED)
    changes: str = setting("", CHANGES)

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers of such a network."""
        return (*(f"layer_{index}" for index in range(self.depth)), "readout")

    def config(self, seed: int | None = None) -> Config:
        """Returns the configuration of the experiment.

        Args:
            seed: The seed. Defaults to `None`: that of the settings.
        """
        from keras_lcb.synthetic import Config

        return Config(
            target=target_of(self.target),
            points=POINTS,
            depth=self.depth,
            width=self.width,
            residual=self.residual,
            activation=self.activation,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            updates=self.planned,
            record_every=self.record_every,
            seed=self.seed if seed is None else seed,
        )
