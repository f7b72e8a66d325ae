"""Each rule on artificial runs: what it finds, in which layers, and what it does not find."""

import numpy as np
import pytest
import xarray as xr

from keras_lcb.diagnosis import NAMES, diagnose
from keras_lcb.diagnosis.rules import rules
from tests.diagnosis.trainings import LAYERS, both, times, training


def _found(name, run):
    """Returns the only finding with this name."""
    (finding,) = [finding for finding in diagnose(run) if finding.name == name]
    return finding


def _set(name, layer, value, since=0):
    def change(arrays):
        arrays[name][since:, LAYERS.index(layer)] = value

    return change


def _loss(values):
    def change(arrays):
        arrays["loss"][1:] = values

    return change


def test_a_sound_training_shows_nothing():
    findings = diagnose(training())
    assert findings.names == []
    assert findings.untold == {}


def test_every_rule_says_what_it_is():
    for name, rule in rules().items():
        assert rule.says.endswith("."), name
        assert rule.source.endswith("."), name
        assert set(rule.against) <= set(NAMES), name


def test_a_gradient_that_vanishes_towards_the_input():
    change = both(times("gradient_norm", "first", 1e-5), times("gradient_norm", "second", 1e-4))
    finding = _found("vanishing gradient", training(change=change))
    assert finding.layers == ("first", "second")
    # Entry by entry: 1e-5 of 1.0/√100 over 2/√50.
    told = finding.evidence["smallest over largest gradient"]
    assert told == pytest.approx(1e-5 * (1 / 10) / (2 / 50**0.5))


def test_a_gradient_may_vanish_at_the_start_only():
    def change(arrays):
        arrays["gradient_norm"][1, LAYERS.index("first")] *= 1e-3

    finding = _found("vanishing gradient", training(change=change))
    assert (finding.layers, finding.updates) == (("first",), (0, 10))


def test_a_gradient_may_vanish_after_the_first_updates():
    finding = _found("vanishing gradient", training(change=_set("gradient_norm", "first", 1e-6, 2)))
    assert (finding.layers, finding.updates) == (("first",), (10, 100))


def test_a_gradient_that_shrinks_towards_the_output_does_not_vanish():
    change = both(*(times("gradient_norm", name, 1e-5) for name in ("third", "head")))
    assert "vanishing gradient" not in diagnose(training(change=change)).names


def test_layers_without_gradient_do_not_make_it_vanish():
    change = times("gradient_norm", "first", 0.0)
    assert "vanishing gradient" not in diagnose(training(change=change)).names


def test_a_gradient_larger_than_the_weights_explodes():
    finding = _found("exploding gradient", training(change=times("gradient_norm", "third", 1e4)))
    assert finding.layers == ("third",)


def test_a_gradient_that_leaps_explodes():
    run = training(change=both(times("gradient_norm", "second", 1e3, since=12)))
    run = run.assign(gradient_norm=run.gradient_norm.where(run.step < 130, 1.0))
    finding = _found("exploding gradient", run)
    assert finding.updates == (120, 120)
    assert finding.layers == ("second",)
    assert finding.try_next[0].kind == "clipping"


def test_dead_units_of_hidden_layers():
    change = both(_set("dead_units", "second", 0.9), _set("dead_units", "head", 0.9))
    finding = _found("dead units", training(change=change))
    assert finding.layers == ("second",)
    assert finding.evidence == {"largest share of dead units": pytest.approx(0.9)}
    assert finding.try_next[0].kind == "initializer"


def test_units_that_die_during_training_lead_to_a_lower_rate():
    change = _set("dead_units", "second", 0.9, since=8)
    assert _found("dead units", training(change=change)).try_next[0].kind == "lower learning rate"


def test_units_that_were_dead_for_a_while_are_not_found():
    def change(arrays):
        arrays["dead_units"][:10, 2] = 0.9

    assert "dead units" not in diagnose(training(change=change)).names


def test_a_layer_that_hardly_moves():
    finding = _found("updates too small", training(change=times("update_norm", "second", 1e-5)))
    assert finding.layers == ("second",)
    assert '"second": ' in finding.try_next[0].code


def test_a_layer_with_too_large_updates():
    finding = _found("updates too large", training(change=times("update_norm", "third", 500)))
    assert finding.layers == ("third",)
    assert finding.try_next[0].kind == "lower multiplier"


def test_a_layer_that_throws_the_others_is_the_only_one_with_too_large_updates():
    def change(arrays):
        arrays["update_norm"][3, LAYERS.index("third")] = 20
        arrays["update_norm"][4:] *= 100

    findings = diagnose(training(change=change))
    assert findings.names == ["updates too large"]
    assert findings[0].layers == ("third",)


def test_if_all_layers_have_too_large_updates_the_learning_rate_is_lowered():
    change = both(*(times("update_norm", name, 500) for name in LAYERS))
    findings = diagnose(training(change=change))
    assert findings.names == ["learning rate too large"]
    assert findings[0].try_next[0].kind == "lower learning rate"


@pytest.mark.parametrize(
    "loss",
    [
        np.r_[np.linspace(2, 1, 10), np.linspace(1, 3, 10)],
        2 + 0.9 * (-1.0) ** np.arange(20),
    ],
    ids=["rises", "swings"],
)
def test_a_learning_rate_that_is_too_large(loss):
    lively = both(*(times("update_norm", name, 5) for name in LAYERS))
    finding = _found("learning rate too large", training(change=both(lively, _loss(loss))))
    assert finding.sure == "possible"
    assert finding.try_next[0].code == "optimizer.learning_rate = 0.01"


@pytest.mark.parametrize(
    "rates",
    [("step", np.linspace(0.1, 0.0, 21)), ("layer", [0.1, 0.1, 0.1, 0.1, 1e-3])],
    ids=["schedule", "several optimizers"],
)
def test_a_rate_that_is_not_a_single_number_is_not_replaced_by_one(rates):
    lively = both(*(times("update_norm", name, 5) for name in LAYERS))
    run = training(change=both(lively, _loss(2 + 0.9 * (-1.0) ** np.arange(20))))
    advice = _found("learning rate too large", run.assign(learning_rate=rates)).try_next[0]
    assert (advice.kind, advice.code) == ("lower learning rate", "")
    assert "multiply it by 0.1" in advice.text


@pytest.mark.parametrize(("eigenvalue", "beyond"), [(39.0, False), (41.0, True)])
def test_recorded_sharpness_is_beyond_what_any_momentum_bears(eigenvalue, beyond):
    """At rate 0.1, plain SGD bears a curvature of 20, and momentum of nearly 1 one of 40."""
    lively = both(*(times("update_norm", name, 5) for name in LAYERS))
    run = training(change=both(lively, _loss(2 + 0.9 * (-1.0) ** np.arange(20))))
    run = run.assign(eigenvalue=run.gradient_norm * 0 + eigenvalue)
    finding = _found("learning rate too large", run)
    share = finding.evidence["curvature over largest stable curvature"]
    assert share == pytest.approx(eigenvalue / 40)
    assert ("curvature is too large" in finding.says) == beyond
    assert finding.sure == ("likely" if beyond else "possible")


def test_sharpness_is_compared_with_the_rate_of_the_same_record():
    """It may grow while the rate falls: a curvature of 40 is stable at the rate 0.01."""
    lively = both(*(times("update_norm", name, 5) for name in LAYERS))
    run = training(change=both(lively, _loss(2 + 0.9 * (-1.0) ** np.arange(20))))
    late = run.step >= run.step[-10]
    run = run.assign(
        eigenvalue=run.gradient_norm * 0 + xr.where(late, 41.0, 4.0),
        learning_rate=xr.where(late, 0.01, 0.1),
    )
    finding = _found("learning rate too large", run)
    share = max(4 * 0.1, 41 * 0.01) / 4
    assert finding.evidence["curvature over largest stable curvature"] == pytest.approx(share)
    assert finding.sure == "possible"


@pytest.mark.parametrize(("optimizer", "share"), [("SGD", 0.1), ("SGD+Adam", None)])
def test_the_sharpness_of_a_layer_is_compared_with_its_own_rate(optimizer, share):
    lively = both(*(times("update_norm", name, 5) for name in LAYERS))
    run = training(
        {"optimizer": optimizer}, change=both(lively, _loss(2 + 0.9 * (-1.0) ** np.arange(20)))
    )
    rates, eigenvalues = [0.1, 0.1, 0.1, 0.1, 1e-3], [4.0, 4.0, 4.0, 4.0, 400.0]
    run = run.assign(learning_rate=("layer", rates), eigenvalue=("layer", eigenvalues))
    evidence = _found("learning rate too large", run).evidence
    assert evidence.get("curvature over largest stable curvature") == pytest.approx(share)


def test_updates_that_lead_to_infinity_are_too_large():
    def breaks(arrays):
        for name in ("gradient_norm", "update_norm", "loss"):
            arrays[name][3:] = np.nan

    finding = _found(
        "learning rate too large", training({"first_nonfinite_update": 25}, change=breaks)
    )
    assert finding.sure == "possible"
    assert "infinity at update 25" in finding.says
    at_once = training({"first_nonfinite_update": 1}, change=breaks)
    assert "learning rate too large" not in diagnose(at_once).names


def test_noise_around_the_lowest_loss_is_not_found():
    noise = np.random.default_rng(0).uniform(0, 0.05, 20)
    lively = both(*(times("update_norm", name, 5) for name in LAYERS))
    for loss in (2.3 * np.exp(-np.arange(20)) + noise, 2.3 + 10 * noise):
        run = training(change=both(lively, _loss(loss)))
        assert "learning rate too large" not in diagnose(run).names


@pytest.mark.parametrize(
    ("change", "says"), [(-0.1, "the loss fell by 10.0%"), (0.1, "the loss rose by 10.0%")]
)
def test_a_learning_rate_that_is_too_small(change, says):
    loss = _loss(np.linspace(2.3, 2.3 * (1 + change), 20))
    slow = both(*(times("update_norm", name, 1e-4) for name in LAYERS), loss)
    finding = _found("learning rate too small", training(change=slow))
    assert finding.try_next[0].code == "optimizer.learning_rate = 10"
    assert says in finding.says


def test_updates_before_the_first_record_do_not_count():
    slow = both(*(times("update_norm", name, 1e-2) for name in LAYERS), _loss(2.3))
    run = training(change=slow)
    late = run.isel(step=slice(10, None))
    finding = _found("learning rate too small", late.assign_coords(step=late.step + 10_000))
    assert finding.says.startswith("100 updates together")
    moved = finding.evidence["sum of update norms over weights"]
    ratios = run.update_norm / run.parameter_norm.shift(step=1)
    assert moved == pytest.approx(10 * float(ratios[11:].sum("step").max()))


def test_one_leap_among_tiny_updates_is_no_small_learning_rate():
    def one_leap(arrays):
        arrays["update_norm"][1:] *= 1e-4
        arrays["update_norm"][10] = 2.0

    findings = diagnose(training(change=both(one_leap, _loss(2.0))))
    assert "learning rate too large" in findings.names
    assert "learning rate too small" not in findings.names


def test_signs_that_contradict_each_other_are_told():
    def breaks(arrays):
        arrays["update_norm"][1:] *= 1e-4
        for name in ("gradient_norm", "update_norm", "loss"):
            arrays[name][5:] = np.nan

    run = training({"first_nonfinite_update": 45}, change=both(_loss(2.0), breaks))
    findings = diagnose(run)
    assert {"learning rate too large", "learning rate too small"} <= set(findings.untold)
    assert not {"learning rate too large", "learning rate too small"} & set(findings.names)


@pytest.mark.parametrize(
    ("size", "since", "names"), [(30, 5, True), (10, 5, False), (30, 0, False)]
)
def test_a_learning_rate_that_kills_most_units(size, since, names):
    """Large updates, and units that die after the first record; one alone has other causes."""
    lively = both(*(times("update_norm", name, size) for name in LAYERS))
    die = both(*(_set("dead_units", name, 0.9, since=since) for name in ("first", "second")))
    findings = diagnose(training(change=both(lively, die)))
    assert ("learning rate too large" in findings.names) == names
    if names:
        finding = _found("learning rate too large", training(change=both(lively, die)))
        assert finding.evidence["units that died"] == pytest.approx(0.8)


def test_a_frozen_layer():
    missing = {"gradient_norm/first": "No gradient reaches the layer: it is frozen."}
    change = both(_set("gradient_norm", "first", np.nan), _set("update_norm", "first", 0.0))
    finding = _found("frozen layer", training({"missing": missing}, change=change))
    assert (finding.layers, finding.sure) == (("first",), "certain")


def test_a_layer_whose_steps_are_multiplied_by_zero_is_frozen():
    finding = _found("frozen layer", training(change=_set("update_norm", "first", 0.0)))
    assert finding.layers == ("first",)


def test_a_disconnected_layer():
    why = "No gradient reaches the layer: the loss does not depend on it, or it is left out."
    change = _set("gradient_norm", "first", np.nan)
    run = training({"missing": {"gradient_norm/first": why}}, change=change)
    finding = _found("disconnected layer", run)
    assert (finding.layers, finding.sure) == (("first",), "certain")


def test_a_layer_whose_gradient_is_always_zero_may_be_disconnected():
    finding = _found("disconnected layer", training(change=_set("gradient_norm", "first", 0.0)))
    assert (finding.layers, finding.sure) == (("first",), "possible")


def test_a_layer_that_settled_long_ago():
    change = _set("normalized_distance", "third", 0.01, since=8)
    finding = _found("settled layer", training(change=change))
    assert finding.layers == ("third",)


@pytest.mark.parametrize("update", [0.0, np.nan])
def test_a_layer_that_is_frozen_already_is_not_to_be_frozen(update):
    settles = _set("normalized_distance", "third", 0.0, since=6)
    frozen = both(settles, _set("update_norm", "third", update, since=6))
    assert "settled layer" not in diagnose(training(change=frozen)).names
    unknown = both(settles, _set("update_norm", "third", np.nan))
    assert _found("settled layer", training(change=unknown)).layers == ("third",)


def test_several_layers_are_frozen_together():
    names = ("second", "third")
    change = both(*(_set("normalized_distance", name, 0.01, since=6) for name in names))
    finding = _found("settled layer", training(change=change))
    assert (finding.layers, finding.try_next[0].text[:11]) == (names, "Freeze them")


def test_a_layer_that_settled_in_the_second_quarter_before_the_others_did():
    def rest(arrays):
        arrays["normalized_distance"][11:] = 0.02
        arrays["normalized_distance"][5:11, LAYERS.index("third")] = 0.02

    finding = _found("settled layer", training(change=rest))
    assert finding.layers == ("third",)
    assert "second quarter" in finding.says


def _unsettled(arrays):
    arrays["normalized_distance"][8:] = 0.01
    arrays["normalized_distance"][8:, 2] = 0.3


def test_a_layer_that_does_not_settle():
    finding = _found("unsettled layer", training(change=_unsettled))
    assert finding.layers == ("second",)
    assert finding.evidence["update over that of other layers"] == pytest.approx(1.0)
    assert finding.try_next[0].kind == "decay"


def test_if_the_others_hardly_moved_any_more_their_rates_are_raised():
    change = both(_unsettled, times("update_norm", "second", 40.0, since=8))
    finding = _found("unsettled layer", training(change=change))
    assert finding.layers == ("second",)
    assert "were 40 times as large" in finding.says
    advice = finding.try_next[0]
    assert advice.kind == "raise multiplier"
    assert '{"first": 100, "third": 100, "head": 100}' in advice.code


def test_weights_that_grow_in_front_of_a_normalization():
    def grow(arrays):
        arrays["parameter_norm"][:, [0, 2]] *= np.linspace(1, 8, 21)[:, None]

    finding = _found("growing weights", training(change=grow))
    assert finding.layers == ("first",)  # no normalization follows "second"


def test_weights_that_begin_at_zero_do_not_grow_by_a_factor():
    def begins(arrays):
        arrays["parameter_norm"][0, LAYERS.index("first")] = 0

    assert "growing weights" not in diagnose(training(change=begins)).names


def test_skipped_steps():
    assert "skipped steps" not in diagnose(training({"skipped_updates": 15})).names
    finding = _found("skipped steps", training({"skipped_updates": 100}))
    assert finding.evidence["share"] == pytest.approx(1 / 3)


def test_not_finite_and_the_layer_it_came_from():
    def breaks(arrays):
        arrays["gradient_norm"][12:, :3] = np.nan

    run = training({"first_nonfinite_update": 115, "nonfinite_updates": 85}, change=breaks)
    finding = _found("not finite", run)
    assert finding.layers == ("second",)
    assert finding.updates == (115, 200)


def test_if_all_layers_break_at_once_the_one_with_the_largest_updates_is_named():
    def breaks(arrays):
        arrays["update_norm"][11, 3] *= 50
        arrays["gradient_norm"][12:] = np.nan
        arrays["update_norm"][12:] = np.nan

    finding = _found("not finite", training({"first_nonfinite_update": 115}, change=breaks))
    assert finding.layers == ()
    assert "before that, third had the largest updates" in finding.says


def test_a_layer_that_was_frozen_before_is_not_where_nan_began():
    def breaks(arrays):
        for name in ("gradient_norm", "update_norm"):
            arrays[name][6:, LAYERS.index("first")] = np.nan
            arrays[name][12:] = np.nan
        arrays["update_norm"][11, 3] *= 50

    finding = _found("not finite", training({"first_nonfinite_update": 115}, change=breaks))
    assert finding.layers == ()
    assert "before that, third had the largest updates" in finding.says


def test_no_layer_comes_after_the_last_one_in_which_nan_began():
    run = training(
        {"first_nonfinite_update": 115}, change=_set("gradient_norm", "head", np.nan, 12)
    )
    assert _found("not finite", run).says == "NaN or infinity began at update 115, first in head."


def test_training_that_had_not_ended():
    finding = _found("not ended", training(change=_loss(np.linspace(2, 1, 20))))
    assert finding.evidence["share of the fall in the last quarter"] == pytest.approx(
        0.28, abs=0.02
    )
    # On a line, the mean falls by 5 steps from quarter to quarter, after 17 steps so far.
    assert finding.evidence["expected fall over fall so far"] == pytest.approx(4 * 5 / 17)


def test_a_loss_that_falls_in_proportion_is_expected_to_go_on_so():
    """Each quarter, the loss falls half as far as before: 1/2 + 1/4 + 1/8 + 1/16 in four more."""
    loss = 1 + 2.0 ** -(np.arange(20) / 5)
    means = loss.reshape(4, 5).mean(axis=1)
    expected = (means[2] - means[3]) * (15 / 16) / (loss[0] - means[3])
    finding = _found("not ended", training(change=_loss(loss)))
    assert finding.evidence["expected fall over fall so far"] == pytest.approx(expected)


@pytest.mark.parametrize(
    "loss",
    [
        2.0 ** -np.arange(20.0),  # has come down
        1 + 2.0 ** -np.arange(20.0),
        2 - 0.01 * np.arange(20) + 0.3 * (-1.0) ** np.arange(20),  # noise
        np.linspace(1, 2, 20),
    ],
)
def test_training_that_had_ended(loss):
    assert "not ended" not in diagnose(training(change=_loss(loss))).names


def test_a_schedule_that_falls_to_zero_ends_a_training():
    def decay(arrays):
        arrays["learning_rate"] *= np.linspace(1, 0, 21)

    run = training(change=both(_loss(np.linspace(2, 1, 20)), decay))
    assert "not ended" not in diagnose(run).names


@pytest.mark.parametrize(("last", "names"), [(1.0, ["not ended"]), (0.0, [])])
def test_the_rate_of_each_layer_must_fall(last, names):
    """A layer with a far larger rate does not make those of the others look like the end."""
    rates = np.linspace(1, last, 21)[:, None] * np.ones(10)
    rates[:, 3] = np.linspace(100, 1, 21)
    first = training(change=_loss(np.linspace(2, 1, 20)))
    second = first.assign_coords(layer=[f"later_{name}" for name in LAYERS])
    run = xr.concat([first, second], "layer", data_vars="minimal")
    run = run.assign_coords(depth=("layer", range(10)))
    assert diagnose(run.assign(learning_rate=(("step", "layer"), rates))).names == names


def test_distances_to_given_weights_do_not_need_an_end():
    run = training({"reference": "best.weights.h5"}, change=_loss(np.linspace(2, 1, 20)))
    findings = diagnose(run)
    assert "not ended" not in findings.names
    assert "given weights" in findings.untold["not ended"]


@pytest.mark.parametrize(
    "change",
    [
        times("gradient_norm", "first", 1e-5),
        times("gradient_norm", "third", 1e4),
        _set("gradient_norm", "second", np.nan, since=6),
        _set("normalized_distance", "first", 0.01, since=5),
    ],
)
def test_records_of_other_callbacks_in_between_change_nothing(change):
    run = training({"first_nonfinite_update": -1}, change=change)
    finer = run.reindex(step=np.arange(0, run.step.values[-1] + 1, 2))
    assert diagnose(finer).names == diagnose(run).names != ()
    coarser = run.copy()
    coarser["normalized_distance"] = run.normalized_distance.where(run.step % 20 == 0)
    assert diagnose(coarser).names == diagnose(run).names


def test_a_layer_in_which_nan_began_is_found_between_records_of_other_callbacks():
    change = _set("gradient_norm", "second", np.nan, since=6)
    run = training({"first_nonfinite_update": 55}, change=change)
    finer = run.reindex(step=np.arange(0, run.step.values[-1] + 1, 2))
    assert _found("not finite", finer).says == _found("not finite", run).says
    assert _found("not finite", finer).layers == ("second",)


def test_a_layer_that_begins_at_zero_does_not_explode():
    run = training(change=_set("parameter_norm", "head", 0.0))
    assert "exploding gradient" not in diagnose(run).names


def test_losses_below_zero_are_not_compared_in_percent():
    falling = training(change=_loss(-1 + np.exp(-np.arange(20) / 4.0)))
    assert not {"learning rate too large", "learning rate too small"} & set(diagnose(falling).names)
    assert "not positive" in diagnose(falling).untold["learning rate too small"]
