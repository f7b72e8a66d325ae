"""Kinds of answers and how each is compared: numbers, names, orders, functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import xarray as xr

from keras_lcb.analysis import time_to_fraction
from keras_lcb.exercises.checking import Grade, NoAnswer


def number(
    answer: Any,
    expected: float,
    *,
    within: float = 0.01,
    right: str = "",
    slips: Mapping[float, str] | None = None,
) -> Grade:
    """Grade a number.

    Args:
        answer: What was answered.
        expected: The truth.
        within: Relative tolerance; absolute where the truth is 0.
        right: What to say of a right answer.
        slips: Wrong numbers that come from known slips, and what to say of each.
    """
    if isinstance(answer, bool):
        return False, "The answer is a number."
    try:
        given = float(answer)
    except (TypeError, ValueError):
        return False, f"The answer is one number, and {_short(answer)} is none."
    if not math.isfinite(given):
        return False, f"The answer is a finite number, not {given}."
    if _close(given, expected, within):
        return True, right
    for slip, said in (slips or {}).items():
        if _close(given, slip, within):
            return False, said
    if given * expected < 0:
        return False, "The sign is the other one."
    return False, f"{given:g} is too {'large' if given > expected else 'small'}."


def name(answer: Any, expected: Iterable[str], known: Sequence[str], *, right: str = "") -> Grade:
    """Grade a name out of several known ones, of which more than one may be right."""
    if not isinstance(answer, str):
        return False, f"The answer is a name in quotes: one of {', '.join(known)}."
    if answer not in known:
        return False, f"'{answer}' is none of {', '.join(known)}."
    if answer in set(expected):
        return True, right
    return False, f"It is not {answer}."


def order(answer: Any, values: Mapping[Any, float], *, right: str = "") -> Grade:
    """Grade an order of names by rising values; names of equal value may stand either way.

    NaN counts as larger than everything.
    """
    try:
        given = [] if isinstance(answer, str | bytes | Set | Mapping) else list(answer)
    except TypeError:
        given = []
    if not given:
        return False, "The answer is a list of names in order."
    if sorted(map(str, given)) != sorted(map(str, values)):
        return False, f"The list has to hold each of {', '.join(map(str, values))} once."
    sizes = {str(key): _nan_last(value) for key, value in values.items()}
    ranked = [sizes[str(key)] for key in given]
    swapped = [n for n in range(len(ranked) - 1) if ranked[n] > ranked[n + 1]]
    if not swapped:
        return True, right
    first = swapped[0]
    return False, f"Look again at {given[first]} and {given[first + 1]}."


def function(
    answer: Any,
    cases: Sequence[tuple[Any, ...]],
    expected: Callable[..., Any],
    *,
    right: str = "",
    slips: Sequence[tuple[Callable[..., Any], str]] = (),
) -> Grade:
    """Grade a function by calling it on cases and comparing with a function that is right.

    Args:
        answer: The learner's function.
        cases: Tuples of arguments.
        expected: Gives the truth for the same arguments.
        right: What to say of a right function.
        slips: Functions that make a known mistake, and what to say of one that does as they do.
    """
    if not callable(answer):
        return False, "The answer is a function: pass its name, without calling it."
    outcomes = []
    for arguments in cases:
        try:
            outcomes.append(np.asarray(answer(*_copied(arguments)), dtype=float))
        except Exception as error:  # whatever a learner's function raises is what to tell of
            return False, f"Your function raised {type(error).__name__}: {error}"
    if _agree(outcomes, cases, expected):
        return True, right
    for slip, said in slips:
        if _agree(outcomes, cases, slip):
            return False, said
    for arguments, outcome in zip(cases, outcomes, strict=True):
        truth = np.asarray(expected(*_copied(arguments)), dtype=float)
        if outcome.shape != truth.shape:
            return False, f"It gives shape {outcome.shape}, and {truth.shape} is needed."
    return False, "Its numbers differ from the right ones in at least one case."


def hidden_layers(run: xr.Dataset) -> list[str]:
    """Return the names of the hidden layers, shallow first."""
    layers = [
        str(name)
        for name, role in zip(run["layer"].values, run["role"].values, strict=True)
        if role == "hidden"
    ]
    if len(layers) < 2:
        raise NoAnswer("This network has fewer than two hidden layers: train a deeper one.")
    return layers


def half_way(run: xr.Dataset) -> dict[str, float]:
    """Return when each hidden layer is half-way; infinite for one that never is."""
    layers = hidden_layers(run)
    times = time_to_fraction(run).sel(layer=layers).values
    if not np.isfinite(times).any():
        raise NoAnswer("No layer of this run came half the way: train with other settings.")
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


def _close(given: float, expected: float, within: float) -> bool:
    return abs(given - expected) <= within * (abs(expected) or 1.0)


def _nan_last(value: float) -> float:
    return math.inf if math.isnan(value) else float(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
