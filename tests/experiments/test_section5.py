"""What section 5 says follows from the numbers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from keras_lcb.experiments import Results, section5
from keras_lcb.runs import schema

K = [1, 3, 10, 30]


def stacked(centroids, share=None, error=0.1):
    """Three layers and a read-out at one record, over as many seeds as there are centroids.

    Shares of wave numbers 1 and 10 are such that their mean is the centroid; energies leak.
    """
    centroids = np.asarray(centroids, float)
    seeds = len(centroids)
    rest = np.full((seeds, 1), np.nan)
    if share is None:
        share = np.zeros((seeds, 3, 4))
        share[..., 0], share[..., 2] = (10 - centroids) / 9, (centroids - 1) / 9
    share = np.asarray(share, float)
    shares = np.concatenate([share, np.full((seeds, 1, 4), np.nan)], axis=1)
    variables = {
        "frequency_share": (("seed", "step", "layer", "frequency"), shares[:, None]),
        "frequency_centroid": (
            ("seed", "step", "layer"),
            np.concatenate([20 - centroids, rest], axis=1)[:, None],
        ),
        "frequency_error": (
            ("seed", "step", "frequency"),
            np.broadcast_to(error, (seeds, 1, 4)),
        ),
    }
    layers = ["layer_0", "layer_1", "layer_2", "readout"]
    return schema.dataset(
        variables,
        {"seed": range(seeds), "step": [10], "layer": layers, "depth": range(4), "frequency": K},
    )


def cell(run):
    kind = ("residual,branch_scale,initializer", section5.KINDS["residual, unit"])
    choice = (kind, ("optimizer,learning_rate", ("sgd", 0.02)))
    (found,) = section5.cells(Results({(*choice, ("depth", 3)): run}, [], []))
    return found


@pytest.mark.parametrize(
    ("centroids", "verdict"),
    [
        ([[1, 2, 3], [1, 3, 4], *[[2, 5, 9]] * 3], section5.HIGHER),
        ([[3, 2, 1], [9, 5, 2], *[[4, 3, 1]] * 3], section5.LOWER),
        ([[1, 2, 3], [3, 2, 1], *[[2, 1, 3]] * 3], section5.NO_ORDER),
        ([[1, 2, 3]] * 4, section5.UNDEFINED),  # too few seeds
    ],
)
def test_verdicts_follow_the_ranks_over_seeds(centroids, verdict):
    found = cell(stacked(centroids))
    ranks = [scipy.stats.spearmanr([0, 1, 2], own).statistic for own in centroids]
    assert found.order.spearman == pytest.approx(np.mean(ranks))
    assert found.energy_order.spearman == pytest.approx(-np.mean(ranks))
    assert found.verdict == verdict
    assert section5.verdict_table([found]).verdict.tolist() == [verdict]


def test_what_is_not_learned_has_no_weight():
    error = [0.1, 0.1, 0.9, 0.9]
    share = np.zeros((5, 3, 4))
    share[..., 0], share[..., 1], share[..., 2] = [3, 2, 1], [1, 2, 3], [50, 5, 1]
    assert cell(stacked([[1, 2, 3]] * 5, share, error)).verdict == section5.HIGHER
    one = cell(stacked([[1, 2, 3]] * 5, share, [0.1, 0.9, 0.9, 0.9]))
    assert one.verdict == section5.UNDEFINED, "one frequency does not tell layers apart"


def test_runs_that_diverged_are_counted_and_left_out():
    error = np.full((6, 1, 4), 0.1)
    error[1] = np.nan
    found = cell(stacked([[1, 2, 3], [9, 5, 1], *[[1, 4, 6]] * 4], error=error))
    assert (found.diverged, found.run.seed.values.tolist()) == (1, [0, 2, 3, 4, 5])
    assert found.verdict == section5.HIGHER
    none = cell(stacked([[1, 2, 3]], error=np.full((1, 1, 4), np.nan)))
    assert (none.diverged, none.verdict) == (1, section5.UNDEFINED)
    assert section5.verdict_table([none]).seeds.tolist() == [0]


def test_intervals_of_shares_are_those_of_student():
    share = np.random.default_rng(0).normal(size=(4, 3, 4))
    table = section5.layer_table([cell(stacked([[1, 2, 3]] * 4, share))])
    assert len(table) == 12
    row = table[(table.layer == "layer_1") & (table.wave_number == 10)].iloc[0]
    own = share[:, 1, 2]
    test = scipy.stats.ttest_1samp(own, 0.0).confidence_interval(0.95)
    np.testing.assert_allclose([row["mean"], row.low, row.high], [own.mean(), *test])


def test_the_deepest_block_is_compared_with_all_others():
    share = np.zeros((4, 3, 4))
    share[:, 1, 2] = 0.4
    share[:3, 2, 2] = 0.6
    found = cell(stacked([[1, 2, 3]] * 4, share))
    assert section5.deepest_carries_most(found, 10) == 0.75


def test_the_mean_frequency_of_a_plain_layer_is_weighted_by_r2():
    run = stacked([[0, 0, 0]]).drop_vars(["frequency_centroid", "frequency_share"])
    r2 = np.full((1, 1, 4, 4), np.nan)
    r2[0, 0, :3] = [[1, 0, 0, -2], [1, 1, 0, 0], [1, 1, 1, 1]]
    run = run.assign(r2=(("seed", "step", "layer", "frequency"), r2))
    found = section5.mean_frequency(run).values
    np.testing.assert_allclose(found, [[1, 2, 11, np.nan]])


def test_low_frequencies_first():
    steps = np.arange(5) * 10
    error = 1 - steps[None, :, None] / np.array([10, 20, 40, 200.0])
    run = schema.dataset(
        {"frequency_error": (("seed", "step", "frequency"), np.repeat(error, 3, axis=0))},
        {"seed": [0, 1, 2], "step": steps, "frequency": K},
    )
    order = section5.time_order(run)
    assert order.spearman == 1.0  # the last one is never learned, and comes last
    assert order.spearman_interval == (1.0, 1.0)


def test_tables_figures_and_page_are_written(tmp_path, monkeypatch):
    layers, bias = section5.layers_study(quick=True), section5.spectral_bias_study(quick=True)
    sizes = {"width": 4, "updates": 20, "record_every": 10, "points": 128, "batch_size": 128}
    grid = dict(layers.grid) | {"optimizer,learning_rate": (("sgd", 0.02),)}
    kinds = ["residual, scaled", section5.PLAIN]
    grid["residual,branch_scale,initializer"] = tuple(section5.KINDS[kind] for kind in kinds)
    layers = dataclasses.replace(
        layers, base=dataclasses.replace(layers.base, **sizes), grid=grid, seeds=(0, 1)
    )
    bias = dataclasses.replace(bias, base=dataclasses.replace(bias.base, **sizes), seeds=(0,))
    monkeypatch.setattr(section5, "layers_study", lambda quick: layers)
    monkeypatch.setattr(section5, "spectral_bias_study", lambda quick: bias)
    page = section5.run(tmp_path / "docs", tmp_path / "runs", quick=True, jobs=1)
    text = page.read_text()
    assert "5 runs, 0 failed" in text and "nothing else" in text
    for name in ("residual_scaled", "plain", "spectral_bias"):
        assert f"](section5/{name}.png)" in text
        assert (tmp_path / "docs" / "section5" / f"{name}.png").exists()
    verdicts = pd.read_csv(tmp_path / "docs" / "section5" / "verdicts.csv")
    assert verdicts.kind.tolist() == kinds
    assert all(verdict in text for verdict in verdicts.verdict)


def test_the_full_study_is_what_was_asked_for():
    study = section5.layers_study()
    assert len(study.members()) == 4 * 3 * 3 * 10
    assert {member.config.depth for member in study.members()} == {3, 5, 8}
    assert len(section5.spectral_bias_study().members()) == 5
