"""What section 3 says follows from the numbers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

from keras_lcb.experiments import Results, section3

CHOICE = (("residual", False), ("optimizer,learning_rate", ("sgd", 0.02)))
SEEDS = xr.DataArray(range(8), dims="seed", name="seed")
STEPS = (0, 10, 20, 30, 40, 50, 100)


def stacked(run_factory, norms, rates=(4.0, 2.0, 1.0)):
    """Runs of three hidden layers and a head, with given gradient norms (seed, layer)."""
    runs = []
    for own in norms:
        run = run_factory(rates=(*rates, 3.0), steps=STEPS, roles=["hidden"] * 3 + ["head"])
        run["gradient_norm"][1:] = [*own, 100.0]
        runs.append(run)
    return xr.concat(runs, SEEDS[: len(runs)], data_vars="all")


def cell(run):
    (found,) = section3.cells("function", Results({CHOICE: run}, [], []))
    return found


@pytest.mark.parametrize(
    ("norms", "verdict"),
    [
        ([[3, 2, 1], [5, 4, 1], [9, 8, 7], [9, 8, 7], [2, 3, 1]], section3.POSITIVE),
        ([[1, 2, 3], [1, 4, 5], [7, 8, 9], [7, 8, 9], [1, 3, 2]], section3.NEGATIVE),
        ([[1, 2, 3], [3, 2, 1], [2, 3, 1], [2, 1, 3], [1, 2, 3]], section3.NONE),
        ([[3, 2, 1], [5, 4, 1], [9, 8, 7], [9, 8, 7]], section3.UNDEFINED),  # too few seeds
    ],
)
def test_verdicts_follow_the_ranks_over_seeds(run_factory, norms, verdict):
    found = cell(stacked(run_factory, norms))  # the first layer is the fastest
    whole = found.correlations[section3.WHOLE]
    ranks = [scipy.stats.spearmanr([3, 2, 1], own).statistic for own in norms]
    assert whole.spearman == pytest.approx(np.mean(ranks))
    assert section3.verdict(whole) == verdict
    table = section3.table([found])
    assert table.part.tolist() == ["whole run", "early", "middle", "late"]
    assert table.verdict[0] == verdict


def test_each_window_has_its_own_rates_and_norms(run_factory):
    run = stacked(run_factory, [[3, 2, 1]] * 2)
    # From update 50 on the last layer does all the moving, and has the smallest gradient.
    distance = run["distance"].copy()
    distance.loc[{"step": 50}] = distance.sel(step=0) * [0.1, 0.2, 0.9, 0.5]
    distance.loc[{"step": 100}] = 0.0
    run["distance"], run["normalized_distance"] = distance, distance / distance.sel(step=0)
    run["gradient_norm"].loc[{"step": 100}] = [1, 2, 0.5, 9]
    found = cell(run).correlations
    assert found["late"].spearman == scipy.stats.spearmanr([0.1, 0.2, 0.9], [1, 2, 0.5]).statistic
    assert found["early"].spearman == 1.0


def test_runs_that_diverged_are_counted_and_left_out(run_factory):
    run = stacked(run_factory, [[3, 2, 1], [1, 2, 3], *[[3, 2, 1]] * 4])
    run["distance"][1, -1, 0] = np.inf
    found = cell(run)
    assert found.diverged == 1 and found.run.seed.values.tolist() == [0, 2, 3, 4, 5]
    assert section3.verdict(found.correlations["whole run"]) == section3.POSITIVE
    none = cell(run.isel(seed=[1]))
    assert none.correlations == {} and section3.table([none]).empty


def test_tables_figures_and_page_are_written(tmp_path, monkeypatch):
    studies = section3.studies(quick=True)
    assert [len(study.members()) for study in studies.values()] == [12, 12]
    study = studies["function"]
    base = dataclasses.replace(study.base, updates=20, record_every=2)
    grid = dict(study.grid) | {"optimizer,learning_rate": (("sgd", 0.02),)}
    study = dataclasses.replace(study, base=base, grid=grid)
    monkeypatch.setattr(section3, "studies", lambda quick: {"function": study})
    page = section3.run(tmp_path / "docs", tmp_path / "runs", quick=True, jobs=1)
    text = page.read_text()
    assert "4 runs, 0 failed" in text and "nothing else" in text
    assert "](section3/function.png)" in text
    assert (tmp_path / "docs" / "section3" / "function.png").exists()
    table = pd.read_csv(tmp_path / "docs" / "section3" / "correlations.csv")
    assert set(table.kind) == {"plain", "residual"} and len(table) == 8
    assert all(verdict in text for verdict in table.verdict)


def test_the_full_studies_are_what_was_asked_for():
    for study in section3.studies().values():
        assert len(study.members()) == 2 * 3 * 5
        assert study.base.updates % study.base.record_every == 0
