"""06 When the bias disappears."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import xarray as xr

from keras_lcb.analysis import ConvergenceBias
from keras_lcb.exercises import answers
from keras_lcb.exercises.checking import Grade, exercise
from keras_lcb.exercises.explaining import question
from keras_lcb.exercises.lab_runs import settings_of


@exercise(
    "06.1",
    checked="your number, against the verdicts of the conditions that you ran.",
    hints=(
        'Count the rows of the table whose verdict is "shallower faster".',
        'sum(bias.verdict == "shallower faster" for bias in found.values())',
    ),
)
def _count(answer: Any, found: Mapping[str, ConvergenceBias]) -> Grade:
    count = sum(bias.verdict == "shallower faster" for bias in found.values())
    return answers.number(answer, count, within=1e-6, right=f"{count} of {len(found)} conditions.")


@exercise(
    "06.2",
    checked="your number, against the share of outcomes of three fair coins; within 1 %.",
    hints=(
        "Without any bias, a correlation is positive as often as negative.",
        "Three independent seeds: ½ · ½ · ½.",
    ),
)
def _three(answer: Any) -> Grade:
    return answers.number(
        answer,
        1 / 8,
        right="One in eight, so that three seeds that agree are a hint and no proof.",
        slips={
            1 / 3: "The seeds are independent: multiply their chances.",
            1 / 4: "This is the chance that all three agree, on either sign.",
            3 / 8: "This is the chance that exactly one of the three is positive.",
            8: "As a probability, it is below 1.",
        },
    )


@exercise(
    "06.3",
    checked="your number, against 1 − cos of the angle between w and 10·w; within 0.01.",
    hints=(
        "The angle between two vectors does not depend on their lengths.",
        "w and 10·w point in the same direction: cos = 1.",
    ),
)
def _angle(answer: Any) -> Grade:
    return answers.number(
        answer,
        0.0,
        right="The same direction, ten times as long: the distance sees it, the angle does not.",
        slips={
            1.0: "This is the cosine. The angle of the package is 1 − cos.",
            9.0: "This is how much longer the vector is; its direction is the same.",
        },
    )


@exercise(
    "06.4",
    checked="the run of the lab that you pass: a plain network of five hidden layers or more, "
    "trained with momentum, whose last hidden layer is half-way before the first.",
    hints=(
        "Pass lab.run. Change only Depth and Learning rate, one at a time, and keep notes.",
        "In notebook 01 another depth changed the order. Try deeper networks.",
    ),
)
def _reverse(answer: Any) -> Grade:
    if not isinstance(answer, xr.Dataset) or "normalized_distance" not in answer:
        return False, "The answer is a run of the lab: put lab.run in place of the dots."
    made = settings_of(answer)
    if made["residual"] or made["optimizer"] != "momentum" or made["depth"] < 5:
        return False, "It has to be a plain network, with momentum, and five hidden layers or more."
    times = list(answers.half_way(answer).values())
    if not math.isfinite(max(times[0], times[-1])):
        return False, "One of the two layers never came half the way. Take another seed."
    compared = f"The first is half-way at update {times[0]:,.0f}, the last at {times[-1]:,.0f}."
    if times[-1] < times[0]:
        return True, f"{compared} This is one seed: try two more before you believe it."
    return False, compared


question(
    "06.a",
    model='"Inconclusive" says that these five seeds are compatible with an effect in either '
    "direction, or with none. To say that there is no effect of importance, the whole interval "
    'must lie within the limits that were set before, here 0.9 to 1.11; then it is "equivalent". '
    "A wide interval asks for more seeds.",
    criteria=(
        "It says that inconclusive is a statement about the data, not about the networks.",
        "It says what would have to be seen for no effect.",
    ),
)
question(
    "06.b",
    model="A rank correlation only knows the order: it is 1 whether the last layer takes twice as "
    "long as the first, or one per cent longer. The ratio of the times and the difference of the "
    "areas say how large the effect is. A perfect order with small differences means that the "
    "effect is reliable in its sign, and may still be too small to matter.",
    criteria=(
        "It says what a rank correlation does not see.",
        "It names a number that does tell the size.",
        "It keeps apart how sure the sign is, and how large the effect is.",
    ),
)
question(
    "06.c",
    model="After a normalization the length of the weights has no effect on the output, so a "
    "distance may grow or shrink for no reason that matters. The angle does not see length. Here "
    "both give the same order of the layers, so the reverse order with batch normalization cannot "
    "be explained by the length of the weights alone.",
    criteria=(
        "It says why the distance may mislead here.",
        "It says what the angle leaves out.",
        "It compares the order by both measures, and concludes no more than that.",
    ),
)
