import dataclasses

import hypothesis
import hypothesis.extra.numpy
import keras
import numpy as np
import pytest
import xarray as xr
from hypothesis import strategies as st

import keras_lcb as lcb
from keras_lcb.diagnosis import NAMES, Findings
from tests.diagnosis.trainings import both, times, training

# The names that scripts rely on.
CONTRACT = {
    "vanishing gradient",
    "exploding gradient",
    "dead units",
    "updates too small",
    "updates too large",
    "learning rate too large",
    "learning rate too small",
    "frozen layer",
    "disconnected layer",
    "settled layer",
    "unsettled layer",
    "growing weights",
    "skipped steps",
    "not finite",
    "not ended",
}


def test_the_names_are_those_agreed_on():
    assert CONTRACT <= set(NAMES)


def test_a_run_without_a_quantity_says_who_records_it():
    findings = lcb.diagnose(training(leave_out=["dead_units"]))
    assert findings.untold["dead units"] == "The run holds no dead_units, which Diagnosis records."


def test_a_run_that_is_too_short_says_so():
    findings = lcb.diagnose(training(records=3))
    assert "too short" in findings.untold["not ended"]
    assert "finite losses, but the rule needs 12" in findings.untold["learning rate too large"]


def test_rules_that_need_the_end_wait_for_it():
    findings = lcb.diagnose(training({"provisional": True}))
    assert "had not ended" in findings.untold["settled layer"]


def test_findings_are_a_sequence_a_text_and_a_table():
    change = both(times("update_norm", "second", 1e-5), times("gradient_norm", "first", 0.0))
    findings = lcb.diagnose(training({"skipped_updates": 100}, change=change))
    assert findings.names[0] == "skipped steps"  # certain ones first
    assert {"updates too small", "disconnected layer"} < set(findings.names)
    assert len(findings) == len(list(findings)) == 3
    text = str(findings)
    assert text.startswith("Skipped steps (certain): 100 of 300 steps")
    assert "Source: " in text and "Try: " in text
    assert findings.sentence() == text.splitlines()[0]
    (one,) = (finding for finding in findings if finding.name == "updates too small")
    both_likely = Findings([one, dataclasses.replace(one, name="dead units")], {})
    assert both_likely.sentence() == "Diagnosis (likely): updates too small, dead units."
    table = findings.to_dataframe()
    assert table["name"].tolist() == findings.names
    small = table.set_index("name").loc["updates too small"]
    assert small["layers"] == "second"
    assert (small["first_update"], small["last_update"]) == (10, 200)
    assert "update over weights = " in small["evidence"]


def test_no_findings_are_an_empty_table_with_the_same_columns():
    table = lcb.diagnose(training()).to_dataframe()
    assert len(table) == 0 and "try_next" in table
    assert lcb.diagnose(training()).sentence() == ""


def test_several_seeds_at_once_are_refused():
    run = training()
    stacked = xr.concat([run, run], xr.DataArray([0, 1], dims="seed", name="seed"))
    with pytest.raises(ValueError, match="isel"):
        lcb.diagnose(stacked)


def test_something_other_than_a_run_is_refused():
    with pytest.raises(ValueError, match="received dict. Pass a callback's `results`"):
        lcb.diagnose({})


def test_a_model_without_data_is_refused():
    with pytest.raises(ValueError, match="pass both"):
        lcb.diagnose(training(), model=object())


def test_a_measurement_without_training_is_no_error():
    run = training()[["dead_units"]].isel(step=-1, drop=True)
    findings = lcb.diagnose(run)
    assert findings.names == []
    assert "holds no gradient_norm" in findings.untold["vanishing gradient"]


def _trained(model, x, y, epochs=3):
    watched = lcb.Diagnosis()
    model.fit(x, y, epochs=epochs, verbose=0, callbacks=[watched])
    return watched.results


@pytest.mark.filterwarnings("ignore:Dead units")
def test_with_model_and_data_dead_units_are_counted_on_these_data():
    initial = keras.initializers.Constant(-9)
    hidden = keras.layers.Dense(4, "relu", bias_initializer=initial, name="hidden")
    model = keras.Sequential([keras.Input((2,)), hidden, keras.layers.Dense(1, name="head")])
    model.compile("sgd", "mse")
    x, y = np.ones((8, 2)), np.ones((8, 1))
    run = _trained(model, x, y)
    assert "dead units" in lcb.diagnose(run).names
    assert "dead units" in lcb.diagnose(run, model, (x, y)).names
    assert str(lcb.diagnose(run)).endswith("whether the data are finite.")
    assert lcb.diagnose(run, model, (x, y)).unseen == ""
    far = np.full((8, 2), 1e4), y
    model.get_layer("hidden").kernel.assign(np.ones((2, 4)))
    assert "dead units" not in lcb.diagnose(run, model, far).names


@pytest.mark.filterwarnings("ignore")
def test_with_model_and_data_the_curvature_is_compared_with_the_rate():
    """The loss of x·w has the curvature 2x², so rates above 1/x² = 0.01 are unstable."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, name="w")])
    model.compile(keras.optimizers.SGD(0.0101), "mse")
    x, y = np.full((8, 1), 10.0), np.zeros((8, 1))
    run = _trained(model, x, y, epochs=30)
    (finding,) = [
        f for f in lcb.diagnose(run, model, (x, y)) if f.name == "learning rate too large"
    ]
    assert finding.evidence["curvature over largest stable curvature"] == pytest.approx(1.01)
    assert finding.sure == "likely"


@pytest.mark.filterwarnings("ignore")
def test_the_curvature_of_the_model_is_compared_with_the_last_rate():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, name="w")])
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([28], [0.0101, 0.005])
    model.compile(keras.optimizers.SGD(schedule), "mse")
    x, y = np.full((8, 1), 10.0), np.zeros((8, 1))
    run = _trained(model, x, y, epochs=30)
    (finding,) = [
        f for f in lcb.diagnose(run, model, (x, y)) if f.name == "learning rate too large"
    ]
    assert finding.evidence["curvature over largest stable curvature"] == pytest.approx(0.5)


@pytest.mark.filterwarnings("ignore")
def test_with_data_samples_that_are_not_finite_are_counted():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="w")])
    model.compile("sgd", "mse")
    x, y = np.ones((8, 1)), np.zeros((8, 1))
    x[3] = np.nan
    run = _trained(model, x, y)
    (finding,) = [f for f in lcb.diagnose(run, model, (x, y)) if f.name == "not finite"]
    assert "1 of the samples given contains NaN" in finding.says
    assert finding.try_next[0].kind == "data"


_NUMBERS = st.sampled_from([0.0, 1e-30, 1e-3, 1.0, 1e3, 1e30, np.inf, -np.inf, np.nan])


@hypothesis.settings(max_examples=60, phases=[hypothesis.Phase.generate], derandomize=True)
@hypothesis.given(hypothesis.extra.numpy.arrays(float, (7, 21, 5), elements=_NUMBERS))
def test_any_numbers_lead_to_sentences(numbers):
    def change(arrays):
        for values, (name, array) in zip(numbers, arrays.items(), strict=True):
            arrays[name] = values if array.ndim == 2 else values[:, 0]

    findings = lcb.diagnose(training({"skipped_updates": 3}, change=change))
    assert str(findings) and not findings.failed
    assert all(finding.try_next and finding.rule for finding in findings)
