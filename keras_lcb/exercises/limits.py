"""06 When the bias disappears."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_lcb.analysis import ConvergenceBias
from keras_lcb.exercises import answers
from keras_lcb.exercises.checking import Grade, exercise


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
