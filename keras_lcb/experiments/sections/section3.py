"""Section 3: do layers with large gradients converge fast?"""

from __future__ import annotations

import dataclasses

from keras_lcb.experiments.claim import Claim
from keras_lcb.experiments.networks import on_functions, on_images, small
from keras_lcb.experiments.readings import gradient_and_speed
from keras_lcb.experiments.scale import CORRELATION
from keras_lcb.experiments.section import Section

GRADIENTS = Claim(
    name="gradients-are-not-speed",
    says="Gradient norm and speed of convergence have no reliable positive correlation over "
    "layers.",
    source="the paper, section 3",
    effect="rank correlation of gradient norm with speed",
    above="larger gradients faster",
    below="larger gradients slower",
    holds=("larger gradients slower", "equivalent"),
    measure=gradient_and_speed,
    scale=CORRELATION,
    settings=on_images() | on_functions(),  # the runs of section 2
    challenge="--scale width=0.5",
)


def claims(quick: bool) -> list[Claim]:
    """Returns the claims."""
    return (
        [dataclasses.replace(GRADIENTS, settings=small(GRADIENTS.settings))]
        if quick
        else [GRADIENTS]
    )


SECTION = Section("3", "Do layers with large gradients converge fast?", claims)
