"""Section 5: do shallow layers fit low frequencies, and deep ones high frequencies?"""

from __future__ import annotations

import dataclasses

from keras_lcb.experiments.claim import Claim, Setting
from keras_lcb.experiments.frequencies import by_depth, by_depth_untrained, low_first
from keras_lcb.experiments.networks import FUNCTIONS, on_functions, small
from keras_lcb.experiments.scale import CORRELATION
from keras_lcb.experiments.section import Section
from keras_lcb.synthetic import Config, spectral_bias_target


def _settings() -> dict[str, Setting]:
    """Returns networks of three depths, and those that are periodic, as the function is."""
    depths = {
        f"{name}, depth {depth}" if depth != 5 else name: setting
        for depth in (3, 5, 8)
        for name, setting in on_functions(depth=depth).items()
    }
    periodic = {
        f"{name}, periodic": setting for name, setting in on_functions(periodic=True).items()
    }
    return depths | periodic


DEEPER_HIGHER = Claim(
    name="deeper-is-higher",
    says="Shallow layers fit low frequencies, and deep layers high ones.",
    source="the paper, section 5",
    effect="rank correlation of depth with a layer's mean wave number",
    above="deeper higher",
    below="deeper lower",
    holds=("deeper higher",),
    measure=by_depth,
    scale=CORRELATION,
    settings=_settings(),
    challenge="--set activation=tanh",
)
UNTRAINED = dataclasses.replace(
    DEEPER_HIGHER,
    name="untrained-control",
    says="Before training, deeper layers carry no higher frequencies than shallow ones.",
    source="our own control of section 5",
    settings={  # optimizers share their networks before training
        name: setting for name, setting in _settings().items() if setting.config.optimizer == "adam"
    },
    measure=by_depth_untrained,
    holds=("equivalent", "deeper lower"),
    note="Of networks that differ in the optimizer only, which are the same before training, those "
    "that train with Adam: they learn most of the wave numbers that are compared.",
)
LOW_FIRST = Claim(
    name="low-frequencies-first",
    says="A network learns low frequencies before high ones.",
    source="Rahaman et al., ICML 2019",
    effect="rank correlation of wave number with the time to learn it",
    above="low first",
    below="high first",
    holds=("low first",),
    measure=low_first,
    scale=CORRELATION,
    settings={
        "as published": Setting(
            FUNCTIONS,
            Config(
                target=spectral_bias_target(0),
                depth=5,
                width=256,
                residual=False,
                initializer="fan_in",
                points=200,
                batch_size=200,
                optimizer="adam",
                learning_rate=0.0003,
                updates=30_000,
                record_every=300,
            ),
        )
    },
    seeds=5,
    challenge="--set activation=gelu",
)


def claims(quick: bool) -> list[Claim]:
    """Returns the claims."""
    if quick:
        few = small(DEEPER_HIGHER.settings)
        return [dataclasses.replace(claim, settings=few) for claim in (DEEPER_HIGHER, UNTRAINED)]
    return [DEEPER_HIGHER, UNTRAINED, LOW_FIRST]


SECTION = Section("5", "Which layer fits which frequency?", claims)
