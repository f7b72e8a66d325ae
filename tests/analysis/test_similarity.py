from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from keras_lcb.analysis import summary, time_to_similarity

STEPS = [0, 10, 20, 40]


def run(*curves):
    names = [f"layer_{place}" for place in range(len(curves))]
    over = ("step", "layer")
    return xr.Dataset({"similarity": (over, np.transpose(curves))}, {"step": STEPS, "layer": names})


def test_times_are_interpolated_between_records():
    found = time_to_similarity(run([0.5, 0.8, 1.0, 1.0], [0.95, 0.5, 0.6, 1.0], [0, 0.2, 0.5, 1]))
    np.testing.assert_allclose(found, [15, 0, 36])
    assert found.attrs["units"] == "updates"


def test_records_without_values_are_passed_over():
    found = time_to_similarity(run([0.0, np.nan, 0.8, 1.0], [np.nan] * 4))
    np.testing.assert_allclose(found, [30, np.nan])


def test_another_level_and_stacked_seeds():
    one, other = run([0, 0.5, 0.6, 1]), run([0, 1, 1, 1])
    both = xr.concat([one, other], xr.DataArray([0, 1], dims="seed", name="seed"))
    found = time_to_similarity(both, 0.25)
    assert found.dims == ("seed", "layer")
    np.testing.assert_allclose(found[:, 0], [5, 2.5])


def test_it_is_a_column_of_the_summary():
    table = summary(run([0.5, 0.8, 1.0, 1.0]))
    np.testing.assert_allclose(table["time_to_similarity"], [15])
    assert "similarity" not in table  # at the end it is 1


def test_refusals():
    with pytest.raises(ValueError, match="`level` is a similarity between 0 and 1; received 1"):
        time_to_similarity(run([0, 0, 0, 1]), 1)
    with pytest.raises(ValueError, match="between 0 and 1; received 'a'"):
        time_to_similarity(run([0, 0, 0, 1]), "a")
    with pytest.raises(ValueError, match="RepresentationSimilarity"):
        time_to_similarity(xr.Dataset(coords={"step": [0], "layer": ["a"]}))
