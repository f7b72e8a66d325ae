import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure


@pytest.fixture
def ax():
    return Figure(figsize=(6, 4), layout="constrained").subplots()


@pytest.fixture
def seeds(run_factory):
    """Three runs that differ, stacked."""
    runs = [run_factory(rates=(4.0 + shift, 2.0, 1.0)) for shift in (0.0, 1.0, 2.0)]
    return xr.concat(runs, xr.DataArray(np.arange(3), dims="seed", name="seed"), data_vars="all")


@pytest.fixture
def unlike(run_factory):
    """A stack of two runs, a slow and a fast one. One is shorter, and their steps differ."""
    steps = {1: np.arange(0, 101, 10), 5: np.arange(0, 85, 7)}
    runs = [run_factory(rates=(rate,) * 3, steps=own) for rate, own in steps.items()]
    seeds = xr.DataArray([0, 1], dims="seed", name="seed")
    return xr.concat(runs, seeds, data_vars="all", join="outer")


@pytest.fixture(autouse=True)
def settings_stay():
    """No figure may leave Matplotlib's settings changed."""
    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before
