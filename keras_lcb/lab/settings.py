"""The settings of a lab, also as one line of text."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from keras_lcb.synthetic import (
    Chirp,
    Config,
    Expression,
    Sawtooth,
    Square,
    Step,
    Target,
    default_target,
)

# Named targets. Any other text is read as a formula of x.
TARGETS: dict[str, Target] = {
    "four sines": default_target(),
    "square": Square(),
    "sawtooth": Sawtooth(),
    "step": Step(),
    "chirp": Chirp(1, 12),
}
ACTIVATIONS = ("relu", "tanh", "sigmoid")
OPTIMIZERS = ("sgd", "momentum", "adam")
SPEEDS = (0, 400, 200, 100, 40)  # updates a second; 0 for no limit
LIMITS: dict[str, tuple[float, float]] = {
    "depth": (1, 12),
    "width": (4, 256),
    "learning_rate": (1e-5, 10.0),
    "seed": (0, 9999),
    "seeds": (1, 5),
    "updates": (100, 20_000),
}
_RECORDS = 100  # records of a training: enough for a smooth line
_LONGEST = 2000  # characters of a line; the longest that a lab writes has some hundreds
_FEWEST_UPDATES = 10  # between two records, since a record takes as long as some updates


@dataclass(frozen=True)
class Settings:
    """What a lab trains, and how.

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

    Raises:
        ValueError: If a setting is out of range, or the formula is not valid.

    Example:
        >>> settings = Settings(depth=3, target="sin(x) + 0.3*sin(3*x)")
        >>> Settings.from_text(settings.to_text()) == settings
        True
    """

    depth: int = 5
    width: int = 64
    residual: bool = False
    activation: str = "relu"
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    target: str = "four sines"
    updates: int = 4000
    seed: int = 0
    seeds: int = 1
    speed: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _typed(field.name, str(field.type), getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"`{name}` must be from {low:g} to {high:g}; received {value:g}.")
        for name, choices in (
            ("activation", ACTIVATIONS),
            ("optimizer", OPTIMIZERS),
            ("speed", SPEEDS),
        ):
            if getattr(self, name) not in choices:
                known = ", ".join(map(str, choices))
                raise ValueError(
                    f"`{name}` must be one of {known}; received {getattr(self, name)!r}."
                )
        target_of(self.target)

    @property
    def record_every(self) -> int:
        """Updates between two records."""
        return max(_FEWEST_UPDATES, math.ceil(self.updates / _RECORDS))

    def config(self, seed: int | None = None) -> Config:
        """Returns the configuration of the experiment.

        Args:
            seed: The seed. Defaults to `None`: that of the settings.
        """
        blocks = math.ceil(self.updates / self.record_every)
        return Config(
            target=target_of(self.target),
            depth=self.depth,
            width=self.width,
            residual=self.residual,
            activation=self.activation,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            updates=blocks * self.record_every,
            record_every=self.record_every,
            seed=self.seed if seed is None else seed,
        )

    def to_text(self) -> str:
        """Returns the settings as one line, which is also the query of an address."""
        return as_query(dataclasses.asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Settings:
        """Returns settings from a line of `to_text`. Those it does not name have their defaults.

        Raises:
            ValueError: If a name is unknown, or a value is not valid.
        """
        given: dict[str, Any] = dict(from_query(text))
        known = [field.name for field in dataclasses.fields(cls)]
        for name in given:
            if name not in known:
                raise ValueError(
                    f"The settings of a lab are {', '.join(known)}; received '{name}'."
                )
        return cls(**given)


def as_query(values: dict[str, Any]) -> str:
    """Returns names and values as `a=1&b=2`, with as few escaped characters as possible."""
    texts = {name: _as_text(value) for name, value in values.items()}
    return urlencode(texts, safe="()*,/", quote_via=quote)


def from_query(text: str) -> dict[str, str]:
    """Returns the names and values of a text such as `a=1&b=2`.

    Raises:
        ValueError: If the text has another form or is too long, or a name occurs twice.
    """
    if len(text) > _LONGEST:
        raise ValueError(
            f"A lab's settings have at most {_LONGEST:,} characters; received {len(text):,}."
        )
    text = text.strip().lstrip("?")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True) if text else []
    except ValueError:
        raise ValueError(
            f"A lab's settings must be a line such as depth=3&learning_rate=0.1; received {text!r}."
        ) from None
    given = dict(pairs)
    if len(given) < len(pairs):
        twice = next(name for name, _ in pairs if [n for n, _ in pairs].count(name) > 1)
        raise ValueError(f"The setting '{twice}' occurs twice in {text!r}. Remove one of them.")
    return given


def target_of(text: str) -> Target:
    """Returns the target with this name, or the one that this formula describes.

    Raises:
        ValueError: If the formula is not valid. The message is meant for the user.
    """
    return TARGETS[text] if text in TARGETS else Expression(text)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(value)
    return str(value)


def _typed(name: str, kind: str, value: Any) -> Any:
    """Returns a value in the type of its field, also from a text."""
    if kind == "bool":
        if str(value).lower() not in ("true", "false"):
            raise ValueError(f"`{name}` must be true or false; received {value!r}.")
        return str(value).lower() == "true"
    if kind == "str":
        if not isinstance(value, str):
            raise ValueError(f"`{name}` must be a text; received {value!r}.")
        return value.strip()
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(f"`{name}` must be a number; received {value!r}.")
    if kind == "int" and number != round(number):
        raise ValueError(f"`{name}` must be a whole number; received {value!r}.")
    return int(number) if kind == "int" else number
