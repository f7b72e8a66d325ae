"""How often `convergence_bias` errs where the truth is known; the whole table takes minutes."""

import numpy as np
import pytest

from benchmarks import calibration


def ranks(rng, seeds, layers):
    """The same times in another order in each seed, equally far apart: few orders, no noise."""
    return rng.permuted(np.tile(1.5 ** np.arange(layers), (seeds, 1)), axis=1)


def unreached(rng, seeds, layers):
    """Of each seed's layers, in random order, some never come half the way."""
    times = calibration.drawn_anew(rng, seeds, layers)
    return np.where(times > np.quantile(times, 0.75), np.inf, times)


@pytest.mark.parametrize("times", [calibration.reordered, calibration.drawn_anew, ranks, unreached])
def test_layers_in_random_order_seldom_have_a_clear_one(times):
    """No cell above 8 %, all cells together at 6 % at most: 500 studies err by 1 % or less."""
    shares = calibration.errors(times, layers=(3, 4, 20), seeds=(5, 7), studies=500)
    assert 0 < shares.max() <= 0.08 and shares.mean() <= 0.06


def test_where_there_is_an_order_it_is_found():
    found = calibration.verdicts(calibration.along(1.5, 0.1), seeds=5, layers=5, studies=200)
    assert found["shallower faster"] >= 190
    reverse = calibration.verdicts(calibration.along(1 / 1.5, 0.1), seeds=5, layers=5, studies=200)
    assert reverse["deeper faster"] >= 190


def test_equal_speeds_with_little_noise_are_equivalent():
    found = calibration.verdicts(calibration.along(1, 0.02), seeds=5, layers=5, studies=200)
    assert found["equivalent"] >= 195


def test_a_ratio_at_the_bound_is_seldom_equivalent():
    for bound in (0.9, 1.11):
        found = calibration.verdicts(calibration.along(bound, 0.05), 6, 5, studies=1000)
        assert found["equivalent"] <= 70


def test_fewer_than_five_seeds_are_always_inconclusive():
    found = calibration.verdicts(calibration.along(3, 0.01), seeds=4, layers=5, studies=50)
    assert found == {"inconclusive": 50}


def test_the_tables_are_printed(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["calibration", "--quick", "--studies", "4"])
    calibration.main()
    printed = capsys.readouterr().out
    assert "clear order for layers in random order, in %" in printed and "drawn_anew" in printed
    assert "'shallower faster' / 'equivalent'" in printed and "4 studies in each cell" in printed
