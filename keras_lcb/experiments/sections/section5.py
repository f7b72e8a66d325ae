"""Section 5: do shallow layers fit low frequencies, and deep ones high frequencies?"""

from __future__ import annotations

import dataclasses

from keras_lcb.experiments.claim import Claim, Setting
from keras_lcb.experiments.frequencies import by_depth, by_depth_untrained, low_first
from keras_lcb.experiments.networks import FUNCTIONS, on_functions, small
from keras_lcb.experiments.scale import CORRELATION
from keras_lcb.experiments.section import Section
from keras_lcb.synthetic import Config, spectral_bias_target


def _depths() -> dict[str, Setting]:
    """Returns networks of three depths."""
    return {
        f"{name}, depth {depth}" if depth != 5 else name: setting
        for depth in (3, 5, 8)
        for name, setting in on_functions(depth=depth).items()
    }


def _periodic() -> dict[str, Setting]:
    """Returns networks that are periodic, as the function is, so that nothing leaks."""
    return {f"{name}, periodic": setting for name, setting in on_functions(periodic=True).items()}


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
    settings=_depths(),
    challenge="--set activation=tanh",
    note="A layer's mean weighs wave numbers in plain networks by R², how well its features carry "
    "them, and in residual ones by its shares of the sum: two measures, and not comparable.",
    control="periodic-control",
)
PERIODIC = dataclasses.replace(
    DEEPER_HIGHER,
    name="periodic-control",
    says="In periodic networks, too, shallow layers fit low frequencies, and deep ones high ones.",
    source="our own control",
    settings=_periodic(),
    note="",
    control="",
)
UNTRAINED = dataclasses.replace(
    DEEPER_HIGHER,
    name="untrained-control",
    says="Before training, deeper layers carry no higher frequencies than shallow ones.",
    source="our own control",
    settings={  # optimizers share their networks before training
        name: setting
        for name, setting in (_depths() | _periodic()).items()
        if setting.config.optimizer == "adam"
    },
    measure=by_depth_untrained,
    holds=("equivalent", "deeper lower"),
    note="Networks that differ only in the optimizer are the same before training. So only those "
    "that later train with Adam are used, since they learn most of the wave numbers that are "
    "compared.",
    control="",
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
    return [DEEPER_HIGHER, UNTRAINED, PERIODIC, LOW_FIRST]


SECTION = Section("5", "Which layer fits which frequency?", claims)
