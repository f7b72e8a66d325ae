"""Runs that learned nothing leave their setting, with the reason."""

from __future__ import annotations

import dataclasses

import numpy as np
import xarray as xr

from keras_lcb.experiments.finding import finding
from keras_lcb.experiments.learned import learned, of_learned
from keras_lcb.experiments.scale import RATIO
from keras_lcb.experiments.section import claims

START = 2.3


def runs_that_end_at(*losses):
    """Runs with such losses at the end; before the first update, none is recorded."""
    curves = [[np.nan, START, START / 2, end] for end in losses]
    over = ("seed", "step")
    return xr.Dataset(
        {"loss": (over, curves)}, {"seed": range(len(losses)), "step": [0, 10, 20, 30]}
    )


def seeds(runs):
    """Each run's seed + 1 as an effect."""
    return finding(runs["seed"].values + 1.0, runs["seed"].values.tolist(), RATIO)


def test_the_loss_has_to_fall_by_a_tenth():
    runs = runs_that_end_at(2.304, 0.91 * START, 0.89 * START, 0.01, 9.0)
    assert learned(runs).tolist() == [False, False, True, True, False]
    assert learned(runs.transpose("step", "seed")).tolist() == learned(runs).tolist()


def test_divergence_and_losses_that_were_not_recorded_are_other_matters():
    assert learned(runs_that_end_at(np.nan, 0.1)).all()
    assert learned(runs_that_end_at(9.0, 9.0).isel(step=[-1])).all()  # only the end
    assert learned(runs_that_end_at(9.0, 9.0).drop_vars("loss")).all()


def test_what_learned_nothing_does_not_count():
    found = of_learned(seeds, runs_that_end_at(0.1, 0.1, 2.3, 0.1, 0.1, 0.1), RATIO)
    assert found.seeds == (0, 1, 3, 4, 5) and found.effect.values == (1, 2, 4, 5, 6)
    assert not found.lacking
    found = of_learned(seeds, runs_that_end_at(0.1, 0.1, 2.3, 0.1, 0.1), RATIO)
    assert found.lacking == (
        "1 of 5 runs learned nothing (the loss fell by less than 10 %); 4 seeds; a verdict takes 5"
    )
    found = of_learned(seeds, runs_that_end_at(2.3, 2.3), RATIO)
    assert found.effect.count == 0 and found.lacking.startswith("2 of 2 runs learned nothing")


def test_a_claim_asks_for_learning_unless_it_says_otherwise():
    claim = dataclasses.replace(claims(["3"])["gradients-are-not-speed"], measure=seeds)
    runs = runs_that_end_at(9.0, 9.0)
    assert claim._measured(runs).effect.count == 0
    assert dataclasses.replace(claim, unlearned=True)._measured(runs).effect.count == 2
