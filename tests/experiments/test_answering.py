"""What a page is about: what was asked, or all that is there."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from keras_lcb import experiments
from keras_lcb.experiments import answering
from keras_lcb.experiments.finding import finding
from keras_lcb.experiments.scale import RATIO


def measure(runs):
    values = runs["distance"].isel(step=0, layer=0).values
    return finding(values, runs["seed"].values.tolist(), RATIO)


@pytest.fixture
def results(toy, claim, tmp_path, monkeypatch):
    """Runs toys in place of the declared claims; returns the seeds that the page is about."""
    settings = {"one": experiments.Setting("toy_engine:engine", toy.Settings())}
    claim = dataclasses.replace(claim, measure=measure, settings=settings, seeds=3)
    monkeypatch.setattr(answering, "declared_claims", lambda *_, **__: {claim.name: claim})

    def run(**asked):
        page = answering.results(tmp_path, tmp_path / "runs", jobs=1, progress=False, **asked)
        return sorted(set(pd.read_csv(page.parent / "results" / "rows.csv")["seed"]))

    return run


def test_more_seeds_than_declared_count(results):
    assert results() == [0, 1, 2]
    assert results(seeds=5) == [0, 1, 2, 3, 4]
    assert results(seeds=1) == [0, 1, 2]  # the others are there


def test_a_question_of_ones_own_is_about_its_seeds_only(results):
    assert results() == [0, 1, 2]
    assert results(first_seed=10, seeds=2) == [10, 11]
    assert results(changes={"power": 0}, seeds=2) == [0, 1]
    assert results(factors={"size": 2.0}, seeds=1) == [0]


def test_a_claim_that_is_named_twice_is_told_once(results, claim, tmp_path):
    assert results(claims=[claim.name, claim.name]) == [0, 1, 2]
    assert len(pd.read_csv(tmp_path / "results" / "rows.csv")) == 3
