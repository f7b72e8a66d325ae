"""Holm's correction against its closed test, pooled means against SciPy, families by hand."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from keras_lcb.analysis.corrections import corrected, families, holm, pooled
from keras_lcb.analysis.verdict import judged

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(P_VALUES)
def test_holm_is_the_closed_test_of_bonferroni(p_values):
    """A hypothesis is rejected where Bonferroni rejects every set that it belongs to."""
    places = range(len(p_values))
    sets = [chosen for size in places for chosen in itertools.combinations(places, size + 1)]
    closed = [
        max(min(1.0, len(own) * min(p_values[i] for i in own)) for own in sets if place in own)
        for place in places
    ]
    np.testing.assert_allclose(holm(p_values), closed)


def test_tests_that_could_not_be_made_do_not_count():
    np.testing.assert_allclose(holm([0.01, np.nan, 0.04, 0.03]), [0.03, np.nan, 0.06, 0.06])
    assert holm([]) == [] and np.isnan(holm([np.nan])).all()


def test_a_list_of_verdicts_is_refused():
    with pytest.raises(ValueError, match="a dictionary from each setting .* received list"):
        corrected([study(1.2, 0.1, 0)])


def study(ratio, noise, seed):
    times = np.geomspace(1, ratio, 5) * np.random.default_rng(seed).lognormal(0, noise, (6, 5))
    return judged(times, times, list("abcde"))


def test_verdicts_are_held_to_the_corrected_values():
    found = {
        "clear": study(3, 0.05, 0),
        "weak": study(1.35, 0.12, 2),
        "equal": study(1, 0.01, 2),
        "nothing": study(1, 0.8, 3),
    }
    verdicts = {name: bias.verdict for name, bias in found.items()}
    assert list(verdicts.values()) == [
        "shallower faster",
        "shallower faster",
        "equivalent",
        "inconclusive",
    ]
    after = corrected(found)
    assert [bias.verdict for bias in after.values()] == [
        "shallower faster",
        "inconclusive",
        "equivalent",
        "inconclusive",
    ]
    orders = [bias.p_order for bias in found.values()]
    np.testing.assert_allclose([bias.p_order for bias in after.values()], holm(orders))
    assert found["weak"].p_order < 0.05 < after["weak"].p_order
    assert "or so many tests, may show the same by chance" in after["weak"].reason
    assert all(after[name].ratio == found[name].ratio for name in found)
    assert corrected({"weak": found["weak"]})["weak"] == found["weak"]


def test_corrected_verdicts_on_random_orders_seldom_err_even_once():
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(100):
        times = rng.lognormal(0, 0.5, (12, 6, 5))
        found = {n: judged(own, own, list("abcde")) for n, own in enumerate(times)}
        wrong += any(bias.verdict != "inconclusive" for bias in corrected(found).values())
    assert wrong <= 10


def test_pooled_means_count_settings_and_not_runs():
    settings = [[0.1, 0.3], [0.4, 0.6, 0.5], [0.2] * 9, [0.3, np.nan]]
    found = pooled(settings)
    expected = scipy.stats.ttest_1samp([0.2, 0.5, 0.2, 0.3], 0).confidence_interval()
    np.testing.assert_allclose(found.interval(), expected)
    assert pooled([own * 4 for own in settings[:3]]).interval() == pytest.approx(
        pooled(settings[:3]).interval()
    )


def test_families_of_near_duplicates():
    rng = np.random.default_rng(0)
    first, other = rng.normal(size=(2, 40))
    given = {
        "eigenvalue": first,
        "rise": other,
        "trace": np.exp(first),
        "rate": -first + 0.01 * other,
        "constant": np.ones(40),
        "unmeasured": np.full(40, np.nan),
    }
    expected = [["eigenvalue", "trace", "rate"], ["rise"], ["constant"], ["unmeasured"]]
    assert families(given) == expected
    assert families({}) == []


def test_families_are_linked_through_others():
    one, other = np.random.default_rng(1).normal(size=(2, 4000))
    given = {"one": one, "other": other, "both": one + other}
    assert families(given, above=0.6) == [["one", "other", "both"]]
    assert families(given, above=0.8) == [["one"], ["other"], ["both"]]
