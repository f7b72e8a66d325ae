"""What is drawn of runs over seeds is about all of them, also where their records differ."""

import numpy as np
import xarray as xr

from keras_lcb.analysis.records import over_seeds

NAN = np.nan


def joined(*seeds):
    """Seeds, each a mapping from steps to values, on their joined steps."""
    runs = [xr.DataArray(list(own.values()), {"step": list(own)}, "step") for own in seeds]
    index = xr.DataArray(np.arange(len(runs)), dims="seed", name="seed")
    return xr.concat(runs, index, join="outer")


def test_each_seed_is_interpolated_within_its_own_records():
    low, mean, high = over_seeds(joined({0: 0.0, 10: 10.0, 20: 10.0}, {0: 4.0, 5: 1.0, 15: 3.0}))
    assert mean["step"].values.tolist() == [0, 5, 10, 15, 20]
    np.testing.assert_array_equal(low, [0, 1, 2, 3, NAN])
    np.testing.assert_array_equal(mean, [2, 3, 6, 6.5, NAN])
    np.testing.assert_array_equal(high, [4, 5, 10, 10, NAN])


def test_equal_records_are_taken_as_they_are():
    values = joined({0: 0.1, 3: 0.7, 9: 0.3}, {0: 0.2, 3: 0.9, 9: 0.5})
    for drawn, expected in zip(over_seeds(values), ("min", "mean", "max"), strict=True):
        xr.testing.assert_identical(drawn, getattr(values, expected)("seed"))


def test_a_seed_without_any_value_is_left_out():
    values = joined({0: 1.0, 10: 3.0}, {0: NAN, 5: NAN}, {0: 3.0, 10: np.inf})
    np.testing.assert_array_equal(over_seeds(values)[1], [2, NAN, NAN])
    assert not over_seeds(values.where(False))[1].notnull().any()


def test_the_order_of_dimensions_does_not_matter():
    values = xr.concat(
        [joined({0: 1.0, 10: 3.0}, {0: 3.0, 5: 2.0, 10: 9.0}), joined({0: 1.0}, {5: 2.0})],
        xr.DataArray(["a", "b"], dims="layer", name="layer"),
        join="outer",
    )
    for drawn, turned in zip(over_seeds(values), over_seeds(values.T), strict=True):
        xr.testing.assert_identical(drawn, turned.transpose(*drawn.dims))


def test_values_that_are_not_along_training_have_their_mean():
    values = xr.DataArray([[1.0, NAN], [3.0, 4.0]], dims=("seed", "layer"))
    np.testing.assert_array_equal(over_seeds(values)[1], [2, 4])
    alone = values.isel(seed=0)
    assert all(part is alone for part in over_seeds(alone))
