"""03 Gradients are not speed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from keras_lcb.analysis import gradient_rate_correlation, rms_over_run
from keras_lcb.exercises import answers
from keras_lcb.exercises.checking import Grade, NoAnswer, exercise


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
    checked="your name, against the RMS gradient norm over this run of each hidden layer.",
    hints=(
        "lcb.summary(run) has a column gradient_norm.",
        'lcb.summary(run)["gradient_norm"].sort_values() puts the largest last; leave the '
        "head out.",
    ),
)
def _largest(answer: Any, run: xr.Dataset) -> Grade:
    layers = answers.hidden_layers(run)
    norms = rms_over_run(run, "gradient_norm").sel(layer=layers).values
    if not np.isfinite(norms).any():
        raise NoAnswer("This run has no finite gradient norms: train with other settings.")
    largest = layers[int(np.nanargmax(norms))]
    return answers.name(answer, [largest], layers, right="It is the largest.")


@exercise(
    "03.4",
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
