"""What several sections train: small networks on images and on a function of one variable."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_lcb import synthetic, vision
from keras_lcb.experiments.claim import Setting

IMAGES = "keras_lcb.experiments.engines.images:run"
FUNCTIONS = "keras_lcb.experiments.engines.functions:run"

# None was tuned: there are networks of section 2 that diverge or learn nothing at one of these.
RATES = {"sgd": 0.1, "momentum": 0.01, "adam": 0.001}
RATES_1D = {"sgd": 0.02, "momentum": 0.005, "adam": 0.001}
KINDS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "residual + BN": {"residual": True, "normalization": True},
}
# Trained to update 2T, and looked at up to T.
SETS = {
    "digits": vision.Config(updates=1600),
    "MNIST": vision.Config(data="mnist_5k", depth=8, updates=1600),
}
FUNCTION = synthetic.Config(record_every=50)


def trained(config: Any, optimizer: str, **changes: Any) -> Any:
    """Returns settings with an optimizer at its rate, and other changes."""
    rates = RATES_1D if isinstance(config, synthetic.Config) else RATES
    rate = rates[optimizer]
    return dataclasses.replace(config, optimizer=optimizer, learning_rate=rate, **changes)


def on_images(
    engine: str = IMAGES, optimizers: tuple[str, ...] = ("sgd", "adam")
) -> dict[str, Setting]:
    """Returns plain and residual CNNs on both sets of images, by name."""
    return {
        f"{name}, {kind}, {optimizer}": Setting(engine, trained(config, optimizer, **changes))
        for name, config in SETS.items()
        for kind, changes in KINDS.items()
        for optimizer in optimizers
    }


def on_functions(engine: str = FUNCTIONS, **changes: Any) -> dict[str, Setting]:
    """Returns plain and residual networks on the sum of four sines, by name."""
    return {
        f"1-D, {kind}, {optimizer}": Setting(
            engine, trained(FUNCTION, optimizer, residual=kind == "residual", **changes)
        )
        for kind in ("plain", "residual")
        for optimizer in ("momentum", "adam")
    }


def small(settings: Mapping[str, Setting]) -> dict[str, Setting]:
    """Returns those of the settings that a quick study takes, with fewer updates."""
    updates = {vision.Config: 400, synthetic.Config: 1000}
    return {
        name: dataclasses.replace(
            settings[name],
            config=dataclasses.replace(
                settings[name].config, updates=updates[type(settings[name].config)]
            ),
        )
        for name in ("digits, plain, sgd", "digits, residual + BN, sgd", "1-D, plain, momentum")
        if name in settings
    }
