"""What section 4 says follows from the numbers, and the numbers from the model as it was."""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.stats

from keras_lcb import landscape
from keras_lcb.experiments import Results, landscape_probe, section4
from keras_lcb.experiments.landscape_probe import MOMENTS, QUANTITIES, at_moment
from keras_lcb.landscape.objective import Objective
from keras_lcb.runs import schema

CHOICE = (("network,optimizer,learning_rate", ("function", "sgd", 0.02)), ("residual", False))
STEPS = [0, 5, 40, 100]


def stacked(by_layer):
    """Every quantity is the given numbers (seed, layer), times the number of the moment."""
    by_layer = np.asarray(by_layer, float)
    seeds, layers = by_layer.shape
    values = np.full((seeds, len(STEPS), layers), np.nan)
    for moment in (1, 2, 3):
        values[:, moment] = moment * by_layer
    over = ("seed", "step", "layer")
    plain = {"smoothness", "trace", "slice_rise", "filter_curvature"}
    plain |= {"stable_learning_rate", "theory"}
    variables = {name: (over, values) for name in plain}
    for name in ("eigenvalue", "eigenvalue_per_parameter", "residual"):
        variables[name] = ((*over, "rank"), values[..., None])
    sizes = np.array([0.1, 1.0, 5.0])  # 0.01 is the second step size
    for name in ("gradient_change", "relative_gradient_change"):
        variables[name] = ((*over, "step_size"), values[..., None] * sizes)
    coords = {"seed": range(seeds), "step": STEPS, "depth": range(layers), "rank": [1]}
    coords |= {"layer": list("abcde")[:layers], "step_size": [0.001, 0.01, 0.1]}
    coords["role"] = ["hidden"] * (layers - 1) + ["head"]
    return schema.dataset(variables, coords)


def cell(run):
    (found,) = section4.cells(Results({CHOICE: run}, [], []))
    return found


@pytest.mark.parametrize(
    ("values", "rising", "falling"),
    [
        ([[1, 2, 3, 0], *[[1, 3, 4, 0]] * 4], section4.SUPPORTS, section4.CONTRADICTS),
        ([[3, 2, 1, 9], *[[9, 3, 2, 99]] * 4], section4.CONTRADICTS, section4.SUPPORTS),
        ([*[[1, 2, 3, 4], [3, 2, 1, 4]] * 2, [2, 3, 1, 9]], section4.NONE, section4.NONE),
        ([[1, 2, 3, 4]] * 4, section4.UNDEFINED, section4.UNDEFINED),  # too few seeds
    ],
)
def test_verdicts_follow_the_ranks_of_hidden_layers(values, rising, falling):
    found = cell(stacked(values))
    ranks = [scipy.stats.spearmanr([0, 1, 2], own[:3]).statistic for own in values]
    for (name, _), order in found.orders.items():
        assert order.spearman == pytest.approx(np.mean(ranks))
        expected = falling if name == "stable_learning_rate" else rising
        assert section4.verdict(name, order) == expected
    table = section4.table([found])
    assert len(table) == len(QUANTITIES) * len(MOMENTS)
    assert set(table.verdict) == {rising, falling}


def test_orders_without_the_first_layer_stand_beside():
    """The first layer is by far the flattest, and the others fall."""
    found = cell(stacked([[1, 9, 8, 7, 0], [1, 8, 6, 5, 0], *[[2, 9, 7, 6, 0]] * 3]))
    for name in ("eigenvalue", "filter_curvature"):
        assert found.orders[name, "early"].spearman == pytest.approx(0.2)
        assert found.without_first[name, "early"].spearman == -1.0
    row = section4.table([found]).iloc[0]
    assert row.rank_correlation == pytest.approx(0.2) and row.without_first == -1.0
    assert row.verdict_without_first == section4.CONTRADICTS


def test_moments_step_sizes_and_ranks_are_chosen():
    run = stacked([[1, 2, 3, 4]])
    for place, moment in enumerate(MOMENTS, start=1):
        for name in QUANTITIES:
            np.testing.assert_allclose(at_moment(run, name, moment)[0], place * np.arange(1, 5))
    medians = section4.layer_table([cell(run)])
    assert medians[(medians.moment == "late") & (medians.layer == "b")].trace.tolist() == [6.0]


def test_rates_are_compared_with_theory():
    run = stacked([[1, 2, 3, 4], [1, 2, 3, 4]])
    run["stable_learning_rate"] = 3 * run["theory"]
    run["theory"][0, :, 0] = np.nan
    np.testing.assert_allclose(section4.rate_over_theory([cell(run)], "early"), [3.0] * 5)


def test_a_probe_measures_what_the_functions_do():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="tanh", name="a")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="b")(hidden))
    model.compile("sgd", "mse")
    x, y = np.random.default_rng(0).normal(size=(2, 20, 3)).astype("float32")
    y = y[:, :1]
    objective = Objective(model, x, y)
    config = landscape_probe.Config(steps=5, tolerance=0.5)
    found = landscape_probe.measure(objective, config)
    assert {*QUANTITIES, "theory", "residual"} <= set(found.data_vars)
    eigenvalue = landscape.curvature(model, x, y, layers=["a", "b"]).eigenvalue
    np.testing.assert_allclose(found.eigenvalue, eigenvalue, rtol=0.02)
    np.testing.assert_allclose(found.theory, 2 / found.eigenvalue[:, 0], rtol=0.02)
    lines = landscape.loss_slice(model, x, y, layer="a", span=0.5, points=3).loss
    rise = float(lines[:, [0, 2]].mean() - lines[0, 1])
    assert float(found.slice_rise.sel(layer="a")) == pytest.approx(rise, rel=1e-4)


def test_what_has_diverged_has_no_landscape():
    config = landscape_probe.Config(learning_rate=1e6, quick=True, samples=64)
    with pytest.raises(ValueError, match="diverged"):
        landscape_probe.run(config)


def test_tables_figures_and_page_are_written(tmp_path, monkeypatch):
    study = section4.study(quick=True)
    assert len(study.members()) == 8
    grid = dict(study.grid) | {"network,optimizer,learning_rate": (("digits", "sgd", 0.1),)}
    study = dataclasses.replace(study, grid=grid | {"residual": (False,)}, seeds=(0, 1))
    monkeypatch.setattr(section4, "study", lambda quick: study)
    page = section4.run(tmp_path / "docs", tmp_path / "runs", quick=True, jobs=1)
    text = page.read_text()
    assert "2 runs, 0 failed" in text and "nothing else" in text
    for name in ("correlations", "stable_rates_digits"):
        assert f"](section4/{name}.png)" in text
        assert (tmp_path / "docs" / "section4" / f"{name}.png").exists()
    layers = pd.read_csv(tmp_path / "docs" / "section4" / "layers.csv")
    assert layers.moment.unique().tolist() == list(MOMENTS)
    assert not layers.eigenvalue.map(math.isnan).any()
    assert len(pd.read_csv(tmp_path / "docs" / "section4" / "verdicts.csv")) == 27


def test_the_full_study_is_what_was_asked_for():
    assert len(section4.study().members()) == 2 * 3 * 2 * 5
