"""The freezing lab freezes layers as the callback does, and tells what this saves and costs."""

import dataclasses

import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.lab import FreezingLab
from keras_lcb.lab.labs.freezing import FreezingSettings, _engine, _together
from keras_lcb.lab.serving.address import lab_of_address
from keras_lcb.lab.views.form import form_of
from keras_lcb.lab.views.freezing_view import (
    describe_freezing,
    freezing_view_of,
    how_much_faster,
    of_layers,
)
from keras_lcb.lab.views.layers import before_training
from keras_lcb.lab.views.stacking import stacked
from tests.lab.test_depth_lab import finished, press

TINY = {"depth": 2, "updates": 120}
FREEZE = {
    "schedule": lambda: lcb.FreezeConverged("cubic", 0.3, layers=_together),
    "evidence": lambda: lcb.FreezeConverged(layers=_together),
}


@pytest.fixture(scope="module")
def lab():
    lab = FreezingLab("schedule", **TINY, predict=True)
    lab._prediction._answers.value = "up to 3 times"
    press(lab, "Start")
    yield finished(lab)
    lab.close()


def trained(how, pauses=(), seed=0):
    """Trains to the end, with pauses after these records."""
    training = _engine(FreezingSettings(how, **TINY), seed)
    while not training.done:
        training.advance(lambda: training.records in pauses)
    return training


def test_the_lab_freezes_what_the_callback_freezes(lab):
    assert lab.state == "done", lab._session.error
    config = lcb.vision.Config(
        depth=2, width=24, residual=True, normalization=True, updates=120, record_every=2
    )
    expected = lcb.vision.run(config, callbacks=[FREEZE["schedule"]()])
    for name in ("frozen", "normalized_distance", "loss"):
        np.testing.assert_allclose(lab.run[name], expected[name], rtol=1e-3, atol=1e-4)
    assert lab.run["frozen"].sum("layer").values[-1] == 2  # conv_0 and its normalization


def test_it_is_marked_told_listed_and_met_by_the_prediction(lab):
    (shown,) = lab._gallery.viewer.shown
    event = {
        "update": 36,
        "kind": "frozen",
        "text": "conv_0 and 1 more are frozen",
        "layers": ["conv_0", "norm_0"],
    }
    assert event in shown["form"]["events"]
    assert "conv_0 and 1 more froze at update 36." in lab.sentence
    view = lab._history.entries[0].view
    outcome = view.outcome()
    assert outcome["frozen"] == "2 of 5 layers"
    assert outcome["training time"] == f"{view.seconds:.1f} s" and view.seconds > 0
    table = lab._history._table.value
    assert all(f"<td>{cell}</td>" in table for cell in outcome.values())
    assert "frozen on a schedule, residual, depth 2, sgd, rate 0.1, 120 updates" in table
    assert "predicted up to 3 times; observed" in table


def test_the_accuracy_is_that_of_the_network_on_the_test_images(lab):
    data = lcb.vision.load("digits", seed=0)
    model = lab._session._training._model
    batches = list(data.validation.as_numpy_iterator())
    images, labels = (np.concatenate([batch[part] for batch in batches]) for part in (0, 1))
    right = model.predict(images, verbose=0).argmax(-1) == labels
    assert lab.run["test_accuracy"].item() == pytest.approx(right.mean())


@pytest.mark.parametrize("how", ["none", "schedule", "evidence"])
def test_pauses_change_nothing_but_the_time(how):
    once, in_pieces = trained(how), trained(how, pauses=(1, 17, 20))
    first, second = once.run(), in_pieces.run()
    assert ("frozen" in first) == (how != "none")
    for name in {"frozen", "normalized_distance", "loss"} & set(first):
        np.testing.assert_allclose(first[name], second[name], rtol=1e-3, atol=1e-4, err_msg=name)
    assert np.isfinite(second["update_time"][1:]).all()
    live, past = once.view(), freezing_view_of(first)
    assert live.frozen == past.frozen
    assert form_of(live)["events"] == form_of(past)["events"]
    assert live.seconds == pytest.approx(past.seconds)


def view(times, frozen):
    steps = np.arange(0, 10 * len(times), 10)
    before = before_training(["conv_0", "conv_1", "head"], steps[-1])
    loss = np.full(len(steps), 0.5)
    layers = dataclasses.replace(before, steps=steps, loss=loss)
    return of_layers(layers, frozen, np.array(times), 0.975)


def test_times_are_added_up_and_compared():
    times = [np.nan, 1.0, 0.01, 0.01, 0.02, 0.01, *[0.005] * 8]
    frozen = [(50, ("conv_0", "norm_0"))]
    seen = view(times, frozen)
    assert seen.seconds == pytest.approx(10 * (1 + 0.05 + 0.04))
    assert seen.speeds == pytest.approx((0.01, 0.005))
    assert how_much_faster(seen) == ("up to 3 times", "10.0 ms an update at first, 5.0 at last.")
    assert "An update took 10.0 ms at first, and takes 5.0 ms now." in describe_freezing(seen)
    assert "reads 97.5% of the test digits" in describe_freezing(seen)
    assert how_much_faster(view(times, []))[0] == "not at all"
    assert how_much_faster(view(times[:2], []))[0] == "too short to tell"
    assert "conv_0 froze at update 50." in describe_freezing(view(times, [(50, ("conv_0",))]))
    assert "conv_0 froze first, at update 50; head last, at 60." in describe_freezing(
        view(times, [*frozen, (60, ("conv_1", "head"))])
    )
    assert "No layer is frozen." in describe_freezing(view(times, []))


def test_several_seeds_give_the_mean_time_and_accuracy():
    runs = [trained("none", seed=seed).run() for seed in (0, 1)]
    seen = freezing_view_of(stacked(runs))
    assert describe_freezing(seen).startswith("In the first of 2 seeds: No layer is frozen.")
    assert seen.accuracy == pytest.approx(np.mean([run["test_accuracy"] for run in runs]))
    assert seen.seconds == pytest.approx(np.mean([freezing_view_of(run).seconds for run in runs]))


def test_it_is_found_and_has_an_address(monkeypatch):
    lab = FreezingLab("evidence", **TINY)
    assert "FreezingLab" in lcb.lab.__all__
    assert "lab=freezing" in lab.config and "freezing=evidence" in lab.config
    monkeypatch.setenv("QUERY_STRING", f"token=abc&{lab.config}")
    links, _ = lab_of_address().children
    assert "?lab=freezing' aria-current='page'" in links.value
    lab.close()
