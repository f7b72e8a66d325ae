"""Interesting settings to start from, each with a sentence about what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keras_lcb.lab.settings.declared import Declared
from keras_lcb.lab.settings.function import Settings


@dataclass(frozen=True)
class Preset:
    """Settings under a name.

    Attributes:
        title: The title in the lab.
        shows: A sentence about what to look for.
        settings: The settings.
    """

    title: str
    shows: str
    settings: Declared


PRESETS: dict[str, Preset] = {
    "bias": Preset(
        "The bias is clear",
        "In a plain network under SGD, shallow layers come half-way sooner than deep ones.",
        Settings(width=128, optimizer="momentum", learning_rate=0.02, updates=8000),
    ),
    "no-bias": Preset(
        "The bias is absent",
        "With Adam and residual connections, depth says little about which layer is sooner.",
        Settings(residual=True, optimizer="adam", learning_rate=0.001),
    ),
    "too-large": Preset(
        "A learning rate too large",
        "The loss jumps about and hardly falls: each update overshoots. With still larger rates it "
        "becomes infinite.",
        Settings(learning_rate=0.35, updates=2000),
    ),
    "vanishing": Preset(
        "Vanishing gradients",
        "In a deep network of sigmoids, hardly any gradient reaches the first layers.",
        Settings(depth=8, activation="sigmoid"),
    ),
    "frequencies": Preset(
        "Low against high frequency",
        "The slow wave is learned long before the fast ones.",
        Settings(residual=True, optimizer="momentum", learning_rate=0.01, updates=8000),
    ),
}


def preset_named(name: str, presets: Mapping[str, Preset] = PRESETS) -> Preset:
    """Returns the preset of this name.

    Raises:
        ValueError: If there is none.
    """
    if name not in presets:
        raise ValueError(f"There is no preset '{name}'. The presets are {', '.join(presets)}.")
    return presets[name]
