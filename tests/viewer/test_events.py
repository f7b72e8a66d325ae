import keras
import numpy as np
import pytest
import xarray as xr

from keras_lcb import FreezeConverged
from keras_lcb.viewer.events import Event, as_json, events


def with_rates(run, rates):
    return run.assign(learning_rate=("step", np.asarray(rates, float)))


def test_a_learning_rate_that_changes_is_an_event_each_time(run_factory):
    run = with_rates(run_factory(), [0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001])
    assert events(run) == [
        Event(40, "learning rate", "learning rate 0.1 → 0.01"),
        Event(100, "learning rate", "learning rate 0.01 → 0.001"),
    ]


def test_a_schedule_is_one_event(run_factory):
    run = with_rates(run_factory(), np.linspace(0.1, 0.0, 8))
    (event,) = events(run)
    assert event.update == 10 and "schedule, 0.1 → 0" in event.text


def test_a_single_change_is_no_schedule_however_few_records_there_are(run_factory):
    run = with_rates(run_factory(), [0.1, 0.1, 0.01] + 5 * [0.01]).isel(step=slice(3))
    assert [event.text for event in events(run)] == ["learning rate 0.1 → 0.01"]


def test_rounding_is_no_change(run_factory):
    assert events(with_rates(run_factory(), np.float32(0.1) * np.ones(8) * (1 + 1e-8))) == []


def test_layers_of_their_own_rate_are_named(run_factory):
    run = run_factory()
    rates = np.full((8, 3), 0.1)
    rates[4:, 1] = 0.05
    run["learning_rate"] = (("step", "layer"), rates)
    assert events(run) == [
        Event(40, "learning rate", "learning rate of layer_1 0.1 → 0.05", ("layer_1",))
    ]
    rates[4:] = 0.05
    run["learning_rate"] = (("step", "layer"), rates)
    assert events(run) == [Event(40, "learning rate", "learning rate 0.1 → 0.05")]


def test_layers_that_stop_are_told_together(run_factory):
    run = run_factory()
    run["update_norm"][5:, :2] = 0.0
    (event,) = events(run)
    assert event.update == 60 and event.layers == ("layer_0", "layer_1")
    assert event.text == "layer_0 and 1 more no longer move"


@pytest.mark.parametrize("rows", [slice(1, None), slice(2, 5)])
def test_a_layer_that_never_moved_or_moves_again_did_not_stop(run_factory, rows):
    run = run_factory()
    run["update_norm"][rows, 0] = 0.0
    assert events(run) == []


def test_frozen_layers_are_told_as_such(run_factory):
    run = run_factory()
    run["frozen"] = ("step", "layer"), [[0, 0, 0]] * 3 + [[1, 1, 0]] * 3 + [[0, 1, 0]] * 2
    run["update_norm"][4:, :2] = 0.0
    assert events(run) == [
        Event(30, "frozen", "layer_0 and 1 more are frozen", ("layer_0", "layer_1")),
        Event(80, "frozen", "layer_0 trains again", ("layer_0",)),
    ]
    run["update_norm"][7:, 2] = 0.0
    assert events(run)[-1] == Event(100, "still", "layer_2 no longer moves", ("layer_2",))


def test_what_freeze_converged_records_is_read():
    names = ("a", "b", "c")
    model = keras.Sequential([keras.Input((2,)), *(keras.layers.Dense(4, name=n) for n in names)])
    model.compile("sgd", "mse")
    freeze = FreezeConverged("linear", start=0.5)
    x, y = np.ones((8, 2)), np.zeros((8, 4))
    model.fit(x, y, epochs=4, verbose=0, callbacks=[freeze])
    told = [(event.update, event.layers) for event in events(freeze.results)]
    assert told == [(each["step"], tuple(each["layers"])) for each in freeze.events]


def test_the_first_non_finite_update(run_factory):
    run = run_factory(attrs={"first_nonfinite_update": 1055})
    assert events(run) == [Event(1055, "not finite", "NaN or infinity from here on")]


def test_first_things_come_first_and_seeds_are_read(run_factory):
    one = with_rates(run_factory(), [0.1] * 6 + [0.01] * 2)
    one["update_norm"][3:, 0] = 0.0
    both = xr.concat([one, one], xr.DataArray([0, 1], dims="seed", name="seed"), data_vars="all")
    assert [event.kind for event in events(both)] == ["still", "learning rate"]
    assert as_json(events(both))[0] == {
        "update": 30,
        "kind": "still",
        "text": "layer_0 no longer moves",
        "layers": ["layer_0"],
    }
