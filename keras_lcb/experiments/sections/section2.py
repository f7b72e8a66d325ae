"""Section 2: do shallower layers converge faster?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_lcb import vision
from keras_lcb.experiments.claim import Claim, Setting
from keras_lcb.experiments.networks import (
    IMAGES,
    KINDS,
    RATES,
    SETS,
    on_functions,
    on_images,
    small,
    trained,
)
from keras_lcb.experiments.readings import (
    cost_of_freezing,
    time_to_half,
    time_to_half_of_blocks,
)
from keras_lcb.experiments.scale import CORRELATION, RATIO
from keras_lcb.experiments.section import Section


def _compared_up_to(settings: Mapping[str, Setting]) -> str:
    """Returns what one has to know of T in these settings to read the effect."""
    lengths: dict[str, None] = {}  # in their order, each once
    for setting in settings.values():
        kind = "images" if isinstance(setting.config, vision.Config) else "1-D functions"
        lengths[f"{setting.config.updates // 2:,} on {kind}"] = None
    return (
        "Networks train for 2T updates. Layers are compared up to update T, "
        f"{' and '.join(lengths)}; distances are to the weights at update 2T. Another T may give "
        "another verdict. A layer is compared with those of its shape. One that is not half the "
        "way by T counts as if it were then, which mostly makes effects smaller; such a setting "
        "cannot be equivalent."
    )


FIRST = Claim(
    name="shallower-first",
    says="Shallower layers converge faster than deeper ones.",
    source="the paper, section 2",
    effect="time to half the distance, last layer ÷ first",
    above="shallower faster",
    below="deeper faster",
    holds=("shallower faster",),
    measure=time_to_half,
    scale=RATIO,
    settings=on_images() | on_functions(),
    challenge="--scale learning_rate=0.5",
    note=_compared_up_to,
)


_RESNET = {"network": "resnet", "depths": (3, 3, 3)}
DEEPER: dict[str, dict[str, Any]] = {
    "ResNet-20": _RESNET,
    "ResNet-20 + BN": _RESNET | {"normalization": True},
    "ViT": {"network": "vit", "normalization": False},
    "ViT + LN": {"network": "vit", "normalization": True},
}


def _elsewhere() -> dict[str, Setting]:
    """Returns a learning rate that decays, and deeper networks of other kinds."""
    decaying = {
        f"digits, {kind}, sgd, cosine": Setting(
            IMAGES, trained(SETS["digits"], "sgd", schedule="cosine", **changes)
        )
        for kind, changes in KINDS.items()
    }
    deeper = {
        f"{data}, {network}, {optimizer}": Setting(
            IMAGES, trained(vision.Config(data=config.data, updates=1600, **changes), optimizer)
        )
        for data, config in SETS.items()
        for network, changes in DEEPER.items()
        for optimizer in RATES
    }
    return decaying | deeper


ELSEWHERE = dataclasses.replace(
    FIRST,
    name="shallower-first-elsewhere",
    says="Shallower layers converge faster: with a decaying learning rate, in ResNet-20 and a ViT.",
    settings=_elsewhere(),
    seeds=5,
    note="",
)
BLOCKS = dataclasses.replace(
    ELSEWHERE,
    name="shallower-first-blocks",
    says="Shallower blocks converge faster than deeper ones.",
    effect="time to half the distance, last block ÷ first",
    measure=time_to_half_of_blocks,
    note="A block's distance is that of all its parameters together, with its normalization. What "
    "this grouping changes is seen beside the column of single layers.",
)


FREEZING = Claim(
    name="freezing-shallow-is-cheap",
    says="Freezing a shallow layer early costs less than freezing a deep one.",
    source="our own control",
    effect="rank correlation of depth with what freezing costs",
    above="shallow is cheaper",
    below="deep is cheaper",
    holds=("shallow is cheaper",),
    measure=cost_of_freezing,
    scale=CORRELATION,
    settings={
        f"digits, {kind}, {optimizer}": Setting(
            "keras_lcb.experiments.engines.freezing:run",
            trained(SETS["digits"], optimizer, updates=800, **changes),
        )
        for kind, changes in KINDS.items()
        for optimizer in ("sgd", "adam")
    },
    challenge="--set updates=1600",
    note="It needs no endpoint: it is the loss that freezing a layer for the last three quarters "
    "of the training costs.",
)


def claims(quick: bool) -> list[Claim]:
    """Returns the claims."""
    if quick:
        return [dataclasses.replace(FIRST, settings=small(FIRST.settings))]
    return [FIRST, FREEZING, ELSEWHERE, BLOCKS]


SECTION = Section("2", "Do shallower layers converge faster?", claims)
