"""The time left, told from the records so far."""

import pytest

from keras_lcb.lab.engine import pace


def test_it_is_the_mean_time_of_a_record_without_pauses(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(pace.time, "perf_counter", lambda: now[0])
    measured = pace.Pace()

    def at(time, records):
        now[0] = time
        measured.note(records)
        return measured.seconds_a_record

    assert at(5.0, 1) is None  # what came before the first record was compiling
    assert at(5.2, 2) == pytest.approx(0.2)
    assert at(5.2, 2) == pytest.approx(0.2)
    assert at(6.0, 5) == pytest.approx(0.25)
    measured.restart()  # a pause
    assert at(99.0, 6) == pytest.approx(0.25)
    assert at(99.5, 7) == pytest.approx(0.5)
