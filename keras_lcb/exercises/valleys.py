"""04 Flat valleys."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_lcb.exercises import answers
from keras_lcb.exercises.checking import Grade, exercise


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
    checked="your function on five symmetric matrices, some of them with negative eigenvalues, "
    "against 2 divided by the largest eigenvalue.",
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
        cases.append((random + random.T + np.eye(size) * size,))
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
