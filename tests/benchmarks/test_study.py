"""The benchmark of studies runs, and says what it measured."""

from __future__ import annotations

import re

from benchmarks import study


def test_scheduling_is_timed_and_extrapolated():
    told = study.scheduling(6, 1)
    each = float(re.search(r"([\d.]+) ms a member", told)[1])
    assert told.startswith("6 empty members in 1 processes") and 0 < each < 5000
    workers = int(re.search(r"up to ([\d,]+) workers", told)[1].replace(",", ""))
    assert abs(workers - 10_000 / each) <= 0.02 * workers + 1


def test_throughput_compares_the_two(monkeypatch):
    monkeypatch.setattr(study, "timed_in_a_process", lambda members, jobs: 12.0 / jobs)
    assert "12 s in one process with one thread, 6 s in 2: 2.00 times" in study.throughput(3, 2)
