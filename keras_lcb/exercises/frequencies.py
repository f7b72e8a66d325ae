"""05 Low notes first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from keras_lcb.exercises import answers
from keras_lcb.exercises.checking import Grade, NoAnswer, exercise
from keras_lcb.exercises.explaining import question
from keras_lcb.exercises.lab_runs import require, settings_of
from keras_lcb.synthetic.spectra import time_to_learn


@exercise(
    "05.1",
    checked="your list of wave numbers, against the first update at which the error at each is "
    "below one half in this run. Those that are learned before the first record may be in any "
    "order, and so may those that are not learned, which stand last.",
    hints=(
        "Which line falls below the dotted line first?",
        "synthetic.time_to_learn(run.frequency_error) gives the updates.",
    ),
)
def _order(answer: Any, run: xr.Dataset) -> Grade:
    return answers.order(answer, _seen(run), right="In this order they are learned.")


@exercise(
    "05.2",
    checked="your number, against the sum over layers of the parts of the output at a frequency "
    "that is learned exactly; within 1 %.",
    hints=(
        "A share is what a layer puts out at a frequency, divided by what the target has there.",
        "All parts together are the output. What is the output divided by the target, once it "
        "is learned?",
    ),
)
def _sum(answer: Any) -> Grade:
    return answers.number(
        answer,
        1.0,
        right="Parts may be negative or above 1; together they make the whole.",
        slips={100.0: "In per cent, yes. As a share, it is 1."},
    )


@exercise(
    "05.3",
    checked="your layer, against this run's last record of the share that each layer carries of "
    "the frequency.",
    hints=(
        "In the map, a column is a frequency. Which cell in it is the darkest red?",
        "run.frequency_share.isel(step=-1).sel(frequency=k) gives the shares of one frequency k.",
    ),
)
def _carrier(answer: Any, run: xr.Dataset, frequency: int) -> Grade:
    if "frequency_share" not in run:
        raise NoAnswer("Only the output of a residual network splits into parts.")
    shares = run["frequency_share"].isel(step=-1).sel(frequency=frequency).dropna("layer")
    if not shares.size:
        raise NoAnswer("This run has no finite shares: train with other settings.")
    layers = [str(name) for name in shares["layer"].values]
    most = int(shares.values.argmax())
    right = f"It carries {shares.values[most]:.2f} of it."
    return answers.name(answer, [layers[most]], layers, right=right)


@exercise(
    "05.4",
    checked="the run that you pass: its target has two frequencies or more, and the error at some "
    "frequency falls below one half before that at a lower one does. What happens before the "
    "first record has no order.",
    hints=(
        "How large is the gradient that a frequency causes? Its amplitude counts, too.",
        "Give the low frequency a small amplitude and the high one a large one.",
        "synthetic.SineSum([(1, 0.05, 0), (4, 1.0, 0)]) is a start.",
    ),
)
def _high_first(answer: Any) -> Grade:
    if not isinstance(answer, xr.Dataset) or "frequency_error" not in answer:
        return False, "The answer is a run, as synthetic.run returns it."
    learned = _seen(answer)  # low frequencies first
    times = [math.inf if math.isnan(time) else time for time in learned.values()]
    waves = list(learned)
    for low, high in zip(*np.triu_indices(len(waves), 1), strict=True):
        if times[high] < times[low]:
            return True, f"Wave number {waves[high]} is learned before {waves[low]}."
    return False, "In this run, lower frequencies are learned first."


def _seen(run: xr.Dataset) -> dict[int, float]:
    """Returns when each frequency is learned; what happens before the first record is not seen."""
    first = float(run["step"].values[:2][-1])
    return {k: max(time, first) for k, time in _times(run).items()}


def _times(run: xr.Dataset) -> dict[int, float]:
    times = time_to_learn(run["frequency_error"].sortby("frequency"))
    if not bool(times.notnull().any()):
        raise NoAnswer("No frequency is learned in this run: train longer, or at another rate.")
    return {int(k): float(time) for k, time in zip(times["frequency"], times, strict=True)}


@exercise(
    "05.5",
    checked="your number, against the updates at which the error at wave number 10 falls below "
    "one half in the lab's run with a quarter of the learning rate, divided by those of `run`; "
    "within 5 %.",
    hints=(
        "Set the learning rate in the lab to a quarter, predict, press Start, and wait.",
        "synthetic.time_to_learn(lab.run.frequency_error) gives the updates; the same for run.",
    ),
)
def _slower(answer: Any, run: xr.Dataset, slow: xr.Dataset) -> Grade:
    made = settings_of(run)
    others = {k: value for k, value in made.items() if k not in ("learning_rate", "record_every")}
    require(slow, learning_rate=made["learning_rate"] / 4, **others)
    before, after = (_times(one).get(10, math.nan) for one in (run, slow))
    if not math.isfinite(after / before):
        raise NoAnswer("Wave number 10 is not learned in both runs. Train longer.")
    return answers.number(
        answer,
        after / before,
        within=0.05,
        right=f"{after:,.0f} updates against {before:,.0f}.",
        slips={
            4.0: "A quarter of the rate need not take four times as long: look at the lab's run.",
            before / after: "The other way round: the slow run's updates divided by the other's.",
            after: "These are the updates of the slow run: divide them by those of `run`.",
        },
    )


question(
    "05.a",
    model="The lower a note, the sooner its error falls below one half: 1 and 3 at once, 10 much "
    "later, 30 not within this run. But the low notes are also the loud ones in this target, so "
    "this figure alone cannot tell which of the two is the reason.",
    criteria=(
        "It describes the order, and that the steps between the notes are unequal.",
        "It names the second thing in which the notes differ.",
    ),
)
question(
    "05.b",
    model="The two numbers are means over different things. By its shares, a layer is asked for "
    "the four notes of the target only; by energy, everything counts that the layer adds, also "
    "what other layers take away again, and what leaks because a contribution does not end where "
    "it began. They are on different scales, so only the order of the layers can be compared.",
    criteria=(
        "It says what counts in each of the two means.",
        "It compares the order of the layers, and says whether the two agree on it.",
    ),
)
question(
    "05.c",
    model="With equal loudness, 1 is still learned before 3, and 3 before 10, so loudness is not "
    "the only reason: frequency by itself plays a part. Note 3 is now later than note 1 by a "
    "clear distance, although it has become louder than it was. The notes are learned in one "
    "network, so what is left of one note changes the gradients of the others.",
    criteria=(
        "It says what was held equal in the second run.",
        "It concludes that frequency matters, not that loudness does not.",
    ),
)
