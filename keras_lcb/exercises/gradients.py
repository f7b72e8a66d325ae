"""03 Gradients are not speed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from keras_lcb.analysis import gradient_rate_correlation, rms_over_run
from keras_lcb.exercises import answers
from keras_lcb.exercises.checking import Grade, NoAnswer, exercise
from keras_lcb.exercises.explaining import question
from keras_lcb.exercises.lab_runs import OF_THE_LABS, require


@exercise(
    "03.1",
    checked="your number, against gradient descent on L = ½(a − 10)² + ½(b − 1)² from a = b = 0; "
    "within 1 %.",
    hints=(
        "One step takes a to a + η(10 − a). What does it do to the distance 10 − a?",
        "Each step multiplies both distances by the same factor, 1 − η.",
    ),
)
def _quadratic(answer: Any) -> Grade:
    return answers.number(
        answer,
        1.0,
        right="Both distances shrink by 1 − η a step: the gradient is ten times as large, and so "
        "is the way.",
        slips={
            10: "a has the gradient ten times as large, and also ten times as far to go.",
            0.1: "a has ten times as far to go, and also a gradient ten times as large.",
        },
    )


@exercise(
    "03.2",
    checked="your number, against gradient descent on L = ½·4(a − 1)² + ½(b − 1)² with a small "
    "rate; within 5 %.",
    hints=(
        "The gradient in a is −4(1 − a). By which factor does a step shrink 1 − a?",
        "1 − 4η against 1 − η: with a small η, how many steps of b do what one step of a does?",
    ),
)
def _curvature(answer: Any) -> Grade:
    return answers.number(
        answer,
        4.0,
        within=0.05,
        right="With a small rate, a step of a does what four of b do. Here a large gradient and "
        "speed do go together, since they both come from curvature.",
        slips={
            1.0: "This time the ways are equally long, and the gradients differ.",
            0.25: "It is the other way round: a is the faster one.",
            2.0: "The curvature enters as it is, not as its root.",
            16.0: "The curvature enters as it is, not as its square.",
        },
    )


@exercise(
    "03.3",
    checked="your number, against gradient descent with a small rate on L = ½(a·b − 3.5)² from "
    "a = 1, b = ¼; within 1 %.",
    hints=(
        "a² − b² does not change. What is it at the start?",
        "At the end a·b = 3.5 and a² − b² = 15/16. Here a ends at 2.",
        "b ends at 3.5 / 2, and it began at ¼.",
    ),
)
def _way_of_b(answer: Any) -> Grade:
    return answers.number(
        answer,
        1.5,
        right="From ¼ to 1¾, while a goes from 1 to 2: the smaller one has the longer way, and "
        "both arrive together.",
        slips={
            1.75: "This is where b ends. How far has it gone from ¼?",
            1.0: "This is the way of a. The two differ.",
            3.25: "b does not have to do it alone: a grows as well.",
        },
    )


@exercise(
    "03.4",
    checked="your name, against the RMS gradient norm over this run of each hidden layer.",
    hints=(
        "lcb.summary(run) has a column gradient_norm.",
        'lcb.summary(run)["gradient_norm"].sort_values() puts the largest last; leave the '
        "head out.",
    ),
)
def _largest(answer: Any, run: xr.Dataset) -> Grade:
    right = "It is the largest."
    return answers.name(answer, [_steepest(run)], answers.hidden_layers(run), right=right)


@exercise(
    "03.5",
    checked="your sign, against the rank correlation of gradient norm and speed in this run.",
    hints=(
        "In the scatter, do points further right stand higher or lower?",
        "The number stands beneath the title. The answer is +1 or −1, or 0 if it is 0.",
    ),
)
def _sign(answer: Any, run: xr.Dataset) -> Grade:
    found = gradient_rate_correlation(run).spearman
    if math.isnan(found):
        raise NoAnswer("This run has no rank correlation: it takes three layers that differ.")
    sign = (found > 0) - (found < 0)
    return answers.number(answer, sign, within=1e-6, right=f"The correlation is {found:+.2f}.")


@exercise(
    "03.6",
    checked="your two layers, against the times to half the distance and the RMS gradient norms "
    "of the hidden layers in the lab's run with ten of them.",
    hints=(
        "Set Depth to 10 in the lab, predict, press Start, and run the cell when it has ended.",
        "lcb.summary(lab.run) has the columns time_to_half and gradient_norm.",
        'Such as {"fastest": "layer_2", "largest gradient": "layer_5"}; leave out the read-out.',
    ),
)
def _fastest_and_largest(answer: Any, run: xr.Dataset) -> Grade:
    require(run, depth=10, learning_rate=0.01, **OF_THE_LABS)
    times = answers.half_way(run)
    first = [layer for layer, time in times.items() if time == min(times.values())]
    expected = {"fastest": first, "largest gradient": [_steepest(run)]}
    return answers.names(answer, expected, list(times))


question(
    "03.a",
    model="Speed is measured as a share of the way. On the left the gradient of a is ten times "
    "as large because a has ten times as far to go, and the two cancel. On the right the ways "
    "are equal, and the larger gradient comes from the steeper valley, so a is faster.",
    criteria=(
        "It says that speed is relative to the way.",
        "It gives the two reasons for a large gradient: far to go, or a steep valley.",
    ),
)
question(
    "03.b",
    model="Each layer's step is proportional to the size of the other layer. The small layer "
    "stands beside a large one, so it grows faster; it also has the longer way, but not by so "
    "much. Exchange the two sizes, and the other layer is first. That it is nearer to the input "
    "or to the output plays no part, since a·b is the same both ways round.",
    criteria=(
        "It says which weight the gradient of b is proportional to.",
        "It takes into account that the ways differ.",
        "It says what would make the other layer first.",
    ),
)
question(
    "03.c",
    model="In this network the layers with the larger gradients were the slower ones. One seed "
    "alone would not show this, but no seed here shows large gradients making layers fast. It does "
    "not follow that large gradients make layers slow: both may depend on the depth of a layer.",
    criteria=(
        "It says what the points would look like if large gradients made layers fast.",
        "It does not turn the correlation into a cause.",
    ),
)


def _steepest(run: xr.Dataset) -> str:
    layers = answers.hidden_layers(run)
    norms = rms_over_run(run, "gradient_norm").sel(layer=layers).values
    if not np.isfinite(norms).any():
        raise NoAnswer("This run has no finite gradient norms: train with other settings.")
    return layers[int(np.nanargmax(norms))]
