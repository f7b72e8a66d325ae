"""The settings of the lab on images of digits, and the networks that it offers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras_lcb.lab.settings.declared import Declared
from keras_lcb.lab.settings.function import (
    CHANGES,
    LEARNING_RATE,
    OPTIMIZER,
    SEED,
    SEEDS,
    SPEED,
)
from keras_lcb.lab.settings.setting import Choice, Number, setting

_PATCH = 2  # pixels: digits of 8 x 8 pixels make 16 tokens
_MOST_HEADS = 4


@dataclass(frozen=True)
class Network:
    """A network that the lab offers.

    Attributes:
        text: What it is called.
        config: A function of the lab's settings that returns those arguments of `vision.Config`
            that describe the network.
        layers: A function of the lab's settings that returns the names of its layers, or blocks.
        opening: What happens before the first picture, if that takes long. Defaults to "".
        stem_only: Whether only the first row has filters, the same ones at any depth. Defaults to
            `False`.
    """

    text: str
    config: Callable[[ImageSettings], dict[str, Any]]
    layers: Callable[[ImageSettings], tuple[str, ...]]
    opening: str = ""
    stem_only: bool = False


def layers_of(depth: int, normalization: bool) -> tuple[str, ...]:
    """Returns the names of the layers of a stack of convolutions."""
    kinds = ("conv", "norm") if normalization else ("conv",)
    return (*(f"{kind}_{at}" for at in range(depth) for kind in kinds), "head")


def _convolutions(residual: bool) -> Callable[[ImageSettings], dict[str, Any]]:
    return lambda settings: {"depth": settings.depth, "residual": residual}


def _transformer(settings: ImageSettings) -> dict[str, Any]:
    heads = math.gcd(settings.width, _MOST_HEADS)
    return {
        "network": "vit",
        "depths": (settings.depth,),
        "layers": "blocks",
        "network_arguments": {"patch_size": _PATCH, "heads": heads},
    }


def _stack(settings: ImageSettings) -> tuple[str, ...]:
    return layers_of(settings.depth, settings.normalization)


def _blocks(settings: ImageSettings) -> tuple[str, ...]:
    return ("stem", *(f"stage1_block{at + 1}" for at in range(settings.depth)), "head")


NETWORKS = {
    "plain": Network("convolutions", _convolutions(False), _stack),
    "residual": Network("residual convolutions", _convolutions(True), _stack),
    "transformer": Network(
        "transformer",
        _transformer,
        _blocks,
        opening="compiling the network: some seconds",
        stem_only=True,
    ),
}

NETWORK = Choice(
    label="Network",
    term="Convolutions, each of which replaces its input by its output; residual convolutions, "
    "each of which adds to its input; or a small vision transformer, which cuts the image into "
    "patches, and whose blocks add attention and two dense layers to their input.",
    options={name: network.text for name, network in NETWORKS.items()},
    projector=True,
)
DEPTH = Number(
    label="Depth",
    term="How many convolutions the network has, one after the other, or how many blocks a "
    "transformer has. The first is the shallowest: it sees the image itself.",
    low=2,
    high=10,
    said="depth {}",
    projector=True,
)
NORMALIZATION = Choice(
    label="Normalization",
    term="Whether batch normalization follows each convolution, or layer normalization precedes "
    "each part of a transformer. It keeps the size of what is passed on.",
    options={False: "no", True: "yes"},
    words_for={False: "", True: "normalized"},
    projector=True,
)
WIDTH = Number(
    label="Width",
    term="How many channels each convolution has, or how many numbers a token of a transformer.",
    low=4,
    high=32,
    said="width {}",
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

    network: str = setting("plain", NETWORK)
    depth: int = setting(6, DEPTH)
    width: int = setting(12, WIDTH)
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
        """The names of the layers of such a network, or of its blocks."""
        return NETWORKS[self.network].layers(self)

    def built(self) -> dict[str, Any]:
        """Returns those arguments of `vision.Config` that describe the network."""
        own = {"width": self.width, "normalization": self.normalization}
        return own | NETWORKS[self.network].config(self)
