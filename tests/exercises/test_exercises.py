"""Every exercise with right answers, wrong ones, and slips that have a word of their own."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import hypothesis
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keras_lcb import exercises
from keras_lcb.exercises import answers
from keras_lcb.exercises.checking import exercise
from keras_lcb.exercises.lab_runs import OF_THE_LABS
from keras_lcb.runs import schema

STEPS = np.array([0, 10, 20, 30, 40])
# Half-way at updates 5, 25, 15 and never before the end; the head at 10.
DISTANCE = np.array(
    [
        [1.0, 1.0, 1.0, 1.0, 1.0],
        [0.0, 0.9, 0.8, 1.0, 0.5],
        [0.0, 0.7, 0.2, 0.9, 0.3],
        [0.0, 0.3, 0.1, 0.8, 0.1],
        [0.0, 0.0, 0.0, 0.0, 0.0],
    ]
)
GRADIENT = np.array([[np.nan] * 5] + [[1.0, 4.0, 2.0, 3.0, 9.0]] * 4)
ERROR = np.array([[1.0, 1.0, 1.0], [0.2, 0.9, 1.0], [0.1, 0.4, 1.0], [0.1, 0.1, 0.9], [0, 0, 0.8]])
LAYERS = ["a", "b", "c", "d", "head"]


@pytest.fixture
def run() -> xr.Dataset:
    over = ("step", "layer")
    share = np.zeros((5, 5, 3))
    share[-1] = [[0.7, 0.1, 0.0], [0.2, 0.1, 0.1], [0.1, 0.8, 0.0], [0.0, -0.1, 0.1], [0, 0, 0]]
    return schema.dataset(
        {
            "distance": (over, DISTANCE),
            "normalized_distance": (over, DISTANCE),
            "gradient_norm": (over, GRADIENT),
            "frequency_error": (("step", "frequency"), ERROR),
            "frequency_share": (("step", "layer", "frequency"), share),
        },
        {
            "step": STEPS,
            "layer": LAYERS,
            "depth": np.arange(5),
            "role": ["hidden"] * 4 + ["head"],
            "frequency": [1, 3, 10],
        },
        {},
    )


def normalized(weights):
    return np.linalg.norm(weights - weights[-1], axis=1) / np.linalg.norm(weights[0] - weights[-1])


def rate(steps, distance, t1, t2):
    return (np.interp(t1, steps, distance) - np.interp(t2, steps, distance)) / (t2 - t1)


def limit(hessian):
    return 2 / max(np.linalg.eigvalsh(hessian))


# Which evidence an exercise needs, right answers, and wrong ones with a word their verdict says.
CASES = {
    "01.1": (
        "run",
        ["a", " A ", np.array(["a"]), xr.DataArray("a")],
        {"b": "not b", "head": "not one of", "z": "not one of", 3: "in quotes"},
    ),
    # Of the pairs ab ac ad bc bd cd, the deeper is first in bc.
    "01.2": ("run", [5, 5.0, np.int64(5)], {1: "deeper layer", 6: "too large", "x": "number"}),
    "01.3": (
        "",
        [
            *(1 / 120, 0.00833, "1/120", "0.83 %", "0,00833", np.array([1 / 120])),
            *(np.float32(1 / 120), Fraction(1, 120), xr.DataArray([1 / 120]), [1 / 120]),
        ],
        {120: "number of orders", 1 / 32: "independent", 0.5: "too"},
    ),
    "01.4": ("ten", ["a"], {"b": "not b", "layer_9": "not one of"}),
    "02.1": (
        "",
        [
            normalized,
            lambda w: (
                np.array([np.sqrt(((r - w[-1]) ** 2).sum()) for r in w])
                / np.sqrt(((w[0] - w[-1]) ** 2).sum())
            ),
        ],
        {
            (lambda w: np.linalg.norm(w - w[-1], axis=1)): "divided by that at the start",
            (lambda w: normalized(w) ** 2): "square",
            (lambda w: 1 / 0): "ZeroDivisionError",
            (lambda w: normalized(w)[1:]): "shape",
            (lambda w: normalized(w) + 0.01): "differ",
            3: "pass its name",
        },
    ),
    "02.2": (
        "",
        [rate],
        {
            (lambda s, d, a, b: -rate(s, d, a, b)): "sign",
            (lambda s, d, a, b: rate(s, d, a, b) * (b - a)): "divided by the time",
            (lambda s, d, a, b: rate(s, d, s[0], s[-1])): "differ",
            (lambda d: 0.0): "TypeError",
        },
    ),
    "02.3": (
        "run",
        [1 / 40],
        {
            40: "This is T",
            1: "whole way",
            0: "cover its whole way",
            1 / 20: "a way of 1",
            0.005: "too small",
            0.03: "too large",
        },
    ),
    # From 0 to 10: 0.1, 0.01, 0.02, 0 an update; from 10 to 40: 0, 0.03, 0.0267, 0.0333.
    "02.4": (
        "run",
        [(0, 10), [0, 20], "0, 20", np.array([0, 20])],
        {(0, 40): "not twice", (5, 50): "within", 3: "pair"},
    ),
    # Half-way at 5, 25, 15 and, between 0.8 at 30 and 0 at 40, at 33.75; each times 50.
    "02.6": ("fast", [6.75, 7], {5 / 33.75: "other way", 1437.5: "difference", 2: "too small"}),
    "02.5": (
        "",
        [100 * math.log(2), 69.3],
        {50: "straight", 100: "1/e", 30.1: "natural", math.nan: "finite"},
    ),
    "03.1": ("", [1], {10: "as far to go", 0.1: "as far to go", True: "number"}),
    "03.2": ("", [4], {1: "equally long", 0.25: "other way", 2: "root", -4: "sign"}),
    "03.3": (
        "",
        [1.5, "3/2", "1½"],
        {1.75: "where b ends", 1: "way of a", 3.25: "alone", 2: "too"},
    ),
    "03.4": ("run", ["b"], {"a": "not a", "head": "not one of"}),
    # Gradient norms 1 4 2 3 against speeds 1/5, 1/25, 1/15, 1/27: the correlation is negative.
    "03.5": ("run", [-1], {1: "sign", 0: "too"}),
    "03.6": (
        "ten",
        [
            {"fastest": "a", "largest gradient": "b"},
            {"Largest_gradient": "B", "fastest": "a"},
            ("a", "b"),
            "a, b",
        ],
        {
            ("b", "b"): "Fastest: it is not b",
            ("a", "c"): "Largest gradient: it is not c",
            ("a",): "with the keys fastest, largest gradient",
        },
    ),
    "04.1": ("", [0.5], {0.25: "bottom", 2: "curvature of 1", 1: "−3w", 0.7: "too large"}),
    "04.2": (
        "",
        [limit, lambda h: 2 / np.linalg.eigvalsh(h)[-1]],
        {
            (lambda h: 2 / np.linalg.eigvalsh(h)[0]): "smallest",
            (lambda h: 1 / np.linalg.eigvalsh(h)[-1]): "half",
            (lambda h: 2 / np.trace(h)): "sum of all",
        },
    ),
    "04.3": (
        "",
        [0.01, 1 / 100],
        {100: "other way", 0.1: "gradient", 1: "function", -0.01: "sign"},
    ),
    "04.4": ("flat", ["c"], {"a": "not a", "z": "not one of"}),
    "05.1": (
        "run",
        [
            *([1, 3, 10], (1, 3, 10), np.array([1, 3, 10]), ["1", "3", "10"], "1, 3, 10"),
            *("1 → 3 → 10", {1: 5, 10: 25.0, 3: "16"}, iter([1.0, 3.0, 10.0])),
        ],
        {(3, 1, 10): "3 and 1", (1, 3): "each of", "1, 3": "each of", 3: "list"},
    ),
    "05.2": ("", [1], {100: "per cent", 4: "too large"}),
    "05.3": ("carrier", ["c"], {"a": "not a", "z": "not one of"}),
    # Wave number 10 is at ½ at update 15 of run, from 0.9 at 10 to 0.1 at 20, and at 45 of the slow
    # one; each times 50.
    "05.5": (
        "quarter",
        [3, 3.1],
        {4: "need not", 1 / 3: "other way", 2250: "divide", 2: "too small"},
    ),
    "06.1": ("found", [2], {3: "too large", 0: "too small"}),
    "06.2": ("", [0.125], {1 / 3: "multiply", 0.25: "either sign", 0.375: "exactly one"}),
    "06.3": ("", [0, 0.005], {1: "cosine", 9: "direction"}),
}


WITHOUT_CASES = ("05.4", "06.4")  # whose answer is a run


def evidence(kind: str, run: xr.Dataset) -> dict:
    class Bias:
        def __init__(self, verdict):
            self.verdict = verdict

    verdicts = ["shallower faster", "inconclusive", "deeper faster", "shallower faster"]
    rates = xr.zeros_like(run.normalized_distance) * np.nan
    rates[2], rates[4] = [9.0, 0, 0, 0, 0], [0.1, 0.2, 0.4, 0.3, 9.0]
    error = run.frequency_error.copy(data=np.repeat([[1.0, 1.0, 1.0]], 5, axis=0))
    ten = error.copy(data=np.array([[1.0, 1, 1], [0, 0, 0.9], [0, 0, 0.1], [0, 0, 0], [0, 0, 0]]))
    slow = ten.assign_coords(step=[0, 30, 60, 90, 120])
    longer = run.isel(layer=slice(None)).drop_dims("frequency").assign_coords(step=slow.step)
    return {
        "": {},
        "run": {"run": run},
        "carrier": {"run": run, "frequency": 3},
        "found": {"found": {str(n): Bias(verdict) for n, verdict in enumerate(verdicts)}},
        "ten": {"run": made(run, depth=10)},
        "fast": {"run": made(run, learning_rate=0.02)},
        "flat": {"run": made(run.assign(stable_learning_rate=rates), depth=3)},
        "quarter": {
            "run": made(run.assign(frequency_error=ten)),
            "slow": made(longer.assign(frequency_error=slow), learning_rate=0.0025),
        },
    }[kind]


def made(run: xr.Dataset, **settings) -> xr.Dataset:
    """The run as if a lab had made it with these settings."""
    config = {
        **{"depth": 5, "learning_rate": 0.01, "seed": 0, "batch_size": 128},
        **{"record_every": 20, **OF_THE_LABS, **settings},
    }
    # Both experiments of 05.5 are of equally many updates; here their steps are stretched.
    stretched = run.assign_coords(step=run.step * (OF_THE_LABS["updates"] // 40))
    return stretched.assign_attrs(settings=json.dumps({"Config": config}))


@pytest.mark.parametrize("name", CASES)
def test_right_answers_are_right(name, run):
    kind, right, _ = CASES[name]
    for answer in right:
        verdict = exercises.check(name, answer, **evidence(kind, run))
        assert verdict.right is True, (answer, verdict)
        assert f"Exercise {name}: right." in repr(verdict) and "Checked: your" in repr(verdict)


@pytest.mark.parametrize("name", CASES)
def test_wrong_answers_are_wrong_and_told_why(name, run):
    kind, right, wrong = CASES[name]
    for answer, word in wrong.items():
        verdict = exercises.check(name, answer, **evidence(kind, run))
        assert verdict.right is False, (answer, verdict)
        assert word in verdict.said and verdict.said, (answer, verdict)
        assert f'exercises.hint("{name}")' in repr(verdict)


OTHER_SETTINGS = {
    "target": {"kind": "Expression", "formula": "sin(x)"},
    "width": 8,
    "residual": True,
    "activation": "sigmoid",
    "optimizer": "adam",
    "updates": 500,
}


@pytest.mark.parametrize("name", ["01.4", "02.6", "03.6", "04.4", "05.5"])
@pytest.mark.parametrize("setting", OTHER_SETTINGS)
def test_a_run_of_the_lab_with_any_other_setting_does_not_count(name, setting, run):
    kind, (answer, *_), _ = CASES[name]
    given = evidence(kind, run)
    last = "slow" if name == "05.5" else "run"
    config = schema.settings(given[last])["Config"] | {setting: OTHER_SETTINGS[setting]}
    other = given[last].assign_attrs(settings=json.dumps({"Config": config}))
    verdict = exercises.check(name, answer, **given | {last: other})
    assert verdict.right is None and "The lab's last run has" in verdict.said, verdict


def test_the_slow_run_of_exercise_05_5_differs_from_the_other_in_the_rate_alone(run):
    given = evidence("quarter", run)
    config = schema.settings(given["slow"])["Config"]
    for change, right in [({"record_every": 7}, True), ({"batch_size": 16}, None)]:
        slow = given["slow"].assign_attrs(settings=json.dumps({"Config": config | change}))
        assert exercises.check("05.5", 3, run=given["run"], slow=slow).right is right


NOTHING_MEANT = [
    *(
        "",
        "?",
        b"",
        [],
        (),
        {},
        set(),
        [[]],
        [..., 1],
        [object],
        object(),
        math.nan,
        math.inf,
        -1e300,
    ),
    *(True, 1j, np.array([]), np.ones((2, 2)), xr.Dataset(), xr.DataArray("z"), len, lambda: None),
]


@pytest.mark.parametrize("name", [*CASES, *WITHOUT_CASES])
def test_whatever_is_passed_gets_a_verdict_with_a_sentence(name, run):
    kind = CASES[name][0] if name in CASES else ""
    for answer in NOTHING_MEANT:
        verdict = exercises.check(name, answer, **evidence(kind, run))
        assert verdict.right is False, (answer, verdict)
        assert verdict.said.endswith(".") or "Your function raised" in verdict.said, verdict


class Stubborn:
    """Raises at whatever is asked of it."""

    def __getattribute__(self, name):
        raise RuntimeError(name)

    __repr__ = __float__ = __iter__ = __len__ = __array__ = __eq__ = __bool__ = __getattribute__


SCALARS = st.one_of(
    *(st.integers(), st.floats(), st.complex_numbers(), st.booleans(), st.text(), st.binary()),
    *(st.fractions(), st.decimals(), st.dates(), st.just(...), st.none(), st.builds(Stubborn)),
    st.sampled_from(
        [len, exit, Stubborn, lambda *given: Stubborn(), lambda *given: given, "layer 1"]
    ),
    arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, min_side=0, max_side=3)),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        *(st.lists(inner), st.tuples(inner), st.tuples(inner, inner), st.iterables(inner)),
        st.dictionaries(st.one_of(st.text(), st.integers()), inner),
        inner.map(lambda one: pd.Series([one], dtype=object)),
    ),
    max_leaves=4,
)


@hypothesis.given(answer=ANYTHING, name=st.sampled_from(exercises.names()))
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_no_answer_whatsoever_raises(run, answer, name):
    kind = CASES[name][0] if name in CASES else ""
    with np.errstate(all="ignore"):
        verdict = exercises.check(name, answer, **evidence(kind, run))
    assert isinstance(verdict, exercises.Verdict) and verdict.said and repr(verdict)


def test_evidence_that_is_missing_or_no_run_is_told(run):
    assert 'exercises.check("01.1", answer, run=run)' in exercises.check("01.1", "a").said
    assert exercises.check("01.1", "a", runs=run).right is None
    assert "cannot be read" in exercises.check("01.1", "a", run=3).said


# The tolerance that is stated, and the truth worked out by hand.
NUMBERS = {
    "01.3": (0.0083333333, 0.01),
    "02.5": (69.31471806, 0.01),
    "03.3": (1.5, 0.01),
    "03.1": (1.0, 0.01),
    "03.2": (4.0, 0.05),
    "04.1": (0.5, 0.01),
    "04.3": (0.01, 0.01),
    "05.2": (1.0, 0.01),
    "06.2": (0.125, 0.01),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_right_within_what_the_verdict_states(name):
    truth, tolerance = NUMBERS[name]
    for sign in (-1, 1):
        near, far = truth * (1 + sign * tolerance * np.array([0.95, 1.05]))
        assert exercises.check(name, near).right is True
        assert exercises.check(name, far).right is False
        assert exercises.check(name, str(near)).right is True, "what is typed in quotes counts"
    assert exercises.check(name, truth).checked.endswith(f"within {100 * tolerance:.0f} %.")


def test_a_slip_of_0_has_the_tolerance_of_the_right_number_and_the_nearest_slip_counts():
    slips = {0.0: "nothing", 100.0: "hundred", 101.0: "more"}

    def said(answer):
        return answers.number(answer, 0.001, slips=slips)

    assert said(0.001) == (True, "")
    assert said(0) == said(0.000009) == (False, "nothing")
    assert said(0.00002) == (False, "2e-05 is too small.")
    assert said(0.005) == (False, "0.005 is too large.")
    assert said(-0.005) == (False, "The sign is the other one.")
    assert [said(near)[1] for near in (99.5, 100.4, 100.6)] == ["hundred", "hundred", "more"]
    assert answers.number(0.009, 0.0) == (True, "")


def test_a_window_in_which_one_layer_is_just_twice_as_fast_will_do(run):
    distance = np.interp(STEPS, [0, 20, 40], [1.0, 0.75, 0.0])
    twice = run.assign(normalized_distance=run.normalized_distance.copy())
    twice.normalized_distance[:, :4] = distance[:, None]
    twice.normalized_distance[:, 1] = np.interp(STEPS, [0, 20, 40], [1.0, 0.5, 0.0])
    assert exercises.check("02.4", (0, 20), run=twice).right is True
    assert exercises.check("02.4", (0, 21), run=twice).right is False
    assert exercises.check("02.4", (20, 40), run=twice).right is False
    for window in [(10, 10), (20, 10), (-1, 20), (0, 40.5), (0, math.nan), (0, 10, 20), "12"]:
        verdict = exercises.check("02.4", window, run=twice)
        assert verdict.right is False and ("within" in verdict.said or "pair" in verdict.said)


def test_the_run_of_exercise_05_4(run):
    swapped = run.assign(
        frequency_error=run.frequency_error[:, ::-1].assign_coords(run.frequency.coords)
    )
    assert exercises.check("05.4", swapped).right is True
    assert exercises.check("05.4", run).right is False
    assert exercises.check("05.4", {"frequency_error": 1}).right is False


def test_what_is_learned_before_the_first_record_has_no_order_in_exercise_05_4(run):
    error = run.frequency_error.copy()
    error[1:] = 0.0
    error[0] = [1.2, 1.1, 1.0]  # so that the lowest crosses one half last between the records
    assert exercises.check("05.4", run.assign(frequency_error=error)).right is False


def test_exercise_05_4_names_wave_numbers_whatever_their_order(run):
    error = run.frequency_error.sel(frequency=[1, 3]).assign_coords(frequency=[3, 1])
    for order in ([1, 3], [3, 1]):
        verdict = exercises.check(
            "05.4", xr.Dataset({"e": error.sel(frequency=order)}).rename(e="frequency_error")
        )
        assert verdict.said == "Wave number 3 is learned before 1."


def test_the_run_of_exercise_06_4(run):
    reverse = made(run.isel(layer=[3, 1, 2, 0, 4]))
    assert exercises.check("06.4", reverse).right is True
    assert exercises.check("06.4", made(run)).right is False
    moves = reverse.layer != reverse.layer[0]  # the first layer does not
    still = reverse.assign(normalized_distance=reverse.normalized_distance.where(moves))
    verdict = exercises.check("06.4", still)
    assert verdict.right is False and "never came half the way" in verdict.said
    for change in ({"depth": 4}, {"residual": True}, {"optimizer": "adam"}):
        verdict = exercises.check("06.4", made(run.isel(layer=[3, 1, 2, 0, 4]), **change))
        assert verdict.right is False and "plain network, with momentum" in verdict.said


def test_every_exercise_has_cases_and_hints():
    assert set(exercises.names()) == set(CASES) | set(WITHOUT_CASES)
    for name in exercises.names():
        assert exercises.hint(name).startswith("Hint 1 of ")
        count = int(exercises.hint(name).split()[3].rstrip(":"))
        assert count >= 2 and "More" not in exercises.hint(name, count)
        with pytest.raises(ValueError, match=f"hints 1 to {count}"):
            exercises.hint(name, count + 1)


@pytest.mark.parametrize("answer", [..., None])
def test_an_exercise_without_an_answer_is_open(answer):
    for name in exercises.names():
        verdict = exercises.check(name, answer)
        assert verdict.right is None and "open" in repr(verdict) and "Checked" not in repr(verdict)


def test_a_run_without_an_answer_leaves_the_exercise_open(run):
    diverged = run.assign(
        normalized_distance=run.normalized_distance * np.nan,
        gradient_norm=run.gradient_norm * np.nan,
        frequency_error=run.frequency_error * np.nan,
        frequency_share=run.frequency_share * np.nan,
    )
    one_layer = run.sel(layer=["a", "head"])
    plain = run.drop_vars("frequency_share")
    flat = evidence("flat", run)["run"]
    unknown = flat.stable_learning_rate.where(flat.layer != "b")
    for name, answer, given in [
        ("04.4", "c", {"run": flat.assign(stable_learning_rate=unknown)}),
        ("01.1", "a", {"run": diverged}),
        ("01.1", "a", {"run": one_layer}),
        ("01.2", 5, {"run": one_layer}),
        ("02.4", (0, 10), {"run": diverged}),
        ("03.4", "b", {"run": diverged}),
        ("03.5", 1, {"run": diverged}),
        ("05.1", [1, 3, 10], {"run": diverged}),
        ("05.3", "a", {"run": diverged, "frequency": 3}),
        ("05.3", "a", {"run": plain, "frequency": 3}),
    ]:
        verdict = exercises.check(name, answer, **given)
        assert verdict.right is None and verdict.said.endswith((".", "layers that differ.")), name


def test_layers_that_tie_may_both_be_first(run):
    tied = run.assign(normalized_distance=run.normalized_distance.copy())
    tied.normalized_distance[:, 2] = DISTANCE[:, 0]
    assert exercises.check("01.1", "a", run=tied).right
    assert exercises.check("01.1", "c", run=tied).right
    assert not exercises.check("01.1", "b", run=tied).right


def test_frequencies_that_are_never_learned_stand_last_in_any_order(run):
    never = run.assign(frequency_error=run.frequency_error.copy())
    never.frequency_error[:, 1] = 0.9
    assert exercises.check("05.1", [1, 3, 10], run=never).right
    assert exercises.check("05.1", [1, 10, 3], run=never).right
    assert not exercises.check("05.1", [3, 1, 10], run=never).right


def test_frequencies_learned_before_the_first_record_stand_first_in_any_order(run):
    soon = run.assign(frequency_error=run.frequency_error.copy())
    soon.frequency_error[1:, 1] = 0.1
    assert exercises.check("05.1", [1, 3, 10], run=soon).right
    assert exercises.check("05.1", [3, 1, 10], run=soon).right
    assert not exercises.check("05.1", [1, 10, 3], run=soon).right


def test_a_function_that_changes_its_argument_is_graded_on_its_outcome():
    def in_place(weights):
        weights -= weights[-1].copy()
        away = np.linalg.norm(weights, axis=1)
        return away / away[0]

    assert exercises.check("02.1", in_place).right


def test_unknown_exercises_and_twice_the_same_number_are_refused():
    with pytest.raises(ValueError, match="no exercise '99.9'. The exercises are 01.1"):
        exercises.check("99.9", 1)
    with pytest.raises(ValueError, match="already an exercise 01.1"):
        exercise("01.1", checked="", hints=[])(lambda answer: (True, ""))


def test_predictions_are_set_beside_the_outcome():
    assert "nothing yet" in exercises.predicted(..., "layer_0")
    assert "agree" in exercises.predicted("Layer_0 ", "layer_0")
    assert "agree" in exercises.predicted([1, 3], (1, 3))
    assert "differ" in exercises.predicted("layer_1", "layer_0")


@pytest.mark.parametrize(
    ("prediction", "outcome", "agree"),
    [
        ("layer 2", "layer_2", True),
        ("Layer-12", "layer_2", False),
        ("1,3,10", [1, 3, 10], True),
        (np.array([1, 3]), [1, 3], True),
        ([1, 3], [1, 3, 10], False),
        ([3, 1], [1, 3], False),
        (2.0, 2, True),
        ("3", 3, True),
        (2, 3, False),
        ("two", 2, False),
        ("Together", "together", True),
        (None, "none", None),
        ([..., ...], [1, 3], None),
    ],
)
def test_predictions_are_read_in_any_form(prediction, outcome, agree):
    told = {True: "They agree", False: "They differ", None: "nothing yet"}[agree]
    assert told in exercises.predicted(prediction, outcome)
