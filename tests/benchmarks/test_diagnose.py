"""The benchmark in small: faults in one network are found, and mended as is advised."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from benchmarks import diagnose_page
from benchmarks.diagnose import Runs, measure
from benchmarks.planted.faults import FAULTS, REPORTED
from benchmarks.planted.proofs import PROOFS
from benchmarks.planted.remedies import REMEDIES, SAVES_TIME
from keras_lcb.diagnosis import NAMES

QUICK = {"mlp": REPORTED["mlp"].but(depth=3, width=16)}
RESULTS = Path(__file__).parents[2] / "docs" / "results"


def test_every_rule_has_its_fault():
    assert set(FAULTS) == set(NAMES)
    assert set(PROOFS) <= set(FAULTS)


def test_planted_faults_are_found_and_mended_and_sound_trainings_left_in_peace(tmp_path):
    faults = ["dead units", "updates too small"]
    rows = measure(Runs(tmp_path), QUICK, faults, [0], [0], optimizers=["momentum"])
    for fault, own in diagnose_page.faults(rows).items():
        for name in ("runs", "there", "found", "tried", "mended", "harmed", "harmed_mended"):
            assert diagnose_page.total(own, name) == 1, (fault, name)
    sound = [row for row in rows if "sound" in row]
    assert diagnose_page.total(sound, "runs") == 5
    assert diagnose_page.false(rows)["any"] <= 1
    files = sorted(tmp_path.iterdir())
    again = measure(Runs(tmp_path, train=False), QUICK, faults, [0, 1], [0], ["momentum"])
    assert sorted(tmp_path.iterdir()) == files
    assert again == rows


def test_kinds_of_advice_are_told_apart():
    assert not set(REMEDIES) & set(SAVES_TIME)


def run(loss, gradient=1.0):
    """Returns a run with these losses, and this first gradient of its only layer."""
    known = {"loss": ("step", [np.nan, *loss])} if loss is not None else {}
    size = len(loss) + 1 if loss is not None else 2
    first = ("step", "layer"), np.full((size, 1), gradient)
    return xr.Dataset(known | {"first_gradient": first})


def test_a_training_had_not_ended_if_a_longer_one_gets_further():
    shows, falling = PROOFS["not ended"].shows, np.linspace(2, 1, 20)
    assert shows(run(falling), run(np.linspace(2, 0, 40)))
    assert not shows(run(falling), run([*falling, *np.full(20, 1.1)]))


def test_a_loss_without_a_value_was_not_finite():
    shows = PROOFS["not finite"].shows
    assert shows(run(None), run(None))
    assert shows(run([1.0, np.inf]), run([1.0]))
    assert not shows(run([1.0, 2.0]), run([np.nan]))


def test_a_gradient_explodes_if_usual_weights_have_a_far_smaller_one():
    shows = PROOFS["exploding gradient"].shows
    assert shows(run([1.0], 20.0), run([1.0], 1.0))
    assert shows(run([1.0], np.nan), run([1.0], 1.0))
    assert not shows(run([1.0], 5.0), run([1.0], 1.0))


def test_a_layer_settles_early_only_if_training_goes_on():
    shows = PROOFS["settled layer"].shows
    assert shows(run(np.linspace(2, 0.1, 20)), None)
    assert not shows(run([2.0] + [0.001] * 19), None)


def test_the_page_says_what_the_rows_say():
    rows = [json.loads(line) for line in (RESULTS / "diagnose.jsonl").read_text().splitlines()]
    assert diagnose_page.page(rows) == (RESULTS / "diagnose.md").read_text()
    assert set(diagnose_page.faults(rows)) == set(NAMES)
    assert diagnose_page.total([row for row in rows if "sound" in row], "runs") == 150


def test_intervals_are_those_of_wilson():
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I.
    for times, of, low, high in ((81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611)):
        assert diagnose_page.interval(times, of) == pytest.approx((low, high), abs=6e-5)
