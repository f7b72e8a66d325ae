"""Kinds of answers and how each is compared: numbers, names, orders, functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from keras_lcb.analysis import time_to_fraction
from keras_lcb.exercises import reading
from keras_lcb.exercises.checking import Grade, NoAnswer


def number(
    answer: Any,
    expected: float,
    *,
    within: float = 0.01,
    right: str = "",
    slips: Mapping[float, str] | None = None,
) -> Grade:
    """Grades a number.

    Args:
        answer: The learner's answer.
        expected: The right number.
        within: The relative tolerance, or the absolute one if `expected` is 0. Defaults to 0.01.
        right: The comment on a right answer. Defaults to "".
        slips: A mapping from wrong numbers that typical mistakes give to comments on them. The
            nearest one counts that the answer is within the tolerance of; that of 0 is the
            tolerance of `expected`.
    """
    given = reading.number(answer)
    if given is None:
        return False, f"The answer is one number, but {reading.short(answer)} is not a number."
    if not math.isfinite(given):
        return False, f"The answer is a finite number, not {given}."
    if _close(given, expected, within):
        return True, right
    slips = slips or {}
    near = [slip for slip in slips if _close(given, slip, within, at_zero=expected)]
    if near:
        return False, slips[min(near, key=lambda slip: abs(given - slip))]
    if given * expected < 0:
        return False, "The sign is the other one."
    return False, f"{given:g} is too {'large' if given > expected else 'small'}."


def name(answer: Any, expected: Iterable[str], known: Sequence[str], *, right: str = "") -> Grade:
    """Grades a name out of several known ones, of which more than one may be right."""
    if not isinstance(answer, str) and reading.name(answer, known) is None:
        return False, f"The answer is a name in quotes: one of {', '.join(known)}."
    given = reading.name(answer, known)
    if given is None:
        return False, f"{reading.short(answer)} is not one of {', '.join(known)}."
    if given in set(expected):
        return True, right
    return False, f"It is not {given}."


def names(answer: Any, expected: Mapping[str, Iterable[str]], known: Sequence[str]) -> Grade:
    """Grades a dictionary of names, or a list of them in the order of `expected`.

    Args:
        answer: The learner's answer.
        expected: A mapping from what is asked for to the names that are right.
        known: All possible names.
    """
    keys = list(expected)
    if isinstance(answer, Mapping):
        given = {reading.name(key, keys): value for key, value in answer.items()}
    else:
        values = reading.sequence(answer) or []
        given = dict(zip(keys, values, strict=True)) if len(values) == len(keys) else {}
    if set(given) != set(keys):
        return False, f"The answer is a dictionary of names, with the keys {', '.join(keys)}."
    for key in keys:
        right, said = name(given[key], expected[key], known)
        if not right:
            return False, f"{key.capitalize()}: {said[0].lower()}{said[1:]}"
    return True, "All of them are right."


def order(answer: Any, values: Mapping[Any, float], *, right: str = "") -> Grade:
    """Grades an order of names or numbers by rising values. Those of equal values may be swapped.

    NaN counts as larger than everything.
    """
    given = reading.sequence(answer)
    if not given:
        return False, "The answer is a list in order."
    known = list(values)
    keys = [reading.key(one, known) for one in given]
    if len(keys) != len(known) or set(keys) != set(known):
        return False, f"The list must hold each of {', '.join(map(str, values))} once."
    ranked = [_nan_last(values[key]) for key in keys]
    swapped = [n for n in range(len(ranked) - 1) if ranked[n] > ranked[n + 1]]
    if not swapped:
        return True, right
    first = swapped[0]
    return False, f"Look again at {keys[first]} and {keys[first + 1]}."


def function(
    answer: Any,
    cases: Sequence[tuple[Any, ...]],
    expected: Callable[..., Any],
    *,
    right: str = "",
    slips: Sequence[tuple[Callable[..., Any], str]] = (),
) -> Grade:
    """Grades a function by calling it, and comparing its results with those of a right function.

    Args:
        answer: The learner's function.
        cases: Tuples of arguments.
        expected: A right function.
        right: The comment on a right function. Defaults to "".
        slips: Pairs of a function with a typical mistake, and the comment on a learner's function
            that gives the same results.
    """
    if not callable(answer):
        return False, "The answer is a function: pass its name, without calling it."
    outcomes = []
    for arguments in cases:
        try:
            outcomes.append(np.asarray(answer(*_copied(arguments)), dtype=float))
        except (Exception, SystemExit) as error:  # the learner's function may raise anything
            return False, f"Your function raised {type(error).__name__}: {error}"
    if _agree(outcomes, cases, expected):
        return True, right
    for slip, said in slips:
        if _agree(outcomes, cases, slip):
            return False, said
    for arguments, outcome in zip(cases, outcomes, strict=True):
        truth = np.asarray(expected(*_copied(arguments)), dtype=float)
        if outcome.shape != truth.shape:
            return False, f"It returns the shape {outcome.shape}; the right one is {truth.shape}."
    return False, "Its results differ from the right ones in at least one case."


def hidden_layers(run: xr.Dataset) -> list[str]:
    """Returns the names of the hidden layers, shallow first."""
    layers = [
        str(name)
        for name, role in zip(run["layer"].values, run["role"].values, strict=True)
        if role == "hidden"
    ]
    if len(layers) < 2:
        raise NoAnswer("This network has fewer than two hidden layers. Train a deeper one.")
    return layers


def half_way(run: xr.Dataset) -> dict[str, float]:
    """Returns when each hidden layer is half-way to its end; infinite if it never is."""
    layers = hidden_layers(run)
    times = time_to_fraction(run).sel(layer=layers).values
    if not np.isfinite(times).any():
        raise NoAnswer("No layer of this run came half the way. Train with other settings.")
    return dict(zip(layers, np.where(np.isfinite(times), times, np.inf).tolist(), strict=True))


def _agree(
    outcomes: Sequence[Any], cases: Sequence[tuple[Any, ...]], truth: Callable[..., Any]
) -> bool:
    return all(
        outcome.shape == np.shape(expected := np.asarray(truth(*_copied(arguments)), dtype=float))
        and np.allclose(outcome, expected, rtol=1e-4, atol=1e-9, equal_nan=True)
        for arguments, outcome in zip(cases, outcomes, strict=True)
    )


def _copied(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    # A function that changes its arguments must not change the next comparison.
    return tuple(np.copy(value) if isinstance(value, np.ndarray) else value for value in arguments)


def _close(given: float, expected: float, within: float, at_zero: float = 0.0) -> bool:
    """Returns whether a number is close to another; to 0, if it is at most `at_zero` away."""
    return abs(given - expected) <= within * (abs(expected) or abs(at_zero) or 1.0)


def _nan_last(value: float) -> float:
    return math.inf if math.isnan(value) else float(value)
