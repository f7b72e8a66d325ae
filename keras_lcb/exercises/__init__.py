"""The exercises of the tutorials: `check` grades an answer, `hint` helps towards it.

Answers are graded against the learner's own run, or against a known solution. Every verdict says
what was checked. No message gives an answer away. What learners explain in words is not graded:
`explain` sets it beside a model answer.
"""

from keras_lcb.exercises import (  # noqa: F401  each of them registers its exercises
    depth,
    frequencies,
    gradients,
    limits,
    measuring,
    valleys,
)
from keras_lcb.exercises.checking import Verdict, check, hint, names
from keras_lcb.exercises.explaining import Explanation, explain, questions
from keras_lcb.exercises.predicting import predicted

__all__ = [
    "Explanation",
    "Verdict",
    "check",
    "explain",
    "hint",
    "names",
    "predicted",
    "questions",
]
