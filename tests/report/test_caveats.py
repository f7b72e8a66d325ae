import numpy as np
import pytest

from keras_lcb.report.caveats import caveats, notices


def said(run):
    return " ".join(caveats(run))


def test_a_plain_run(run_factory):
    text = said(run_factory())
    assert "This is one run" in text
    assert "every layer arrives at 0" in text and "1 / updates, the same" in text
    assert "learning rate fell" not in text
    assert "Normalization" not in text
    assert "sketches" not in text
    assert notices(run_factory()) == []


def test_the_endpoint_identity_holds_for_final_weights_only(run_factory):
    assert "arrives at 0" not in said(run_factory(attrs={"reference": "model"}))


def test_a_falling_learning_rate(run_factory):
    run = run_factory()
    run["learning_rate"] = 0.1 * 0.5 ** (run["step"] / 20)
    assert "The learning rate fell from 0.1 to 0.00313." in said(run)


def test_a_warm_up_is_no_fall(run_factory):
    run = run_factory()
    run["learning_rate"] = 0.001 + 0.1 * run["step"] / 100
    assert "learning rate fell" not in said(run)


def test_a_learning_rate_that_hardly_changed_did_not_fall(run_factory):
    run = run_factory()
    run["learning_rate"] = 0.1 / (1 + 1e-6 * run["step"])
    assert "learning rate fell" not in said(run)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("last", [0, 3])
def test_a_loss_of_zero_has_no_change_in_percent(run_factory, last):
    run = run_factory(steps=np.arange(9))
    run["loss"] = ("step", [np.nan, 1, 1, 0, 0, 0, 0, last, last])
    assert "had not settled" not in said(run)


def test_a_loss_below_zero_that_falls_is_said_to_fall(run_factory):
    run = run_factory(steps=np.arange(9))
    run["loss"] = ("step", [np.nan, 0, 0, 0, 0, -4, -4, -5, -5])
    assert "it fell by 25% from the third quarter" in said(run)


def test_a_loss_that_had_not_settled(run_factory):
    run = run_factory(steps=np.arange(9))
    run["loss"] = ("step", [np.nan, 8, 7, 6, 5, 4, 4, 3, 3])
    assert "it fell by 25% from the third quarter" in said(run)
    run["loss"] = ("step", [np.nan, 8, 7, 6, 5, 2, 2, 3, 3])
    assert "it rose by 50%" in said(run)
    run["loss"] = ("step", [np.nan, 8, 7, 6, 5, 4, 4, 4, 3.9])
    assert "had not settled" not in said(run)


def test_normalization(run_factory):
    run = run_factory(roles=["hidden", "normalization", "head"])
    assert "Normalization makes the scale of the weights before it arbitrary" in said(run)


def test_sketched_distances(run_factory):
    run = run_factory()
    run["distance_standard_error"] = 0.022 * run["distance"]
    assert "standard error of up to 2.2%" in said(run)


def test_what_is_missing(run_factory):
    why = "The layer has no kernel."
    missing = {"angle/a/norm": why, "angle/b": why, "gradient_norm/b": "No gradient came."}
    found = caveats(run_factory(attrs={"missing": missing}))
    assert found[-2:] == [f"Angle of a/norm, b: {why}", "Gradient norm of b: No gradient came."]


def test_stacked_runs(stacked):
    assert "This is one run" not in said(stacked)


def test_no_notice_of_what_never_came(run_factory):
    never = {"first_nonfinite_update": -1, "nonfinite_updates": 0, "skipped_updates": 0}
    assert notices(run_factory(attrs=never)) == []


def test_a_given_reference_is_not_the_newest_weights(run_factory):
    (notice,) = notices(run_factory(attrs={"provisional": True, "reference": "w.weights.h5"}))
    assert "newest weights" not in notice


def test_notices(run_factory):
    run = run_factory(
        attrs={
            "provisional": True,
            "first_nonfinite_update": 1234,
            "nonfinite_updates": 1,
            "skipped_updates": 3,
        }
    )
    provisional, nonfinite, skipped = notices(run)
    assert "provisional" in provisional
    assert nonfinite == (
        "NaN or infinity began at update 1,234. 1 update had such values. Records before update "
        "1,234 are valid; later ones are not."
    )
    assert "skipped 3 updates" in skipped


def test_a_single_step_that_was_skipped(run_factory):
    assert notices(run_factory(attrs={"skipped_updates": 1})) == [
        "The loss scaler skipped 1 update, since its gradients were not finite. It does not count "
        "in any figure."
    ]


def test_what_a_finding_tells_is_not_told_twice(run_factory):
    run = run_factory(attrs={"first_nonfinite_update": 4, "skipped_updates": 3})
    (notice,) = notices(run, ["not finite", "skipped steps"])
    assert notice == "Records before update 4 are valid; later ones are not."
