"""Which trainings the atlas holds: a chapter for each kind of task, a dial for each setting."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_lcb import synthetic, vision
from keras_lcb.experiments.grid import Study

_QUICK_DIALS = 2  # with two values each; the others have one


@dataclass(frozen=True)
class Dial:
    """A setting that the reader turns.

    Attributes:
        name: The setting's name in the experiment's `Config`.
        label: What the page calls it.
        values: What it can be, in order.
        words: What the page calls each value; the values themselves by default.
        start: Where the page begins, as an index: never at an end that more lies beyond.
        kind: `"slider"` for what has an order, `"choice"` for what has none.
        few: How many of the values the small atlas has; all by default.
    """

    name: str
    label: str
    values: tuple[Any, ...]
    words: tuple[str, ...] = ()
    start: int = 0
    kind: str = "slider"
    few: int | None = None

    def first(self, count: int | None) -> Dial:
        """Returns the dial with its first values only."""
        values, words = self.values[:count], self.words[:count]
        start = min(self.start, len(values) - 1)
        return dataclasses.replace(self, values=values, words=words, start=start)

    @property
    def texts(self) -> tuple[str, ...]:
        """What the page calls each value."""
        return self.words or tuple(f"{value:g}" for value in self.values)


@dataclass(frozen=True)
class Chapter:
    """A task, and all the trainings on it: one for each position of the dials.

    Attributes:
        name: In addresses and file names.
        title: What the page calls it.
        task: What is learned, in a sentence.
        engine: See `experiments.Study`.
        base: What all trainings have in common.
        dials: What tells them apart.
    """

    name: str
    title: str
    task: str
    engine: str
    base: Any
    dials: tuple[Dial, ...]

    def study(self) -> Study:
        """Returns all trainings of the chapter, the last dial running fastest."""
        return Study(self.engine, self.base, {dial.name: dial.values for dial in self.dials}, (0,))

    def small(self) -> Chapter:
        """Returns the chapter with some of its trainings, for an atlas that is quick to load."""
        return dataclasses.replace(self, dials=tuple(dial.first(dial.few) for dial in self.dials))

    def quick(self) -> Chapter:
        """Returns the chapter with few and short trainings, to see that it works."""
        base = dataclasses.replace(self.base, updates=20, record_every=10)
        dials = [
            dial.first(2 if place < _QUICK_DIALS else 1) for place, dial in enumerate(self.dials)
        ]
        return dataclasses.replace(self, base=base, dials=tuple(dials))


_RATES = Dial("learning_rate", "Learning rate", (0.001, 0.003, 0.01, 0.03), start=1)
_OPTIMIZERS = Dial(
    "optimizer", "Optimizer", ("momentum", "adam"), ("SGD with momentum", "Adam"), kind="choice"
)
_RESIDUAL = Dial("residual", "Connections", (False, True), ("plain", "residual"), kind="choice")


def chapters() -> Sequence[Chapter]:
    """Returns all chapters of the atlas.

    Example:
        >>> [chapter.name for chapter in chapters()]
        ['functions', 'digits']
    """
    return (_functions(), _digits())


def _functions() -> Chapter:
    return Chapter(
        "functions",
        "Functions of one variable",
        "A fully connected network learns a curve.",
        "keras_lcb.atlas.functions:run",
        synthetic.Config(points=256, batch_size=128, updates=4000, record_every=100),
        (
            Dial(
                "target",
                "Target",
                (synthetic.default_target(), synthetic.Square(), synthetic.Chirp(1, 12)),
                ("four sines", "square wave", "chirp"),
                kind="choice",
                few=2,
            ),
            _RESIDUAL,
            _OPTIMIZERS,
            Dial("depth", "Hidden layers", (2, 4, 6, 8), start=1),
            Dial("width", "Units a layer", (32, 128)),
            _RATES,
        ),
    )


def _digits() -> Chapter:
    return Chapter(
        "digits",
        "Handwritten digits",
        "A convolutional network learns to tell digits apart.",
        "keras_lcb.vision:run",
        vision.Config(updates=600, record_every=15),
        (
            Dial(
                "normalization",
                "Normalization",
                (False, True),
                ("none", "batch normalization"),
                kind="choice",
            ),
            _RESIDUAL,
            _OPTIMIZERS,
            Dial("depth", "Convolutions", (2, 4, 6, 8), start=1),
            Dial("width", "Channels", (8, 16), few=1),
            _RATES,
        ),
    )
