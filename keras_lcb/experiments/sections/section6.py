"""Section 6: what is it good for? The paper's own experiments were not at hand: these are ours."""

from __future__ import annotations

import dataclasses

from keras_lcb.experiments.claim import Claim, Setting
from keras_lcb.experiments.networks import KINDS, SETS, trained
from keras_lcb.experiments.scale import RATIO
from keras_lcb.experiments.section import Section
from keras_lcb.experiments.spent import deep_to_shallow

ENGINE = "keras_lcb.experiments.engines.spending"


def _settings(engine: str, **kept: bool) -> dict[str, Setting]:
    base = dataclasses.replace(
        SETS["digits"], updates=400, data_arguments={"validation_fraction": 0.4}
    )
    found = {}
    for kind, changes in KINDS.items():
        for optimizer in ("sgd", "adam"):
            config = trained(base, optimizer, **{**changes, **kept})
            found[f"digits, {kind}, {optimizer}"] = Setting(engine, config)
    return found


PARAMETERS = Claim(
    name="where-parameters-pay",
    says="The same number of parameters serves better in shallow layers than in deep ones.",
    source="our own question",
    effect="test loss with most parameters deep ÷ with most of them shallow",
    above="shallow pays",
    below="deep pays",
    holds=("shallow pays",),
    measure=deep_to_shallow,
    scale=RATIO,
    settings={
        name.replace("residual + BN", "BN"): setting
        for name, setting in _settings(f"{ENGINE}:parameters", residual=False).items()
    },
    seeds=20,
    challenge="--set updates=1600",
)
RATES = dataclasses.replace(
    PARAMETERS,
    name="where-rates-pay",
    says="Twice the learning rate serves better in shallow layers than in deep ones.",
    effect="test loss with deep layers at twice the rate ÷ with shallow ones",
    settings=_settings(f"{ENGINE}:rates"),
)


def claims(quick: bool) -> list[Claim]:
    """Returns the claims."""
    if not quick:
        return [PARAMETERS, RATES]
    name = "digits, plain, sgd"
    setting = RATES.settings[name]
    short = dataclasses.replace(setting, config=dataclasses.replace(setting.config, updates=100))
    return [dataclasses.replace(RATES, settings={name: short})]


SECTION = Section("6", "What is it good for?", claims)
