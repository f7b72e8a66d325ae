"""Section 4: do shallow layers sit on flatter ground?"""

from __future__ import annotations

import dataclasses

from keras_lcb.experiments.claim import Claim, Setting
from keras_lcb.experiments.flatness import by_depth
from keras_lcb.experiments.networks import on_functions, on_images, small
from keras_lcb.experiments.scale import RATIO
from keras_lcb.experiments.section import Section

ENGINE = "keras_lcb.experiments.engines.landscape"


def _settings() -> dict[str, Setting]:
    """Returns the settings of section 2, trained to T."""
    found = on_images(f"{ENGINE}:images") | on_functions(f"{ENGINE}:functions")
    return {
        name: dataclasses.replace(
            setting, config=dataclasses.replace(setting.config, updates=setting.config.updates // 2)
        )
        for name, setting in found.items()
    }


FLATTER = Claim(
    name="shallower-is-flatter",
    says="The loss around shallower layers is flatter.",
    source="the paper, section 4",
    effect="curvature along filter-normalized directions, last layer ÷ first",
    above="shallower flatter",
    below="deeper flatter",
    holds=("shallower flatter",),
    measure=by_depth("filter_curvature", {"eigenvalue": "eigenvalue_per_parameter"}),
    scale=RATIO,
    settings=_settings(),
    family="landscape",
    note="Flatness, predictiveness and the rates that layers bear are nearly one quantity: the "
    "verdicts on the three are corrected together.",
    challenge="--set batch_size=16",
)
PREDICTIVE = dataclasses.replace(
    FLATTER,
    name="shallower-is-more-predictive",
    says="The gradients of shallower layers predict better what a step does to them.",
    effect="relative change of the gradient over a step, last layer ÷ first",
    above="shallower more predictive",
    below="deeper more predictive",
    holds=("shallower more predictive",),
    measure=by_depth("relative_gradient_change", {}, same={"smoothness": "smoothness"}),
)
RATES = dataclasses.replace(
    FLATTER,
    name="shallower-bears-larger-rates",
    says="Shallower layers bear larger learning rates.",
    effect="largest stable learning rate, last layer ÷ first",
    above="deeper bears larger rates",
    below="shallower bears larger rates",
    holds=("shallower bears larger rates",),
    measure=by_depth("stable_learning_rate", {"2 / eigenvalue": "theory"}),
    note="The search for the rate begins at 2 / eigenvalue, so that their agreement is in part "
    "built in.",
)


def claims(quick: bool) -> list[Claim]:
    """Returns the claims."""
    all_of_them = (FLATTER, PREDICTIVE, RATES)
    if not quick:
        return list(all_of_them)
    few = {
        name: setting for name, setting in small(FLATTER.settings).items() if name.startswith("1-D")
    }
    return [dataclasses.replace(claim, settings=few) for claim in all_of_them]


SECTION = Section("4", "Do shallow layers sit on flatter ground?", claims)
