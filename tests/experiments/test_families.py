"""Claims that measure nearly the same thing are corrected together for their number of tests."""

from __future__ import annotations

import dataclasses

import pytest

from keras_lcb import experiments
from keras_lcb.analysis import Estimate
from keras_lcb.experiments import rows
from keras_lcb.experiments.families import answers
from keras_lcb.experiments.finding import finding
from keras_lcb.experiments.scale import RATIO
from keras_lcb.experiments.section import claims


def measure(runs):
    """Growing with the size of toys, and with their seeds."""
    values = (runs["distance"].isel(step=0, layer=0) / 10).values
    parts = {"half": Estimate(tuple(values / 2))}
    return finding(values, runs["seed"].values.tolist(), RATIO, parts=parts)


@pytest.fixture
def first(toy, claim, tmp_path):
    sizes = {"small": 1.0, "smaller": 0.5}
    settings = {
        name: experiments.Setting("toy_engine:engine", toy.Settings(size=size))
        for name, size in sizes.items()
    }
    claim = dataclasses.replace(claim, name="first", measure=measure, settings=settings)
    experiments.complete(claim.members(range(6)), tmp_path, jobs=1, progress=False)
    return claim


def test_holm_is_over_the_settings_of_a_family(first, tmp_path):
    second, alone = (dataclasses.replace(first, name=name) for name in ("second", "alone"))
    first, second = (dataclasses.replace(claim, family="toys") for claim in (first, second))
    by_itself = first.measured(tmp_path).findings["small"].p_order
    found = {a.claim.name: a for a in answers([first, second, alone], tmp_path)}
    smallest = {name: min(f.p_order for f in a.findings.values()) for name, a in found.items()}
    assert smallest == pytest.approx(
        {"first": 4 * by_itself, "second": 4 * by_itself, "alone": 2 * by_itself}
    )
    assert found["alone"] == alone.answer(tmp_path)


def test_seeds_are_those_that_are_asked(first, tmp_path):
    (found,) = answers([first], tmp_path, {"first": range(6)})
    assert found.findings["small"].seeds == tuple(range(6))
    assert answers([first], tmp_path)[0].findings["small"].seeds == tuple(range(5))


def test_parts_are_told_but_are_no_witnesses(first, tmp_path):
    (found,) = answers([first], tmp_path)
    assert found.findings["small"].agreement == {}
    assert set(rows.raw([found])["measure"]) == {"", "half"}


def test_the_claims_on_the_landscape_are_one_family():
    declared = claims(["4"])
    assert {claim.family for claim in declared.values()} == {"landscape"}
    assert "the three are corrected together" in declared["shallower-is-flatter"].note
