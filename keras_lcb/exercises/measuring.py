"""02 Measuring convergence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from keras_lcb.analysis import convergence_rate
from keras_lcb.exercises import answers, reading
from keras_lcb.exercises.checking import Grade, NoAnswer, exercise
from keras_lcb.exercises.explaining import question
from keras_lcb.exercises.lab_runs import OF_THE_LABS, require


def _normalized(weights: np.ndarray) -> np.ndarray:
    away = np.linalg.norm(weights - weights[-1], axis=1)
    return away / away[0]


def _not_normalized(weights: np.ndarray) -> np.ndarray:
    return np.linalg.norm(weights - weights[-1], axis=1)


def _from_the_start(weights: np.ndarray) -> np.ndarray:
    gone = np.linalg.norm(weights - weights[0], axis=1)
    return gone / gone[-1]


def _squared(weights: np.ndarray) -> np.ndarray:
    return _normalized(weights) ** 2


@exercise(
    "02.1",
    checked="your function on three made-up layers of 1, 4 and 50 parameters, against "
    "‖θ(t) − θ*‖ / ‖θ(0) − θ*‖ for every record t.",
    hints=(
        "weights[-1] is the endpoint θ*; NumPy subtracts it from every row of weights at once.",
        "np.linalg.norm(..., axis=1) gives one norm a row.",
        "Divide by the first of these norms.",
    ),
)
def _distance(answer: Any) -> Grade:
    rng = np.random.default_rng(0)
    cases = [(rng.normal(size=(6, size)).cumsum(axis=0),) for size in (1, 4, 50)]
    return answers.function(
        answer,
        cases,
        _normalized,
        right="It starts at 1 and ends at 0 for every layer.",
        slips=(
            (_not_normalized, "This is the distance; it is not yet divided by that at the start."),
            (_from_the_start, "This is the way from the start; wanted is the way still to go."),
            (_squared, "This is the square of what is wanted: a norm has a root."),
        ),
    )


def _rate(steps: np.ndarray, distance: np.ndarray, t1: float, t2: float) -> float:
    early, late = np.interp([t1, t2], steps, distance)
    return (early - late) / (t2 - t1)


@exercise(
    "02.2",
    checked="your function on four made-up curves and windows that begin and end at records, "
    "against Definition 2.1.",
    hints=(
        "Definition 2.1 is a difference of two distances, divided by the time between them.",
        "np.interp(t1, steps, distance) reads the curve at t1.",
        "(distance at t1 − distance at t2) / (t2 − t1): positive when the layer comes closer.",
    ),
)
def _own_rate(answer: Any) -> Grade:
    rng = np.random.default_rng(1)
    steps = np.arange(0, 60, 10)
    curves = [np.append(1.0, rng.uniform(0, 1.2, 5)) for _ in range(3)]
    windows = [(0, 20), (10, 50), (20, 30)]
    cases = [(steps, curve, *window) for curve, window in zip(curves, windows, strict=True)]
    cases.append((steps**2, curves[0], 100, 400))  # records that are not equally far apart
    return answers.function(
        answer,
        cases,
        _rate,
        right="It is the mean slope of the curve in the window, with the sign turned.",
        slips=(
            (lambda s, d, a, b: -_rate(s, d, a, b), "The sign: coming closer counts as positive."),
            (
                lambda s, d, a, b: _rate(s, d, a, b) * (b - a),
                "This is how far the layer came; a rate is divided by the time it took.",
            ),
            (
                lambda s, d, a, b: _rate(s, d, a, b) / d[0],
                "Almost: this distance is normalized already.",
            ),
        ),
    )


@exercise(
    "02.3",
    checked="your number, against the rate from the first to the last update of this run, in "
    "which every layer starts at distance 1 and ends at 0; within 1 %.",
    hints=(
        "Put t1 = 0 and t2 = T into the definition. What is the distance at 0, and at T?",
        "(1 − 0) / T.",
    ),
)
def _whole_run(answer: Any, run: xr.Dataset) -> Grade:
    updates = int(run["step"].values[-1])
    return answers.number(
        answer,
        1 / updates,
        right=f"1/T = 1/{updates:,}, for every layer, whatever it did in between.",
        slips={
            updates: "This is T. The rate is what is covered in one update.",
            1.0: "This is the whole way. The rate is what is covered in one update.",
            0.0: "Each layer does cover its whole way, from distance 1 to 0.",
            2 / updates: "From 1 to 0 is a way of 1.",
        },
    )


@exercise(
    "02.4",
    checked="your window: the largest rate of this run's hidden layers in it, against the "
    "smallest.",
    hints=(
        "Look for a stretch in which one line falls steeply and another is almost level.",
        "Short windows tell layers apart better than long ones. Try the first tenth of the run.",
    ),
)
def _window(answer: Any, run: xr.Dataset) -> Grade:
    times = [reading.number(time) for time in reading.sequence(answer) or []]
    if len(times) != 2 or times[0] is None or times[1] is None:
        return False, "The answer is a pair of updates (t1, t2)."
    t1, t2 = times[0], times[1]
    layers = answers.hidden_layers(run)
    steps = run["step"].values
    if not steps[0] <= t1 < t2 <= steps[-1]:
        return False, f"The window has to lie within {steps[0]:,} to {steps[-1]:,}, t1 before t2."
    rates = convergence_rate(run, t1, t2).sel(layer=layers)
    if not np.isfinite(rates).all():
        raise NoAnswer("Some layer of this run has no distance: train with other settings.")
    order = np.argsort(rates.values)
    (slow, fast) = rates.values[order[[0, -1]]]
    of = f"{layers[order[-1]]} at {fast:.2g} an update"
    to = f"{layers[order[0]]} at {slow:.2g}"
    if fast > 0 and fast >= 2 * slow:
        return True, f"The fastest here is {of}, the slowest {to}."
    return False, f"Here the fastest is {of}, the slowest {to}: not twice as fast."


@exercise(
    "02.5",
    checked="your number, against the time at which exp(−t/100) is one half; within 1 %.",
    hints=(
        "For which t is exp(−t/100) = 1/2?",
        "Take the logarithm of both sides: t = 100 · ln 2.",
    ),
)
def _exponential(answer: Any) -> Grade:
    return answers.number(
        answer,
        100 * math.log(2),
        right="100 · ln 2: for such a curve the time to half says all there is to know.",
        slips={
            50: "This would be half-way on a straight line. The curve is steeper at first.",
            100: "At t = 100 the distance is 1/e, about 0.37.",
            100 * math.log10(2): "The natural logarithm is wanted: exp has base e.",
        },
    )


@exercise(
    "02.6",
    checked="your number, against the times to half the distance of the hidden layers in the "
    "lab's run with the learning rate 0.02: the longest divided by the shortest; within 5 %.",
    hints=(
        "Set the learning rate to 0.02 in the lab, predict, press Start, and wait for the end.",
        "Beside the picture stands when each layer was half-way. Leave out the read-out (out).",
        "lcb.time_to_fraction(lab.run) gives the times.",
    ),
)
def _spread(answer: Any, run: xr.Dataset) -> Grade:
    require(run, learning_rate=0.02, depth=5, **OF_THE_LABS)
    times = answers.half_way(run).values()
    first, last = min(times), max(times)
    if not math.isfinite(last):
        raise NoAnswer("Some layer of this run never came half the way. Take another seed.")
    return answers.number(
        answer,
        last / first,
        within=0.05,
        right=f"{last:,.0f} updates against {first:,.0f}.",
        slips={
            first / last: "The other way round: the longer time divided by the shorter one.",
            last - first: "This is the difference of the two times; their ratio is asked for.",
        },
    )


question(
    "02.a",
    model="The endpoint is where the layer itself ended, so each layer goes from distance 1 to "
    "distance 0, and it does so in the same T updates. The rate over the whole run is then 1/T "
    "by definition. Layers can only differ in how they spread this way over the run.",
    criteria=(
        "It says that each layer is measured against its own end.",
        "It uses both ends: 1 at update 0, and 0 at update T.",
        "It says where a difference could still be seen.",
    ),
)
question(
    "02.b",
    model="On the left the endpoint is the weights at the end of the left figure, so every line "
    "must come down to 0 there. On the right the same weights are measured against a later "
    "endpoint, and they still have some way to go. The weights are the same; the endpoint is not.",
    criteria=(
        "It says that the weights in both figures are the same.",
        "It says why the lines on the left must end at 0.",
        "It does not say that the layers on the left have converged.",
    ),
)
question(
    "02.c",
    model="The steps became small because the learning rate did, so the weights stopped moving. "
    "Any training with such a schedule comes to rest, whether or not it has learned anything; "
    "on fresh noise this network is worse than always answering 0.",
    criteria=(
        "It names the learning rate as the cause of the rest.",
        "It looks at the error on fresh data, not only at the curves.",
    ),
)
question(
    "02.d",
    model="They agree in part only. The first layer is the first to pass on nearly what it passes "
    "on in the end, but it begins far ahead: it sees the data themselves, so even random weights "
    "pass on something similar. What a deeper layer passes on also changes when the layers before "
    "it change, though its own weights stay. One network is no proof of either order.",
    criteria=(
        "It compares the orders of the layers in both figures.",
        "It uses the similarity before training.",
        "It says that what a layer passes on depends on the layers before it.",
    ),
)
