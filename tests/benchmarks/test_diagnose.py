"""The benchmark in small: two faults in one network are found, and mended as is advised."""

from benchmarks.diagnose import Runs, lines, measure
from benchmarks.planted.faults import FAULTS, REPORTED
from benchmarks.planted.remedies import REMEDIES, SAVES_TIME
from keras_lcb.diagnosis import NAMES

QUICK = {"mlp": REPORTED["mlp"].but(depth=3, width=16)}


def test_every_rule_has_its_fault():
    assert set(FAULTS) == set(NAMES)


def test_planted_faults_are_found_and_mended_and_sound_trainings_left_in_peace(tmp_path):
    faults = ["dead units", "updates too small"]
    table = measure(Runs(tmp_path), QUICK, faults, [0], [0], optimizers=["momentum"])
    for fault in faults:
        assert table.found[fault, "mlp", "momentum"].times == 1
        assert table.mended[fault].times == 1
    assert table.false["any"].of == 5
    assert table.false["any"].times <= 1
    files = sorted(tmp_path.iterdir())
    again = measure(Runs(tmp_path, train=False), QUICK, faults, [0, 1], [0], ["momentum"])
    assert sorted(tmp_path.iterdir()) == files
    assert list(lines(again)) == list(lines(table))


def test_kinds_of_advice_are_told_apart():
    assert not set(REMEDIES) & set(SAVES_TIME)
