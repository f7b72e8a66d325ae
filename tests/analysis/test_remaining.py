"""Curves from 1 at the start to 0 at the end, by every measure, against hand calculations."""

import numpy as np
import pytest
import xarray as xr

from keras_lcb.analysis.convergence import area_under_distance, time_to_fraction
from keras_lcb.analysis.remaining import other_measures, remaining

OVER = ("step", "layer")
COORDS = {"step": [0, 10, 20, 40], "layer": ["a", "b"]}
HAND = xr.Dataset(
    {
        "distance": (OVER, [[2.0, 4.0], [1.0, 3.0], [0.5, 1.0], [0.0, 0.0]]),
        "angle_to_end": (OVER, [[0.4, np.nan], [0.3, np.nan], [0.1, np.nan], [0.0, np.nan]]),
        "way_from_start": (OVER, [[0.0, 0.0], [0.25, 1.2], [0.75, 0.9], [1.0, 1.0]]),
        "similarity": (OVER, [[0.2, 1.0], [0.6, 1.0], [0.8, 1.0], [1.0, 1.0]]),
    },
    COORDS,
)


@pytest.mark.parametrize(
    ("measure", "a", "b"),
    [
        ("distance", [1, 0.5, 0.25, 0], [1, 0.75, 0.25, 0]),
        ("angle_to_end", [1, 0.75, 0.25, 0], [np.nan] * 4),
        ("way_from_start", [1, 0.75, 0.25, 0], [1, -0.2, 0.1, 0]),
        ("similarity", [1, 0.5, 0.25, 0], [np.nan] * 4),
    ],
)
def test_by_hand(measure, a, b):
    curve = remaining(HAND, measure).normalized_distance
    np.testing.assert_allclose(curve, np.transpose([a, b]), atol=1e-12)


def test_until_cuts_between_records_and_keeps_the_scale():
    cut = remaining(HAND, until=30)
    assert cut.step.values.tolist() == [0, 10, 20, 30]
    np.testing.assert_allclose(cut.normalized_distance[-1], [0.125, 0.125])
    np.testing.assert_allclose(remaining(HAND, until=20).step, [0, 10, 20])
    # a: (1 + ½)/2 · 10 + (½ + ¼)/2 · 10 + (¼ + ⅛)/2 · 10, over 30
    np.testing.assert_allclose(area_under_distance(cut)[0], 13.125 / 30)
    np.testing.assert_allclose(time_to_fraction(cut), [10, 15])
    assert np.isnan(time_to_fraction(remaining(HAND, until=12))[1])


def test_records_that_only_other_callbacks_took_change_nothing():
    finer = HAND.reindex(step=np.arange(0, 46, 5))
    for measure in ("distance", "angle_to_end", "similarity"):
        whole, found = remaining(HAND, measure), remaining(finer, measure)
        np.testing.assert_allclose(time_to_fraction(found), time_to_fraction(whole))
    xr.testing.assert_allclose(remaining(finer, until=30), remaining(HAND, until=30))


@pytest.mark.parametrize("until", [0, -5, 40, 41, np.nan])
def test_an_endpoint_beyond_is_needed(until):
    with pytest.raises(ValueError, match="from update 0 to 40; received"):
        remaining(HAND, until=until)
    nothing = HAND.assign(distance=np.nan * HAND.distance)
    with pytest.raises(ValueError, match="over no update"):
        remaining(nothing, until=until)


def test_what_a_run_holds_beside_the_distance():
    assert other_measures(HAND) == ["angle_to_end", "way_from_start", "similarity"]
    assert other_measures(HAND[["distance", "similarity"]]) == ["similarity"]
    assert other_measures(HAND.assign(similarity=np.nan * HAND.similarity))[1:] == [
        "way_from_start"
    ]
