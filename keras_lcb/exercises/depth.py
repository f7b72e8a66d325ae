"""01 Which layer learns first?"""

from __future__ import annotations

import itertools
from typing import Any

import xarray as xr

from keras_lcb.exercises import answers
from keras_lcb.exercises.checking import Grade, exercise
from keras_lcb.exercises.explaining import question
from keras_lcb.exercises.lab_runs import OF_THE_LABS, require


@exercise(
    "01.1",
    checked="your layer, against the first update at which each hidden layer's distance in this "
    "run is below one half.",
    hints=(
        "Follow the dotted line at one half from the left: which line crosses it first?",
        "lcb.time_to_fraction(run) gives the update at which each layer crosses it.",
    ),
)
def _first(answer: Any, run: xr.Dataset) -> Grade:
    times = answers.half_way(run)
    earliest = min(times.values())
    return answers.name(
        answer,
        [name for name, time in times.items() if time == earliest],
        list(times),
        right=f"It is half-way at update {earliest:,.0f}.",
    )


@exercise(
    "01.2",
    checked="your number, against all pairs of hidden layers of this run.",
    hints=(
        "Write the layers in the order in which they are half-way. For each, count the deeper "
        "ones that come after it.",
        "Five layers make 10 pairs: 0 and 1, 0 and 2, … 3 and 4.",
    ),
)
def _pairs(answer: Any, run: xr.Dataset) -> Grade:
    times = list(answers.half_way(run).values())
    pairs = list(itertools.combinations(times, 2))
    first = sum(shallow < deep for shallow, deep in pairs)
    return answers.number(
        answer,
        first,
        within=1e-6,
        right=f"{first} of {len(pairs)} pairs; by chance one expects about half.",
        slips={len(pairs) - first: "These are the pairs in which the deeper layer is first."},
    )


@exercise(
    "01.3",
    checked="your number, against the share of all orders of five layers, within 1 %.",
    hints=(
        "In how many orders can five layers come in?",
        "5 · 4 · 3 · 2 · 1 orders, and one of them is the one in question.",
    ),
)
def _chance(answer: Any) -> Grade:
    return answers.number(
        answer,
        1 / 120,
        right="One of the 5! = 120 orders, each as likely as the others.",
        slips={
            120: "This is the number of orders. How likely is one of them?",
            1 / 32: "The places are not chosen independently: a place that is taken is taken.",
            1 / 1024: "The pairs are not independent: 0 before 1 before 2 settles 0 before 2.",
            2 / 120: "Only the order from shallow to deep counts here, not the reverse.",
        },
    )


@exercise(
    "01.4",
    checked="your layer, against the first update at which each hidden layer's distance in the "
    "lab's run with ten hidden layers is below one half.",
    hints=(
        "Set Depth to 10 in the lab, predict, press Start, and run the cell when it has ended.",
        "Beside the picture of the distances stands when each layer was half-way.",
    ),
)
def _first_of_ten(answer: Any, run: xr.Dataset) -> Grade:
    require(run, depth=10, learning_rate=0.01, **OF_THE_LABS)
    return _first(answer, run)


question(
    "01.a",
    model="In this run the shallow layers' curves fall below one half earlier than the deep "
    "ones', so by this measure they are the faster ones. But all curves fall together at first: "
    "the differences are small beside the whole run. And the curves show only that the weights "
    "came closer to where they ended, not why.",
    criteria=(
        "It names what is plotted: the share of the way that a layer still has to go.",
        "It says how large the difference is, not only which layer is first.",
        "It keeps apart what the figure shows and what might be the reason.",
    ),
)
question(
    "01.b",
    model="With other seeds the first layer is still ahead of the last, but the layers between "
    "them change places. So the tendency may be real, and the exact order of one run is partly "
    "chance. Three seeds are too few to say how large the effect is: the interval is wide.",
    criteria=(
        "It says what all seeds have in common.",
        "It says what differs from seed to seed.",
        "It says that three runs are few.",
    ),
)
question(
    "01.c",
    model="Ten layers are half-way within a few updates of each other, and the shallowest is not "
    "the first. So what one network shows, another need not show: the depth of the network is a "
    "condition of the result.",
    criteria=(
        "It compares the ten layers with the five of the first run.",
        "It does not call the first result wrong: both are results, under different conditions.",
    ),
)
