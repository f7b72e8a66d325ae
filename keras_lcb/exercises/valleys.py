"""04 Flat valleys."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from keras_lcb.exercises import answers
from keras_lcb.exercises.checking import Grade, NoAnswer, exercise
from keras_lcb.exercises.explaining import question
from keras_lcb.exercises.lab_runs import OF_THE_LABS, require


def _largest_eigenvalue(hessian: np.ndarray) -> float:
    return float(np.linalg.eigvalsh(hessian)[-1])


@exercise(
    "04.1",
    checked="your number, against gradient descent on L = ½·4·w²; within 1 %.",
    hints=(
        "A step takes w to w − η·4·w. For which η is the new w no longer smaller in size?",
        "|1 − 4η| < 1.",
    ),
)
def _stable(answer: Any) -> Grade:
    return answers.number(
        answer,
        0.5,
        right="2/λ with λ = 4. At half of it, one step is enough.",
        slips={
            0.25: "This is where one step reaches the bottom; larger rates still come closer.",
            2.0: "This would be so for a curvature of 1.",
            1.0: "With this rate, a step takes w to −3w.",
        },
    )


@exercise(
    "04.2",
    checked="your function on five valleys of 1 to 8 weights, against the rate from which on "
    "gradient descent comes no closer.",
    hints=(
        "np.linalg.eigvalsh(hessian) gives the eigenvalues of a symmetric matrix in rising order.",
        "2 / np.linalg.eigvalsh(hessian)[-1]",
    ),
)
def _bound(answer: Any) -> Grade:
    rng = np.random.default_rng(2)
    cases = []
    for size in (1, 2, 3, 5, 8):
        random = rng.normal(size=(size, size))
        cases.append((random @ random.T + np.eye(size),))  # no axis leads downhill for ever
    return answers.function(
        answer,
        cases,
        lambda hessian: 2 / _largest_eigenvalue(hessian),
        right="The steepest direction sets the limit for all of them.",
        slips=(
            (lambda h: 2 / np.linalg.eigvalsh(h)[0], "This takes the smallest eigenvalue."),
            (lambda h: 1 / _largest_eigenvalue(h), "This is half of it: the limit is 2/λ."),
            (lambda h: 2 / np.trace(h), "The trace is the sum of all eigenvalues."),
        ),
    )


@exercise(
    "04.3",
    checked="your number, against the second derivative in 10·w of a loss that only depends on "
    "w; within 1 %.",
    hints=(
        "Call the new weight v = 10·w. The loss as a function of v is L(v / 10).",
        "Each derivative of L(v / 10) brings a factor out, and curvature is the second derivative.",
    ),
)
def _rescaled(answer: Any) -> Grade:
    return answers.number(
        answer,
        0.01,
        right="The valley is a hundred times as flat, and the function is the same. ‖θ‖² has grown "
        "by 100, so that λ‖θ‖² is what it was.",
        slips={
            100.0: "The other way round: the same step in a larger weight changes less.",
            0.1: "This would be so for the gradient. Curvature is the second derivative.",
            10.0: "This is what happened to the weights.",
            1.0: "The function is the same, but its curvature along these weights is not.",
        },
    )


@exercise(
    "04.4",
    checked="your layer, against the largest stable learning rates of the hidden layers at the "
    "last moment of the lab's run with three hidden layers.",
    hints=(
        "Set Depth to 3 in the lab, predict, press Start, and run the cell when it has ended.",
        'lab.run.stable_learning_rate.dropna("step", how="all")[-1] has the last measurements.',
    ),
)
def _bears_most(answer: Any, run: xr.Dataset) -> Grade:
    require(run, depth=3, learning_rate=0.01, **OF_THE_LABS)
    layers = answers.hidden_layers(run)
    if "stable_learning_rate" not in run:
        raise NoAnswer("This run has no stable learning rates. Pass the run of the lab above.")
    rates = run["stable_learning_rate"].sel(layer=layers).dropna("step", how="all")
    if not rates.sizes["step"] or not np.isfinite(rates.values[-1]).all():
        raise NoAnswer("Some layer of this run has no stable learning rate. Take another seed.")
    last = rates.values[-1]
    most = layers[int(last.argmax())]
    return answers.name(answer, [most], layers, right=f"It bears {last.max():.2g}.")


question(
    "04.a",
    model="After 40 updates the curvature grows with depth, as the claim says. After 400 and 2,000 "
    "updates the order is reversed: now the deep layers are the flatter ones, by the plain "
    "measure and by the scale-free one. So the claim holds early in this training, and not later; "
    "to say when one looked is a part of the result.",
    criteria=(
        "It says at which stage the claim holds, and at which it does not.",
        "It looks at the scale-free column and at the rows without layer_0 as well.",
        "It speaks of one network and one seed.",
    ),
)
question(
    "04.b",
    model="2/λ is right for a valley of one curvature. Early in training a layer that moves alone "
    "leaves the place where λ was measured within a step or two. Where it comes to a flatter "
    "place, it bears more than 2/λ; where it comes to a steeper one, less. After 400 updates "
    "the layers are near the bottom, where the valley is almost quadratic, and the rule holds.",
    criteria=(
        "It says for which valleys 2/λ is exact.",
        "It explains ratios above 1 and below 1.",
        "It says why the rule is better later in training.",
    ),
)
